import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, freePorts } from '../support/ports.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startProgram } from '../support/processes.ts';
import { startChild } from './child.ts';
import type { Cleanup } from './cleanup.ts';
import { startCrossfade, type Crossfade } from './crossfade.ts';

/** The stages that are measured, with the flags that make them. */
export const STAGES = {
  off: [],
  dual_write: ['dual-write'],
  shadow_read: ['dual-write', 'shadow-read'],
  read_cutover: ['dual-write', 'read-cutover'],
} as const satisfies Record<string, readonly string[]>;

export type StageName = keyof typeof STAGES;

/** One way to a legacy service. */
export interface ZmqPath {
  readonly endpoint: string;
  /** Absent for what is not ours. */
  readonly crossfade?: Crossfade;
}

interface Legacy {
  readonly endpoint: string;
  readonly sqliteFile: string;
}

interface Place {
  readonly root: string;
  readonly postgres: TestPostgres;
  readonly cleanup: Cleanup;
}

const SERVICE = 'session-memory';

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

/** Every path as real processes, by name. Only one of them is to be loaded at a time. */
export async function startZmqWorld(cleanup: Cleanup): Promise<ReadonlyMap<string, ZmqPath>> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-bench-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  const place = { root, cleanup, postgres: cleanup.keep(await startPostgres()) };
  const legacy = await startLegacy(place, 'shared');
  const front = at(await freePort());
  cleanup.keep(await startChild('native-proxy.ts', { front, back: legacy.endpoint }));
  const orchestrator = await startOrchestrator(place);
  const paths = new Map<string, ZmqPath>([
    ['direct', { endpoint: legacy.endpoint }],
    ['native proxy', { endpoint: front }],
  ]);
  for (const stage of Object.keys(STAGES) as StageName[]) {
    // The contents of both sides agree only where all writes came through this proxy.
    const behind = stage === 'off' ? legacy : await startLegacy(place, stage);
    paths.set(stage, await startStage(place, stage, { legacy: behind, orchestrator }));
  }
  return paths;
}

async function startLegacy({ root, cleanup }: Place, name: string): Promise<Legacy> {
  const folder = join(root, `legacy-${name}`);
  mkdirSync(folder);
  const [port = 0, health = 0, pub = 0] = await freePorts(3);
  const ports = ['--session-port', String(port), '--health-port', String(health), '--pub-port', String(pub)];
  const limits = ['--max-sessions', '1000000', '--cleanup-seconds', '3600'];
  const args = ['stand-ins', '--service', SERVICE, '--data', folder, '--no-fsync', ...ports, ...limits];
  cleanup.keep(await startProgram(args));
  return { endpoint: at(port), sqliteFile: join(folder, 'session_memory.db') };
}

async function startOrchestrator({ root, cleanup, postgres }: Place): Promise<string> {
  const [port = 0, http = 0] = await freePorts(2);
  const where = ['--port', String(port), '--http-port', String(http), '--folder', join(root, 'orchestrator')];
  const env = { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase('orchestrator') };
  cleanup.keep(await startProgram(['orchestrator', ...where], { env }));
  return at(port);
}

async function startStage(
  { root, cleanup, postgres }: Place,
  stage: StageName,
  { legacy, orchestrator }: { legacy: Legacy; orchestrator: string },
): Promise<ZmqPath> {
  const [port = 0, healthPort = 0, httpPort = 0] = await freePorts(3);
  const config = {
    orchestrator: { endpoint: orchestrator },
    services: { [SERVICE]: { port, healthPort, legacy: { ...legacy, inFlight: 0 } } },
  };
  const settings = {
    folder: join(root, stage),
    httpPort,
    journalUrl: await postgres.createDatabase(`journal_${stage}`),
    config,
    flagsOn: STAGES[stage].map((flag) => `crossfade.${SERVICE}.${flag}`),
  };
  return { endpoint: at(port), crossfade: await startCrossfade(settings, cleanup) };
}
