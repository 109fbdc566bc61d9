import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createStorage } from '../../../src/orchestrator/database/storage.ts';
import { eventually } from '../../support/eventually.ts';
import { settingsWith } from '../../support/orchestrator.ts';

const said: string[] = [];
const { storage: settings } = settingsWith({ storage: { folder: ':memory:' } });
const storage = createStorage({
  settings,
  log: pino({ level: 'warn' }, { write: (line) => void said.push(line) }),
  onStatement: () => undefined,
});
const { database } = storage;

beforeAll(() => storage.start());
afterAll(() => storage.stop());

async function valueOf<T>(sql: string): Promise<T | undefined> {
  const [row] = await database.query<{ value: T }>(sql);
  return row?.value;
}

const knownRows = (table: string) =>
  valueOf<number>(`select reltuples::int as value from pg_class where oid = '${table}'::regclass`);

const insert = (from: number, to: number) =>
  database.script(
    `insert into memory_entries (memory_id, session_id, memory_type, content)
     select 'm' || i, 's', 'context', '{"text": "x"}' from generate_series(${from}, ${to}) i`,
  );

test('the embedded database keeps its table statistics current', async () => {
  expect(await knownRows('memory_entries')).toBe(0);
  await database.script(`insert into sessions (session_id) values ('s')`);
  await insert(1, 1_000);
  await eventually('the table is looked at', async () => (await knownRows('memory_entries')) === 1_000);
  // A tenth more is no reason.
  await insert(1_001, 1_100);
  await new Promise((resolve) => setTimeout(resolve, 3_500));
  expect(await knownRows('memory_entries')).toBe(1_000);
  await insert(1_101, 1_400);
  await eventually('it is looked at again', async () => (await knownRows('memory_entries')) === 1_400);
  const known = await valueOf<string>(
    `select string_agg(attname, ' ') as value from pg_stats where tablename = 'memory_entries'`,
  );
  expect(known).toContain('session_id');
  expect(known).not.toMatch(/\bcontent\b/);
  expect(said).toEqual([]);
}, 90_000);

test('the space of deleted rows is reused, and texts are indexed soon', async () => {
  const seen = (fact: 'vacuum_count' | 'n_dead_tup') =>
    valueOf<number>(`select ${fact}::int as value from pg_stat_user_tables where relname = 'memory_entries'`);
  const before = (await seen('vacuum_count')) ?? 0;
  await database.script(`delete from memory_entries where memory_id <> 'm1'`);
  await eventually('they are seen', async () => ((await seen('vacuum_count')) ?? 0) > before);
  await eventually('they are cleared away', async () => (await seen('n_dead_tup')) === 0);
  expect(await valueOf(`select current_setting('gin_pending_list_limit') as value`)).toBe('64kB');
}, 90_000);

test('maintenance still runs in the role that cannot change tables', async () => {
  expect(await valueOf('select current_user::text as value')).toBe(settings.applicationRole);
  expect(await valueOf(`select current_setting('default_statistics_target') as value`)).not.toBe('20');
});
