import pino from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createStorage } from '../../../src/orchestrator/database/storage.ts';
import { ItemCount } from '../../../src/orchestrator/health.ts';
import type { Database } from '../../../src/storage/database.ts';
import { settingsWith } from '../../support/orchestrator.ts';
import { lockTable } from '../../support/table-lock.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';

let postgres: TestPostgres;
let database: Database;
let stop: () => Promise<void>;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

beforeEach(async () => {
  const settings = settingsWith({ storage: { databaseUrl: await postgres.createDatabase() } }).storage;
  const storage = createStorage({ settings, log: pino({ level: 'silent' }), onStatement: () => undefined });
  await storage.start();
  database = storage.database;
  stop = () => storage.stop();
  await database.query("insert into sessions (session_id) values ('s')");
  return () => stop();
});

/** Memories of about 1.7 KB: they stay in the table. */
const insert = (from: number, to: number): Promise<void> =>
  database.script(
    `insert into memory_entries (memory_id, session_id, memory_type, content)
     select 'm' || i, 's', 'context', jsonb_build_object('pad', (select string_agg(md5((i * 60 + n)::text), '') from generate_series(1, 50) n))
     from generate_series(${from}, ${to}) i`,
  );

/** The database, and how often it was asked. */
function counted(): { readonly database: Database; asked(): number } {
  let asked = 0;
  const query = ((sql: string, parameters?: readonly unknown[]) => {
    asked += 1;
    return database.query(sql, parameters);
  }) as Database['query'];
  return { database: { ...database, query }, asked: () => asked };
}

test('a small table is counted exactly, without deleted rows', async () => {
  await insert(1, 12);
  await database.query("update memory_entries set is_active = false where memory_id in ('m3', 'm4')");
  await postgres.execute('analyze', await nameOfDatabase());
  expect(await new ItemCount().read(database)).toBe(10);
});

test('a large table is not scanned, but estimated from its statistics', async () => {
  await insert(1, 24_000);
  await database.query("update memory_entries set is_active = false where memory_id = 'm3'");
  // Nobody knows anything of it yet.
  expect(await new ItemCount().read(database)).toBe(23_999);
  await postgres.execute('analyze', await nameOfDatabase());
  await insert(24_001, 24_010);
  expect(await new ItemCount().read(database)).toBe(24_000);
}, 60_000);

test('calls during a count, or soon after, share its result', async () => {
  const watched = counted();
  const count = new ItemCount();
  await insert(1, 3);
  const all = await Promise.all(Array.from({ length: 20 }, () => count.read(watched.database)));
  await insert(4, 5);
  expect([...new Set([...all, await count.read(watched.database)])]).toEqual([3]);
  expect(watched.asked()).toBe(1);
});

test('a count that takes too long is not a failure, and is not repeated at once', async () => {
  await insert(1, 3);
  const watched = counted();
  const count = new ItemCount();
  const lock = await lockTable(postgres.url(await nameOfDatabase()), 'memory_entries');
  expect(await count.read(database.until(performance.now() + 50))).toBe(0);
  await lock.release();
  expect(await count.read(watched.database)).toBe(0);
  expect(watched.asked()).toBe(0);
});

async function nameOfDatabase(): Promise<string> {
  const [row] = await database.query<{ name: string }>('select current_database() as name');
  return row?.name ?? '';
}
