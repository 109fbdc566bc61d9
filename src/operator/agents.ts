import type { AgentDialect, AskingAgent } from '../domain/agent-name.ts';
import { messageOf } from '../domain/errors.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Listener } from '../engine/ports/events.ts';
import type { Clock } from '../shared/clock.ts';

/** Agents that are kept. The ones whose last request is oldest are dropped first. */
export const MOST_AGENTS = 10_000;
const EVERY_MS = 10_000;

interface Asked {
  readonly service: ServiceName;
  readonly name: string;
  readonly dialect: AgentDialect;
  readonly requests: number;
  /** Wall clock. */
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

/** The same while it is counted: one object an agent, because a request must cost little. */
type Counted = { -readonly [Member in keyof Asked]: Asked[Member] };

/** An agent of a service, with its requests at all replicas. */
export type KnownAgent = Asked;

/** A writer that bypasses the proxy, found by a reconciliation. */
export interface WriterPastProxy {
  readonly service: ServiceName;
  /** Null if the service does not record the writer. */
  readonly writer: string | null;
  readonly lanes: number;
  readonly lastAtMs: number;
  /** An agent of this name has sent requests through the proxy. */
  readonly isSeen: boolean;
}

/** @throws StorageError */
export interface AgentStore {
  write(agents: readonly Asked[]): Promise<void>;
  seenLastHour(services: readonly ServiceName[]): Promise<ReadonlyMap<ServiceName, number>>;
  list(services: readonly ServiceName[], limit: number): Promise<readonly KnownAgent[]>;
  writersPastProxy(services: readonly ServiceName[], limit: number): Promise<readonly WriterPastProxy[]>;
}

export interface AgentBookParts {
  readonly services: readonly ServiceName[];
  readonly store: AgentStore;
  readonly clock: Clock;
  /** Called with a message if the agents could not be stored. The next attempt follows by itself. */
  readonly onProblem: (problem: string) => void;
  /** @defaultValue 10000 */
  readonly most?: number;
}

/** Counts the agents that send requests. Stores them every ten seconds, so that all replicas know all agents. */
export class AgentBook {
  readonly #parts: AgentBookParts;
  readonly #most: number;
  readonly #stopped = new AbortController();
  /** Counted since the last store, in the order of the last request. */
  #asked = new Map<string, Counted>();
  #seen: ReadonlyMap<ServiceName, number> = new Map();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: AgentBookParts) {
    this.#parts = parts;
    this.#most = parts.most ?? MOST_AGENTS;
  }

  readonly listener: Listener = (name, event) => {
    if (name === 'agent:asked' && 'agent' in event) this.#note(event.service, event.agent);
  };

  async start(): Promise<void> {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
    await this.#write().catch(() => undefined);
  }

  /** Agents that sent a request in the last hour, by service. Covers all replicas, up to ten seconds late. */
  seenLastHour(): ReadonlyMap<ServiceName, number> {
    return new Map(this.#parts.services.map((service) => [service, this.#seen.get(service) ?? 0]));
  }

  /**
   * The agents with the newest requests, and the writers that bypass the proxy.
   * @throws StorageError
   */
  async list(services: readonly ServiceName[], limit: number) {
    await this.#write();
    const { store } = this.#parts;
    return {
      agents: await store.list(services, limit),
      writersPastProxy: await store.writersPastProxy(services, limit),
    };
  }

  #note(service: ServiceName, { name, dialect }: AskingAgent): void {
    const key = `${service} ${name}`;
    const lastAtMs = this.#parts.clock.wallMs();
    const asked = this.#asked.get(key) ?? {
      service,
      name,
      dialect,
      requests: 0,
      firstAtMs: lastAtMs,
      lastAtMs,
    };
    asked.requests += 1;
    asked.lastAtMs = lastAtMs;
    asked.dialect = dialect;
    this.#put(key, asked);
  }

  #put(key: string, asked: Counted): void {
    this.#asked.delete(key);
    this.#asked.set(key, asked);
    if (this.#asked.size <= this.#most) return;
    for (const oldest of this.#asked.keys()) return void this.#asked.delete(oldest);
  }

  async #run(): Promise<void> {
    const { clock, store, services, onProblem } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#write();
        this.#seen = await store.seenLastHour(services);
      } catch (error) {
        onProblem(messageOf(error));
      }
      await clock.sleep(EVERY_MS, signal);
    }
  }

  async #write(): Promise<void> {
    if (this.#asked.size === 0) return;
    const asked = this.#asked;
    this.#asked = new Map();
    try {
      await this.#parts.store.write([...asked.values()]);
    } catch (error) {
      this.#putBack(asked);
      throw error;
    }
  }

  /** Adds counts that could not be stored to those counted since, in the order of the last request. */
  #putBack(asked: ReadonlyMap<string, Asked>): void {
    const since = this.#asked;
    this.#asked = new Map();
    for (const [key, one] of asked) if (!since.has(key)) this.#put(key, one);
    for (const [key, one] of since) {
      const { requests = 0, firstAtMs = one.firstAtMs } = asked.get(key) ?? {};
      this.#put(key, { ...one, requests: one.requests + requests, firstAtMs });
    }
  }
}
