import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../support/ports.ts';
import { startPostgres } from '../support/postgres.ts';
import { startProgram, type Program } from '../support/processes.ts';
import { startChild, type Child } from './child.ts';
import type { Cleanup } from './cleanup.ts';
import { startCrossfade, type Crossfade } from './crossfade.ts';
import type { BareSettings } from './reconcile-bare.ts';
import { LANES_VARIABLE } from './reconcile-legacy.ts';
import type { ReconcileOptions } from './reconcile-options.ts';

/** A proxy and an orchestrator, each on a database of its own, and a legacy store in the proxy's memory. */
export interface ReconcileWorld {
  readonly proxy: Crossfade;
  readonly proxyUrl: string;
  readonly orchestrator: Program;
  /** Reads and hashes both sides in a process of its own. */
  readonly bare: Child;
  /** Runs a statement on the orchestrator's database, past all programs. */
  readonly store: (sql: string) => Promise<readonly unknown[]>;
  readonly journal: (sql: string) => Promise<readonly unknown[]>;
}

export const SERVICE = 'session-memory';
const DEFINITION = fileURLToPath(new URL('reconcile-legacy.ts', import.meta.url));
const LOOK_EVERY_MS = 50;

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

export async function startReconcileWorld(
  cleanup: Cleanup,
  { lanes, concurrency }: ReconcileOptions,
): Promise<ReconcileWorld> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-reconcile-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  const postgres = cleanup.keep(await startPostgres());
  const [journalUrl, storeUrl] = [
    await postgres.createDatabase('journal'),
    await postgres.createDatabase('orchestrator'),
  ];
  const [legacyPort = 0, front = 0, healthPort = 0, httpPort = 0, port = 0, orchestratorHttp = 0] =
    await freePorts(6);
  const where = ['--port', String(port), '--http-port', String(orchestratorHttp), '--folder', root];
  const orchestrator = cleanup.keep(
    await startProgram(['orchestrator', ...where], { env: { ORCHESTRATOR_DATABASE_URL: storeUrl } }),
  );
  // Nobody listens there: neither agents nor copies need it.
  const legacy = { endpoint: at(legacyPort), inFlight: 0 };
  const service = { definition: DEFINITION, port: front, healthPort, legacy };
  const proxy = await startCrossfade(
    {
      folder: join(root, 'proxy'),
      httpPort,
      journalUrl,
      config: {
        orchestrator: { endpoint: at(port) },
        copies: { automatic: false, concurrency },
        services: { [SERVICE]: service },
      },
      flagsOn: [`crossfade.${SERVICE}.dual-write`],
      env: { [LANES_VARIABLE]: String(lanes) },
    },
    cleanup,
  );
  while (!(await proxy.status()).services.every(({ coverage }) => coverage > 0))
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  const settings: BareSettings = { databaseUrl: storeUrl };
  return {
    proxy,
    proxyUrl: `http://127.0.0.1:${httpPort}`,
    orchestrator,
    bare: cleanup.keep(await startChild('reconcile-bare.ts', settings)),
    store: (sql) => postgres.execute(sql, 'orchestrator'),
    journal: (sql) => postgres.execute(sql, 'journal'),
  };
}
