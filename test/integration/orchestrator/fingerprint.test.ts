import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { digest } from '../../../src/orchestrator/memories/digest.ts';
import { applySchema } from '../../../src/storage/apply-schema.ts';
import {
  createPgliteDatabase,
  createPostgresDatabase,
  type Database,
} from '../../../src/storage/database.ts';

import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { requestWith } from '../../unit/orchestrator/request-with.ts';

const SCHEMA = new URL('../../../src/orchestrator/schema/', import.meta.url);

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres?.stop());

interface Shown {
  readonly session_id: string;
  readonly count: number;
  readonly digest?: string;
  readonly fingerprint?: string;
}

describe.each(DATABASES)('fingerprints on %s', (kind) => {
  let database: Database;
  let made = 0;
  beforeAll(async () => {
    database =
      kind === 'pglite'
        ? createPgliteDatabase()
        : createPostgresDatabase({ url: await postgres.createDatabase(), poolSize: 2 });
    await applySchema(database, SCHEMA);
  });
  afterAll(() => database?.close());

  /** A session of three memories, in their order. */
  async function session(): Promise<string> {
    const id = `s-${++made}`;
    await database.query('insert into sessions (session_id) values ($1)', [id]);
    await database.query(
      `insert into memory_entries (memory_id, session_id, memory_type, content, tags, position)
       select $1 || '-' || n, $1, 'conversation', jsonb_build_object('text', 'text ' || n), array['a', 'b'], n
       from generate_series(1, 3) as n`,
      [id],
    );
    return id;
  }

  async function ask(ids: readonly string[], known: readonly (string | null)[]): Promise<readonly Shown[]> {
    const payload = {
      fields: ['text'],
      session_ids: [...ids],
      exclude_tags: ['hidden'],
      known_fingerprints: [...known],
      ordered: true,
      with_tags: true,
    };
    const request = requestWith('digest', payload);
    const { sessions } = (await digest(database, request)) as { readonly sessions: readonly Shown[] };
    return sessions;
  }

  test('a session with its known fingerprint is not digested, others are', async () => {
    const [one, two] = [await session(), await session()];
    const first = await ask([one, two, 'nobody'], []);
    expect(first.map(({ count }) => count)).toEqual([3, 3, 0]);
    expect(first.every(({ digest: bits }) => bits !== undefined)).toBe(true);
    // The same contents: what a session is called is no part of it.
    expect(first[0]?.fingerprint).toBe(first[1]?.fingerprint);
    await database.query(`update memory_entries set tags = '{c}' where memory_id = $1`, [`${two}-2`]);
    const known = first.map(({ fingerprint = null }) => fingerprint);
    const again = await ask([one, two, 'nobody'], known);
    expect(again[0]).toEqual({ session_id: one, count: 3, fingerprint: known[0] });
    expect(again[1]?.digest).toMatch(/^[0-9a-f]{32}$/);
    expect(again[1]?.digest).not.toBe(first[1]?.digest);
    expect(again[2]).toEqual({ session_id: 'nobody', count: 0, fingerprint: known[2] });
  });

  test.each([
    ['a content', `update memory_entries set content = '{"text": "other"}' where memory_id = $1 || '-2'`],
    [
      'a number’s spelling',
      `update memory_entries set content_text = '{"text": "text 2"} ' where memory_id = $1 || '-2'`,
    ],
    ['a tag', `update memory_entries set tags = tags || array['c'] where memory_id = $1 || '-2'`],
    ['how it is escaped', `update memory_entries set escaped = true where memory_id = $1 || '-2'`],
    ['the order', `update memory_entries set position = 4 - position where session_id = $1`],
    ['a removal', `delete from memory_entries where memory_id = $1 || '-2'`],
    ['a tombstone', `update memory_entries set is_active = false where memory_id = $1 || '-2'`],
    ['an end that has passed', `update memory_entries set expires_at = now() where memory_id = $1 || '-2'`],
    [
      'a tag that hides it',
      `update memory_entries set tags = tags || array['hidden'] where memory_id = $1 || '-2'`,
    ],
    [
      'one that came',
      `insert into memory_entries (memory_id, session_id, memory_type, content) values ($1 || '-4', $1, 'conversation', '{}')`,
    ],
    [
      'another session’s',
      `insert into sessions (session_id) values ($1 || '-new');`,
      `update memory_entries set session_id = $1 || '-new' where memory_id = $1 || '-2'`,
    ],
  ])('%s, changed by a plain statement, changes it', async (_what, ...statements) => {
    const id = await session();
    const [before] = await ask([id], [null]);
    for (const statement of statements) await database.query(statement.replace(/;$/, ''), [id]);
    const [after] = await ask([id], [before?.fingerprint ?? null]);
    expect(after?.fingerprint).not.toBe(before?.fingerprint);
    expect(after?.digest).toBeDefined();
  });

  test('invisible changes do not change it', async () => {
    const id = await session();
    const [before] = await ask([id], [null]);
    await database.query(
      'update memory_entries set priority = 9, version = 7, updated_at = now() where session_id = $1',
      [id],
    );
    expect(await ask([id], [before?.fingerprint ?? null])).toEqual([
      { session_id: id, count: 3, fingerprint: before?.fingerprint },
    ]);
  });
});
