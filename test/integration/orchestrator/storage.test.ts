import pino from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StorageError } from '../../../src/domain/errors.ts';
import { createStorage, type Storage } from '../../../src/orchestrator/database/storage.ts';
import type { StorageSettings } from '../../../src/orchestrator/settings.ts';
import { settingsWith, startOrchestrator } from '../../support/orchestrator.ts';
import { freePorts } from '../../support/ports.ts';
import { databaseOf, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { startProgram } from '../../support/processes.ts';
import { type DatabaseKind, DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function placeOf(kind: DatabaseKind): Promise<Partial<StorageSettings>> {
  return kind === 'postgres'
    ? { databaseUrl: await postgres.createDatabase(), folder: ':memory:' }
    : { folder: ':memory:' };
}

interface Opened {
  readonly storage: Storage;
  /** What was said while it started. */
  readonly said: readonly string[];
}

/** The storage alone, started. */
async function open(settings: Partial<StorageSettings>): Promise<Opened> {
  const said: string[] = [];
  const storage = createStorage({
    settings: settingsWith({ storage: { folder: ':memory:', ...settings } }).storage,
    log: pino({ level: 'warn' }, { write: (line) => void said.push(line) }),
    onStatement: () => undefined,
  });
  await storage.start();
  return { storage, said };
}

const failureOf = (promise: Promise<unknown>): Promise<StorageError> =>
  promise.then(
    () => Promise.reject(new Error('It did not fail')),
    (error: unknown) => error as StorageError,
  );

const memory = (id: string, text: string) => ({
  memory_id: id,
  memory_type: 'conversation',
  content: { text },
  create_session: true,
});

const INSERT = `insert into memory_entries (memory_id, session_id, memory_type, content)
  select 'm' || i, 's', 'context', '{"text": "x"}' from generate_series(1, 200) i`;

describe('the schema', () => {
  test('is created once by concurrent starts, and kept by later ones', async () => {
    const name = 'twice_at_once';
    const url = await postgres.createDatabase(name);
    const start = async () => {
      const [port = 0, httpPort = 0] = await freePorts(2);
      return startProgram(['orchestrator', '--port', `${port}`, '--http-port', `${httpPort}`], {
        env: { ORCHESTRATOR_DATABASE_URL: url },
      });
    };
    const both = await Promise.all([start(), start()]);
    const steps = () =>
      postgres.execute('select name, applied_at::text from schema_steps order by name', name);
    const made = await steps();
    expect(made.length).toBeGreaterThanOrEqual(5);
    const third = await start();
    expect(await steps()).toEqual(made);
    for (const program of [...both, third]) await program.stop();
  });

  test.each([
    ['a development version', '001-memory.sql', /^The database was made by a development version/],
    ['a newer version', '999-newer.sql', /^The database was used by a newer version/],
  ])('is not applied to a database of %s', async (_version, step, message) => {
    const place = await placeOf('postgres');
    const first = await open(place);
    await first.storage.database.query(`insert into schema_steps (part, name) values ('orchestrator', $1)`, [
      step,
    ]);
    await first.storage.stop();
    await expect(open(place)).rejects.toThrow(message);
  });

  test.each(DATABASES)(
    'creates roles on %s: one that changes rows only, and one that only reads',
    async (kind) => {
      const { storage, said } = await open(await placeOf(kind));
      const { database } = storage;
      await database.query(`insert into sessions (session_id) values ('s')`);
      await database.script(INSERT);
      const as = (role: string, sql: string) =>
        database.transaction(async (session) => {
          await session.script(`set local role none; set local role ${role}`);
          return session.query(sql);
        });
      expect(await as('crossfade_application', 'delete from memory_entries returning 1')).toHaveLength(200);
      for (const ddl of ['create table mine (a int)', 'drop table memory_lanes', 'truncate sessions'])
        expect((await failureOf(as('crossfade_application', ddl))).details['sqlstate']).toBe('42501');
      expect(await as('crossfade_read_only', 'select session_id from sessions')).toHaveLength(1);
      const write = as('crossfade_read_only', `insert into sessions (session_id) values ('t')`);
      expect((await failureOf(write)).details['sqlstate']).toBe('42501');
      expect(said.filter((line) => line.includes('roles'))).toEqual([]);
      await storage.stop();
    },
  );

  test('on PGlite the process itself cannot change a table', async () => {
    const { storage } = await open({});
    const failure = await failureOf(storage.database.script('create table mine (a int)'));
    expect(failure.details['sqlstate']).toBe('42501');
    await storage.stop();
  });

  test('connections act as the application role if configured', async () => {
    const place = await placeOf('postgres');
    const { storage } = await open({ ...place, actAsApplicationRole: true });
    expect(await storage.database.query('select current_user::text as name')).toEqual([
      { name: 'crossfade_application' },
    ]);
    await storage.stop();
  });

  test('a user without the right to create roles gets one warning, and works', async () => {
    const name = 'no_roles';
    const url = await postgres.createDatabase(name);
    // A role belongs to the whole server, which other runs of this test share.
    const role = `plain_${databaseOf(url)}`;
    await postgres.execute(`create role ${role} login password 'plain'`);
    await postgres.execute(`grant create, usage on schema public to ${role}`, name);
    const databaseUrl = postgres.url(name).replace('postgres:password@', `${role}:plain@`);
    // Whoever may make roles in this cluster has already made those of the default names.
    const names = { applicationRole: 'unmade_application', readOnlyRole: 'unmade_read_only' };
    const { storage, said } = await open({ databaseUrl, ...names });
    await storage.database.query(`insert into sessions (session_id) values ('s')`);
    expect(said.filter((line) => line.includes('roles of the database could not be prepared'))).toHaveLength(
      1,
    );
    await storage.stop();
  });

  test.each(DATABASES)('is partitioned on %s if configured, and everything works as before', async (kind) => {
    const place = await placeOf(kind);
    const orchestrator = await startOrchestrator({
      database:
        place.databaseUrl === undefined ? { kind: 'pglite' } : { kind: 'postgres', url: place.databaseUrl },
      settings: {
        storage: { ...place, partitioned: true, partitions: 4 },
        embeddings: { provider: 'off' },
      },
    });
    const { ask } = orchestrator;
    const at = { session_id: 's' };
    for (let index = 0; index < 20; index += 1)
      await ask('create', memory(`m${index}`, `number ${index}`), at);
    expect((await ask('create', memory('m1', 'other'), at)).error.details['reason']).toBe('duplicate');
    expect((await ask('delete', { memory_id: 'm0' }, at)).status).toBe('success');
    expect((await ask('batch_read', {}, at)).data['total_count']).toBe(19);
    expect((await ask('search', { query: 'number', search_type: 'keyword' }, at)).data['total_count']).toBe(
      19,
    );
    await orchestrator.stop();
  });

  test('memories are partitioned by hash, the access log by month', async () => {
    const { storage } = await open({ ...(await placeOf('postgres')), partitioned: true, partitions: 4 });
    const { database } = storage;
    const parts = await database.query<{ parent: string; part: string }>(
      `select parent.relname as parent, child.relname as part from pg_inherits
       join pg_class parent on parent.oid = inhparent join pg_class child on child.oid = inhrelid
       where parent.relkind = 'p' order by 1, 2`,
    );
    const of = (name: string) => parts.filter(({ parent }) => parent === name).map(({ part }) => part);
    expect(of('memory_entries')).toHaveLength(4);
    expect(of('vector_embeddings')).toHaveLength(4);
    const inline = await database.query(
      `select 1 from pg_class where relname like 'vector\\_embeddings\\__' and 'toast_tuple_target=8160' = any (reloptions)`,
    );
    expect(inline).toHaveLength(4);
    const month = new Date().toISOString().slice(0, 7).replace('-', '_');
    expect(of('memory_access_logs')).toContain(`memory_access_logs_${month}`);
    expect(of('memory_access_logs')).toHaveLength(5);
    await database.query(`insert into sessions (session_id) values ('s')`);
    await database.script(INSERT);
    const [spread] = await database.query<{ used: number }>(
      'select count(distinct tableoid) as used from memory_entries',
    );
    expect(spread?.used).toBe(4);
    await storage.stop();
  });
});
