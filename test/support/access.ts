import type { KeyGrant } from '../../src/orchestrator/access/key-store.ts';
import { grantKey, revokeKey } from '../../src/orchestrator/access/key-store.ts';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import {
  type Answer,
  connectOrchestrator,
  type Envelope,
  type Differing,
  startOrchestrator,
} from './orchestrator.ts';
import { startPostgres } from './postgres.ts';

/** Asks as the holder of one key. */
export type Ask = (action: string, payload?: object, envelope?: Envelope) => Promise<Answer>;

/** An orchestrator on PostgreSQL, with the database at hand. */
export interface GuardedOrchestrator {
  readonly database: Database;
  readonly url: string;
  readonly port: number;
  readonly httpPort: number;
  grant(grant: Partial<KeyGrant> & Pick<KeyGrant, 'agent'>): Promise<{ keyId: string; text: string }>;
  revoke(keyId: string): Promise<void>;
  as(key: string | undefined): Ask;
  /** Stops it and starts another on the same database. */
  restart(settings: Differing): Promise<void>;
  stop(): Promise<void>;
}

export async function startGuarded(settings: Differing): Promise<GuardedOrchestrator> {
  const postgres = await startPostgres();
  const url = await postgres.createDatabase();
  const database = createPostgresDatabase({ url });
  const start = (chosen: Differing) =>
    startOrchestrator({ database: { kind: 'postgres', url }, settings: chosen });
  let running = await start(settings).catch(async (error: unknown) => {
    await database.close();
    await postgres.stop();
    throw error;
  });
  let client = connectOrchestrator(running.port);

  async function stopRunning(): Promise<void> {
    client.close();
    await running.stop();
  }

  return {
    database,
    url,
    get port() {
      return running.port;
    },
    get httpPort() {
      return running.httpPort;
    },
    grant: (grant) => grantKey(database, { role: 'agent', users: [], ...grant }),
    revoke: async (keyId) => void (await revokeKey(database, keyId)),
    as:
      (key) =>
      (action, payload = {}, envelope = {}) =>
        client.send(
          JSON.stringify({ action, ...envelope, ...(key !== undefined && { auth: { key } }), payload }),
        ),
    async restart(next) {
      await stopRunning();
      running = await start(next);
      client = connectOrchestrator(running.port);
    },
    async stop() {
      await stopRunning().catch(() => undefined);
      await database.close();
      await postgres.stop();
    },
  };
}

/** Everything that the database holds, as text. */
export async function dumpOf(database: Database): Promise<string> {
  const tables = await database.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'`,
  );
  const texts: string[] = [];
  for (const { name } of tables) {
    const [row] = await database.query<{ text: string | null }>(
      `select string_agg(t::text, E'\\n') as text from "${name}" t`,
    );
    texts.push(`${name}\n${row?.text ?? ''}`);
  }
  return texts.join('\n');
}
