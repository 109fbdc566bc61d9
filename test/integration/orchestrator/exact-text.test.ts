import { PGlite } from '@electric-sql/pglite';
import fc from '../../support/properties.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exactTextOf } from '../../../src/orchestrator/wire/exact-text.ts';
import { type GuardedOrchestrator, startGuarded } from '../../support/access.ts';

const withoutSpace = (text: string): string => text.replaceAll(/\s/g, '');

describe('a content that jsonb would change', () => {
  let database: PGlite;
  beforeAll(async () => {
    database = new PGlite();
    await database.waitReady;
  });
  afterAll(() => database.close());

  test.each([
    ['{"text":"1e16, -0.0 {\\"b\\":1,\\"a\\":2}","n":[1000.0,-1,0.0,12345678901234567890]}', false],
    ['{"z":1,"a":{"b":1,"aa":{"é":1,"aaa":2}},"list":[{"a":1},{"a":1}]}', false],
    ['{"n":1e3}', true],
    ['{"n":[1E-5]}', true],
    ['{"n":-0}', true],
    ['{"n":{"m":-0.00}}', true],
    ['{"m":{"type":1,"text":2}}', true],
    ['{"m":[[{"a":1,"a":1}]]}', true],
    ['{"m":{"a":1,"\\u0061":2}}', true],
    ['{"m":{"aa":2,"é":1,"aaa":3}}', false],
    ['{"m":{"é":1,"aa":2}}', true],
  ])('%s: %s', (text, isChanged) => {
    expect(exactTextOf(text)).toBe(isChanged ? text : undefined);
  });

  test('is recognised for any content', async () => {
    const key = fc.constantFrom('a', 'b', 'aa', 'ab', 'é', 'ö', '10', '2', '😀', '');
    const number = fc.constantFrom(
      '0',
      '-0',
      '-0.0',
      '1.50',
      '1e2',
      '-3E-1',
      '12345678901234567890',
      '-7',
      '0.0',
    );
    const { object } = fc.letrec<{ object: string; value: string }>((tie) => ({
      value: fc.oneof(number, fc.constantFrom('"x"', 'true', 'null', '[]', '{}'), tie('object')),
      object: fc
        .array(fc.tuple(key, tie('value')), { maxLength: 4 })
        .map((members) => `{${members.map(([name, text]) => `${JSON.stringify(name)}:[${text}]`).join()}}`),
    }));
    const contents = fc.sample(object, { numRuns: 1_000, seed: 7 }).map((inner) => `{"memory":${inner}}`);
    const { rows } = await database.query<{ text: string }>(
      'select content::jsonb::text as text from unnest($1::text[]) with ordinality as c (content, place) order by place',
      [contents],
    );
    const changed = rows.map(({ text }, index) => withoutSpace(text) !== contents[index]);
    expect(changed.filter(Boolean).length).toBeGreaterThan(100);
    expect(changed.filter((isChanged) => !isChanged).length).toBeGreaterThan(100);
    expect(contents.map((content) => exactTextOf(content) !== undefined)).toEqual(changed);
  });
});

describe('the text of a content', () => {
  let orchestrator: GuardedOrchestrator;
  beforeAll(async () => {
    orchestrator = await startGuarded({});
  });
  afterAll(() => orchestrator.stop());

  const EXACT = '{"text":"x","n":{"b":1e16,"a":-0.0}}';

  async function send(action: string, session: string, payload: string): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/v1/${action}`, {
      method: 'POST',
      body: `{"session_id":"${session}","payload":${payload}}`,
    });
    expect(response.status).toBe(200);
    return response.text();
  }
  const create = (session: string, content: string) =>
    send(
      'create',
      session,
      `{"memory_id":"${session}","memory_type":"fact","create_session":true,"content":${content}}`,
    );
  const kept = async (session: string) => {
    const [row] = await orchestrator.database.query<{ content_text: string | null }>(
      'select content_text from memory_entries where memory_id = $1',
      [session],
    );
    return row?.content_text;
  };

  test('is stored only if jsonb would change it', async () => {
    await create('plain', '{"text":"x","n":1000.0,"a":{"b":1,"c":2}}');
    expect(await kept('plain')).toBeNull();
    await create('exact', EXACT);
    expect(await kept('exact')).toBe(EXACT);
  });

  test('is returned by every read', async () => {
    await create('read', EXACT);
    for (const [action, payload] of [
      ['read', '{"memory_id":"read"}'],
      ['batch_read', '{}'],
      ['scan', '{}'],
      ['search', '{"query":"x","search_type":"keyword"}'],
    ] as const)
      expect([action, await send(action, 'read', payload)]).toEqual([action, expect.stringContaining(EXACT)]);
  });

  test('follows every update of the content, and no other', async () => {
    await create('updated', EXACT);
    await send('update', 'updated', '{"memory_id":"updated","priority":7}');
    expect(await kept('updated')).toBe(EXACT);
    await send('update', 'updated', '{"memory_id":"updated","content":{"text":"y"}}');
    expect(await kept('updated')).toBeNull();
    await send('update', 'updated', `{"memory_id":"updated","content":${EXACT}}`);
    expect(await kept('updated')).toBe(EXACT);
  });

  test('does not hide changes by another program', async () => {
    await create('altered', EXACT);
    await orchestrator.database.query(
      `update memory_entries set content = jsonb_set(content, '{n,a}', '5') where memory_id = 'altered'`,
    );
    expect(await send('read', 'altered', '{"memory_id":"altered"}')).toContain('"a": 5');
  });

  test('may contain escapes', async () => {
    const content = '{"text":"a\\u0000b","n":{"b":NaN,"a":1E5}}';
    const payload = `{"memory_type":"fact","create_session":true,"escape_unstorable":true,"content":${content}}`;
    await send('create', 'escaped', payload);
    expect(await send('batch_read', 'escaped', '{}')).toContain(content);
  });
});
