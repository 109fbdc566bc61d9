import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../support/ports.ts';
import { startPostgres } from '../support/postgres.ts';
import { startProgram } from '../support/processes.ts';
import type { Cleanup } from './cleanup.ts';
import { startCrossfade, type Crossfade } from './crossfade.ts';

/** A legacy service, its journal, and an orchestrator that is down until it is started. */
export interface DrainWorld {
  /** Where agents connect. */
  readonly endpoint: string;
  readonly sqliteFile: string;
  /** Rows of the journal's database, however long that takes. Big numbers are strings. */
  readonly journal: <Row>(sql: string) => Promise<readonly Row[]>;
  /** Rows of the orchestrator's database; it has no tables until that was started. */
  readonly store: <Row>(sql: string) => Promise<readonly Row[]>;
  startProxy(): Promise<Crossfade>;
  startOrchestrator(): Promise<void>;
}

export const SERVICE = 'session-memory';

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

export async function startDrainWorld(cleanup: Cleanup): Promise<DrainWorld> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-drain-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  const postgres = cleanup.keep(await startPostgres());
  const [journalUrl, storeUrl] = [
    await postgres.createDatabase('journal'),
    await postgres.createDatabase('orchestrator'),
  ];
  const [back = 0, backHealth = 0, backPub = 0, front = 0, healthPort = 0, httpPort = 0, port = 0, http = 0] =
    await freePorts(8);
  const folder = join(root, 'legacy');
  mkdirSync(folder);
  await startLegacy(cleanup, folder, [back, backHealth, backPub]);
  const sqliteFile = join(folder, 'session_memory.db');
  const legacy = { endpoint: at(back), sqliteFile, inFlight: 0 };
  const settings = {
    folder: join(root, 'proxy'),
    httpPort,
    journalUrl,
    config: {
      orchestrator: { endpoint: at(port) },
      services: { [SERVICE]: { port: front, healthPort, legacy } },
    },
    flagsOn: ['dual-write', 'read-cutover'].map((flag) => `crossfade.${SERVICE}.${flag}`),
  };
  return {
    endpoint: at(front),
    sqliteFile,
    journal: async <Row>(sql: string) => (await postgres.execute(sql, 'journal')) as Row[],
    store: async <Row>(sql: string) => (await postgres.execute(sql, 'orchestrator')) as Row[],
    startProxy: () => startCrossfade(settings, cleanup),
    async startOrchestrator() {
      const where = ['--port', String(port), '--http-port', String(http), '--folder', root];
      const env = { ORCHESTRATOR_DATABASE_URL: storeUrl };
      cleanup.keep(await startProgram(['orchestrator', ...where], { env }));
    },
  };
}

async function startLegacy(cleanup: Cleanup, folder: string, ports: readonly number[]): Promise<void> {
  const [port, health, pub] = ports.map(String);
  const named = ['--session-port', port, '--health-port', health, '--pub-port', pub].map(String);
  const limits = ['--max-sessions', '1000000', '--cleanup-seconds', '36000'];
  const args = ['stand-ins', '--service', SERVICE, '--data', folder, '--no-fsync', ...named, ...limits];
  cleanup.keep(await startProgram(args));
}
