import { applySchema } from '../../../src/storage/apply-schema.ts';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { StorageError, ValidationError } from '../../../src/domain/errors.ts';
import {
  createPgliteDatabase,
  createPostgresDatabase,
  type Database,
} from '../../../src/storage/database.ts';
import { prepared } from '../../../src/storage/sessions/session.ts';
import { eventually } from '../../support/eventually.ts';
import { databaseOf, startPostgres, type TestPostgres } from '../../support/postgres.ts';

let postgres: TestPostgres;
let folder: string;

beforeAll(async () => {
  postgres = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'crossfade-database-'));
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

async function failureOf(promise: Promise<unknown>): Promise<StorageError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StorageError);
  return error as StorageError;
}

const ADAPTERS: Record<string, () => Promise<Database>> = {
  postgres: async () => createPostgresDatabase({ url: await postgres.createDatabase(), poolSize: 4 }),
  pglite: () => Promise.resolve(createPgliteDatabase()),
};

describe.each(Object.entries(ADAPTERS))('the database port on %s', (_kind, create) => {
  let database: Database;
  beforeAll(async () => {
    database = await create();
    await database.script('create table notes (id bigint primary key, body jsonb); select 1');
  });
  afterAll(() => database.close());

  test('reads bigint, count and sum as numbers and bytea as Buffer', async () => {
    const [row] = await database.query(
      `select 9007199254740991::bigint as big, count(*) as many, sum(x) as total, '\\x00ff'::bytea as bytes, array[1,null]::bigint[] as list
       from unnest($1::bigint[]) x`,
      [[1, 2]],
    );
    expect(row).toEqual({
      big: 9007199254740991,
      many: 2,
      total: 3,
      bytes: Buffer.from([0, 255]),
      list: [1, null],
    });
  });

  test('takes buffers, arrays, dates, nothing and JSON text as parameters', async () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const [row] = await database.query(
      `select $1::bytea as bytes, $2::text[] as texts, $3::timestamptz as at, $4::text as nothing, $5::jsonb::text as json, $6::jsonb[] as list`,
      [Buffer.from([1]), ['a', 'b,"c'], at, undefined, '{"n": 1000.0}', ['{"a": "x"}']],
    );
    expect(row).toEqual({
      bytes: Buffer.from([1]),
      texts: ['a', 'b,"c'],
      at,
      nothing: null,
      json: '{"n": 1000.0}',
      list: [{ a: 'x' }],
    });
  });

  test('a prepared statement gives the same results, also in a transaction', async () => {
    const sql = `select $1::bytea as bytes, $2::text[] as texts, $3::timestamptz as at, $4::text as nothing, $5::jsonb as json, $6::bigint as big, $7::boolean as yes,
      $8::bigint[] as list`;
    const given = [
      Buffer.from([1]),
      ['a', 'b,"c', 'NULL'],
      new Date(5),
      undefined,
      '{"n": 1.5}',
      2 ** 40,
      true,
    ];
    const params = [...given, [1, 2]];
    const [plain] = await database.query(sql, params);
    expect(plain).toMatchObject({ nothing: null, json: { n: 1.5 }, big: 2 ** 40, list: [1, 2] });
    const kept = prepared(`/* kept */ ${sql}`);
    expect(await database.query(kept, params)).toEqual([plain]);
    const [again] = await database.transaction((session) => session.query(kept, params));
    expect(again).toEqual(plain);
  });

  test('a prepared statement fails like any other, and works afterwards', async () => {
    const sql = prepared('insert into notes (id, body) values ($1, $2) returning id');
    await database.query(sql, [71, '{}']);
    expect((await failureOf(database.query(sql, [71, '{}']))).details['sqlstate']).toBe('23505');
    const work = database.transaction(async (session) => {
      await session.query(sql, [72, '{}']);
      await session.query(sql, [71, '{}']);
    });
    expect((await failureOf(work)).details['sqlstate']).toBe('23505');
    expect(await database.query(sql, [72, '{"a": 1}'])).toEqual([{ id: 72 }]);
  });

  test('commits what a transaction did, and returns its result', async () => {
    const result = await database.transaction(async (session) => {
      await session.query('insert into notes (id) values (1)');
      return 'done';
    });
    expect(result).toBe('done');
    expect(await database.query('select id from notes where id = 1')).toEqual([{ id: 1 }]);
  });

  test('rolls back when the work throws, and passes the error on unchanged', async () => {
    const refusal = new ValidationError('no');
    const work = database.transaction(async (session) => {
      await session.query('insert into notes (id) values (2)');
      throw refusal;
    });
    await expect(work).rejects.toBe(refusal);
    expect(await database.query('select id from notes where id = 2')).toEqual([]);
  });

  test('does not report a commit that the server turned into a rollback', async () => {
    const work = database.transaction(async (session) => {
      await session.query('insert into notes (id) values (3)');
      await session.query('select 1 / 0').catch(() => {});
    });
    expect((await failureOf(work)).effect).toBe('not_applied');
    expect(await database.query('select id from notes where id = 3')).toEqual([]);
  });

  test('keeps what a savepoint saved', async () => {
    await database.transaction(async (session) => {
      await session.query('insert into notes (id) values (4)');
      await session.script('savepoint before');
      await session.query('select 1 / 0').catch(() => {});
      await session.script('rollback to savepoint before');
    });
    expect(await database.query('select id from notes where id = 4')).toEqual([{ id: 4 }]);
  });

  test('reports the SQLSTATE of a refusal, and never a value', async () => {
    const secret = 'a secret of the agent';
    await database.query(`insert into notes (id, body) values (5, $1)`, [JSON.stringify({ secret })]);
    const failures = [
      await failureOf(
        database.query('insert into notes (id, body) values (5, $1)', [JSON.stringify(secret)]),
      ),
      await failureOf(database.query('select $1::int', [secret])),
      await failureOf(database.query('select $1::jsonb', [secret])),
    ];
    expect(failures.map(({ details }) => details['sqlstate'])).toEqual(['23505', '22P02', '22P02']);
    for (const failure of failures) {
      expect(failure.effect).toBe('not_applied');
      expect(JSON.stringify([failure, failure.message, failure.stack, String(failure.cause)])).not.toContain(
        secret,
      );
    }
    expect(failures[0]?.details).toMatchObject({ constraint: 'notes_pkey', table: 'notes' });
  });

  test('applies a schema once, also in two concurrent starts', async () => {
    const steps = join(folder, database.kind, 'part', 'schema');
    await mkdir(steps, { recursive: true });
    await writeFile(
      join(steps, '001-first.sql'),
      'create table firsts (id int); insert into firsts values (1);',
    );
    const url = pathToFileURL(`${steps}/`);
    await Promise.all([applySchema(database, url), applySchema(database, url)]);
    await writeFile(join(steps, '002-second.sql'), 'insert into firsts values (2);');
    await applySchema(database, url);
    expect(await database.query('select id from firsts order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await database.query('select part, name from schema_steps order by name')).toEqual([
      { part: 'part', name: '001-first.sql' },
      { part: 'part', name: '002-second.sql' },
    ]);
  });

  test('a version that does not know all steps of a database refuses to start on it', async () => {
    const steps = join(folder, database.kind, 'newer', 'schema');
    await mkdir(steps, { recursive: true });
    const url = pathToFileURL(`${steps}/`);
    await writeFile(join(steps, '001-first.sql'), 'create table newer_ones (id int);');
    await writeFile(join(steps, '002-newer.sql'), 'alter table newer_ones add column more int;');
    await applySchema(database, url);
    await rm(join(steps, '002-newer.sql'));
    await writeFile(join(steps, '003-ours.sql'), 'drop table newer_ones;');
    await expect(applySchema(database, url)).rejects.toThrow(
      'The database was used by a newer version: its schema (newer) has the steps 002-newer.sql, which this version does not know. Start the newer version, or restore a backup from before the upgrade',
    );
    expect(await database.query('select more from newer_ones')).toEqual([]);
  });
});

