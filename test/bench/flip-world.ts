import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { cutoverBucket } from '../../src/domain/cutover-bucket.ts';
import { laneKeyOf, type Owner } from '../../src/domain/ids.ts';
import type { Asked } from '../accept/flags.ts';
import { freePorts } from '../support/ports.ts';
import { startPostgres } from '../support/postgres.ts';
import { startProgram, type Program } from '../support/processes.ts';
import { startChild, type Child } from './child.ts';
import type { Cleanup } from './cleanup.ts';
import { type Crossfade, startCrossfade } from './crossfade.ts';
import { SERVICE } from './engine-fixture.ts';
import type { BareSettings } from './flip-bare.ts';

/** A legacy service that can be away. */
export interface Legacy {
  readonly endpoint: string;
  readonly sqliteFile: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** It keeps its connections, and answers nothing until `resume`. */
  hang(): void;
  resume(): void;
}

/** A service whose lanes are flipped: legacy, orchestrator, journal and proxy, and the bare loops beside the proxy. */
export interface FlipWorld {
  /** Where agents connect. */
  readonly endpoint: string;
  readonly httpUrl: string;
  readonly legacy: Legacy;
  readonly bare: Child;
  readonly bareEndpoint: string;
  /** Rows of the journal's database. */
  readonly journal: <Row>(sql: string) => Promise<readonly Row[]>;
  /** @param perSecond most flips a second. @defaultValue as by default */
  startProxy(asked: Asked, perSecond?: number): Promise<Crossfade>;
}

/** Percent of the lanes whose writes may move. The others stay on legacy. */
export const SHARE = 90;
const ITEMS_OF_A_LANE = 2;
const MANY_OWNERS = 1_000_000;
const COPIES_AT_ONCE = 64;

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

export async function startFlipWorld(cleanup: Cleanup): Promise<FlipWorld> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-flip-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  const postgres = cleanup.keep(await startPostgres());
  const journalUrl = await postgres.createDatabase('journal');
  const [port = 0, http = 0, front = 0, healthPort = 0, httpPort = 0, bareFront = 0] = await freePorts(6);
  const legacy = await startLegacy(cleanup, join(root, 'legacy'));
  const where = ['--port', String(port), '--http-port', String(http), '--folder', join(root, 'orchestrator')];
  const env = { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase('orchestrator') };
  cleanup.keep(await startProgram(['orchestrator', ...where], { env }));
  const bare: BareSettings = {
    front: at(bareFront),
    orchestratorPort: port,
    journalUrl: await postgres.createDatabase('bare_journal'),
  };
  const { endpoint, sqliteFile } = legacy;
  const service = {
    port: front,
    healthPort,
    legacy: { endpoint, sqliteFile },
    // As the stand-in is started.
    retention: { idleSeconds: 36_000, owners: MANY_OWNERS },
  };
  return {
    endpoint: at(front),
    httpUrl: `http://127.0.0.1:${httpPort}`,
    legacy,
    bare: cleanup.keep(await startChild('flip-bare.ts', bare)),
    bareEndpoint: bare.front,
    journal: async <Row>(sql: string) => (await postgres.execute(sql, 'journal')) as Row[],
    startProxy: (flagsOn, perSecond) =>
      startCrossfade(
        {
          folder: join(root, 'proxy'),
          httpPort,
          journalUrl,
          config: {
            orchestrator: { endpoint: at(port) },
            copies: { automatic: false, concurrency: COPIES_AT_ONCE },
            // No run begins at a time of the day.
            reconciliation: { changed: 'off', full: 'off' },
            services: { [SERVICE]: service },
            ...(perSecond !== undefined && { flips: { perSecond } }),
          },
          flagsOn,
        },
        cleanup,
      ),
  };
}

async function startLegacy(cleanup: Cleanup, folder: string): Promise<Legacy> {
  mkdirSync(folder);
  const ports = await freePorts(3);
  const [port = 0, health = 0, pub = 0] = ports;
  const named = ['--session-port', port, '--health-port', health, '--pub-port', pub].map(String);
  const limits = ['--max-sessions', String(MANY_OWNERS), '--cleanup-seconds', '36000'];
  const args = ['stand-ins', '--service', SERVICE, '--data', folder, '--no-fsync', ...named, ...limits];
  let program: Program = await startProgram(args);
  const resume = (): void => {
    program.child.kill('SIGCONT');
  };
  cleanup.keep({
    stop: () => {
      resume();
      return program.stop();
    },
  });
  return {
    endpoint: at(port),
    sqliteFile: join(folder, 'session_memory.db'),
    async start() {
      program = await startProgram(args);
    },
    stop: () => program.stop(),
    kill: () => program.kill(),
    hang: () => {
      program.child.kill('SIGSTOP');
    },
    resume,
  };
}

/** Names of owners whose writes may move, or may not. */
export function ownersOf(prefix: string, count: number, isInShare: boolean): readonly Owner[] {
  const owners: Owner[] = [];
  for (let number = 0; owners.length < count; number += 1) {
    const owner = `${prefix}-${number}` as Owner;
    if (cutoverBucket(SERVICE, laneKeyOf(SERVICE, owner)) <= SHARE === isInShare) owners.push(owner);
  }
  return owners;
}

/** Puts sessions into legacy's store, each with a few interactions. No proxy runs. */
export function fillLegacy({ sqliteFile }: Legacy, owners: readonly Owner[]): void {
  const sqlite = new DatabaseSync(sqliteFile, { timeout: 15_000 });
  // As Python writes the local time of a machine whose zone is UTC.
  const now = new Date().toISOString().replace('Z', '000');
  sqlite.exec('begin immediate');
  const session = sqlite.prepare('insert into sessions values (?, ?, ?, ?, ?)');
  const interaction = sqlite.prepare(
    'insert into interactions (session_id, timestamp, role, content, metadata) values (?, ?, ?, ?, ?)',
  );
  for (const owner of owners) {
    session.run(owner, 'bench', now, now, '{}');
    for (let turn = 1; turn <= ITEMS_OF_A_LANE; turn += 1) {
      const role = turn % 2 === 1 ? 'user' : 'assistant';
      interaction.run(owner, now, role, `Turn ${turn} of ${owner}`, '{}');
    }
  }
  sqlite.exec('commit');
  sqlite.close();
}
