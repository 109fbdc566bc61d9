import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

export const SERVICES: readonly StandInService[] = ['session-memory', 'contextual-memory', 'jarvis-memory'];

export const REPLICAS = ['first', 'second'] as const;

export type Replica = (typeof REPLICAS)[number];

/** Where the programs listen. */
export interface Targets {
  readonly replicas: Readonly<Record<Replica, Readonly<Record<StandInService, number>>>>;
  readonly legacy: Readonly<Record<StandInService, number>>;
  readonly orchestrator: number;
  readonly postgres: number;
}

/** Every connection between two programs, by what it joins: `agents-first-session-memory`, `first-postgres` … */
export class Links {
  readonly #links: ReadonlyMap<string, TcpProxy>;

  constructor(links: ReadonlyMap<string, TcpProxy>) {
    this.#links = links;
  }

  port(name: string): number {
    return this.#of(name).port;
  }

  /** All whose names begin so. */
  named(start: string): TcpProxy[] {
    return [...this.#links].filter(([name]) => name.startsWith(start)).map(([, link]) => link);
  }

  async pass(): Promise<void> {
    for (const link of this.#links.values()) await link.pass();
  }

  async stop(): Promise<void> {
    for (const link of this.#links.values()) await link.stop();
  }

  #of(name: string): TcpProxy {
    const link = this.#links.get(name);
    if (link === undefined) throw new Error(`No connection is called "${name}"`);
    return link;
  }
}

export async function startLinks({ replicas, legacy, orchestrator, postgres }: Targets): Promise<Links> {
  const links = new Map<string, TcpProxy>();
  const join = async (name: string, port: number): Promise<void> => {
    links.set(name, await startTcpProxy(port));
  };
  await join('orchestrator-postgres', postgres);
  for (const replica of REPLICAS) {
    await join(`${replica}-orchestrator`, orchestrator);
    await join(`${replica}-postgres`, postgres);
    for (const service of SERVICES) {
      await join(`agents-${replica}-${service}`, replicas[replica][service]);
      await join(`${replica}-legacy-${service}`, legacy[service]);
    }
  }
  return new Links(links);
}