describe.each(Object.entries(ADAPTERS))('the steps of a development version in %s', (_kind, create) => {
  const DEVELOPMENT_STEPS = {
    storage: ['001_journal.sql', '002_exceptions.sql', '029_report_services.sql'],
    orchestrator: ['001-memory.sql', '002-more-tables.sql', '009-inline-vectors.sql'],
  };
  const EMPTY = {
    postgres: 'an empty database',
    pglite: 'an empty folder for the embedded database',
  };

  test.each(['storage', 'orchestrator'] as const)('are refused: %s', async (part) => {
    const database = await create();
    await database.script(
      `create table schema_steps (
         part text not null, name text not null, applied_at timestamptz not null default now(), primary key (part, name))`,
    );
    await database.query('insert into schema_steps (part, name) select $1, unnest($2::text[])', [
      part,
      DEVELOPMENT_STEPS[part],
    ]);
    const schema = new URL(`../../../src/${part}/schema/`, import.meta.url);
    await expect(applySchema(database, schema)).rejects.toThrow(
      `The database was made by a development version from before the first release: its schema (${part}) has the step ${DEVELOPMENT_STEPS[part][0]}. There is no way to convert it. Use ${EMPTY[database.kind]}, or start the version that made it`,
    );
    const tables = await database.query(
      `select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace`,
    );
    expect(tables).toEqual([{ name: 'schema_steps' }]);
    await database.close();
  });
});

describe('PostgreSQL that goes away', () => {
  test('is unreachable: nothing was applied', async () => {
    const database = createPostgresDatabase({ url: 'postgres://nobody@127.0.0.1:1/none' });
    const failure = await failureOf(database.query('select 1'));
    expect([failure.effect, failure.reason]).toEqual(['not_applied', 'unreachable']);
    await database.close();
  });

  test('in a statement: unknown effect; in a transaction: not applied', async () => {
    const url = await postgres.createDatabase();
    const database = createPostgresDatabase({ url, poolSize: 2 });
    await database.query('select 1');
    const statement = failureOf(database.query('select pg_sleep(20)'));
    const transaction = failureOf(database.transaction((session) => session.query('select pg_sleep(20)')));
    const asleep = `from pg_stat_activity where datname = '${databaseOf(url)}' and query like '%pg_sleep%'`;
    await eventually('both are under way', async () => {
      const [row] = await postgres.execute(`select count(*)::int as count ${asleep} and state = 'active'`);
      return (row as { count: number }).count === 2;
    });
    await postgres.execute(`select pg_terminate_backend(pid) ${asleep}`);
    expect((await statement).effect).toBe('unknown');
    expect((await transaction).effect).toBe('not_applied');
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
    await database.close();
  });

  test('cancels a slow statement', async () => {
    const database = createPostgresDatabase({ url: postgres.url('postgres'), statementTimeoutMs: 500 });
    const failure = await failureOf(database.query('select pg_sleep(20)'));
    expect([failure.effect, failure.details['sqlstate']]).toEqual(['not_applied', '57014']);
    await database.close();
  });
});
