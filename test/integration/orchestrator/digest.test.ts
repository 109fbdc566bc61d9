import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const half = (text: string): bigint =>
  BigInt(`0x${createHash('sha256').update(text).digest('hex').slice(0, 32)}`);
const sum = (texts: readonly string[]): string =>
  (texts.reduce((total, text) => total + half(text), 0n) % 2n ** 128n).toString(16).padStart(32, '0');

describe.each(DATABASES)('the digest on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  async function holding(contents: readonly string[], type = 'fact'): Promise<string> {
    const session_id = `digest-${kind}-${++sessions}`;
    const operations = contents.map(
      (content, position) =>
        `{"action":"create","payload":{"memory_type":"${type}","create_session":true,"position":${position},"content":${content}}}`,
    );
    const { error } = await orchestrator.send(
      `{"action":"batch_write","session_id":"${session_id}","payload":{"operations":[${operations.join()}]}}`,
    );
    expect(error).toBeUndefined();
    return session_id;
  }
  const digest = async (session_id: string, payload: object = {}) => {
    const { data, error } = await orchestrator.ask(
      'digest',
      { fields: ['text', 'n'], ...payload },
      { session_id },
    );
    expect(error).toBeUndefined();
    return data;
  };

  test('excludes nested members, and items with a tag, as requested', async () => {
    const session = await holding(['{"text":"a","metadata":{"by":"x","at":1}}', '{"text":"b","metadata":7}']);
    const without = ['metadata.at', 'text.nothing', 'metadata'];
    expect(await digest(session, { fields: ['text', 'metadata'], without })).toEqual({
      count: 2,
      digest: sum(['{"metadata":{"by":"x"},"text":"a"}', '{"metadata":7,"text":"b"}']),
    });
    const operations = [
      `{"action":"create","payload":{"memory_type":"fact","tags":["hidden"],"position":9,"content":{"text":"c"}}}`,
    ];
    await orchestrator.send(
      `{"action":"batch_write","session_id":"${session}","payload":{"operations":[${operations.join()}]}}`,
    );
    expect(await digest(session, { fields: ['text'], exclude_tags: ['hidden', 'none'] })).toMatchObject({
      count: 2,
    });
    expect(await digest(session, { fields: ['text'] })).toMatchObject({ count: 3 });
  });

  test('is the sum of half SHA-256 digests of the given members, in any order', async () => {
    const [one, two] = ['{"text":"a","n":1,"other":[1]}', '{"n":12345678901234567890,"text":"grüße"}'];
    const session = await holding([one, two]);
    const expected = sum(['{"n":1,"text":"a"}', '{"n":1234567890123456789e1,"text":"grüße"}']);
    expect(await digest(session)).toEqual({ count: 2, digest: expected });
    expect(await digest(await holding([two, one]))).toEqual({ count: 2, digest: expected });
    expect(await digest(session, { fields: ['none'] })).toEqual({ count: 2, digest: sum(['{}', '{}']) });
  });

  test('does not depend on the spelling of keys and numbers, but on every value', async () => {
    const same = ['{"text":"a","n":1000.0}', '{ "n" : 1e3, "text" : "\\u0061" }'];
    const [first, second] = [await holding([same[0] ?? '']), await holding([same[1] ?? ''])];
    expect(await digest(first)).toEqual(await digest(second));
    const other = await holding(['{"text":"a","n":1001}']);
    expect(await digest(other)).not.toEqual(await digest(first));
  });

  test('with ordered depends on the order of positions', async () => {
    const [ab, ba] = [
      await holding(['{"text":"a"}', '{"text":"b"}']),
      await holding(['{"text":"b"}', '{"text":"a"}']),
    ];
    expect(await digest(ab)).toEqual(await digest(ba));
    const expected = createHash('sha256').update('{"text":"a"}\n{"text":"b"}\n').digest('hex').slice(0, 32);
    expect(await digest(ab, { ordered: true })).toEqual({ count: 2, digest: expected });
    expect(await digest(ba, { ordered: true })).not.toEqual(await digest(ab, { ordered: true }));
  });

  test('with tags depends on each tag, but not on their order', async () => {
    const tagged = async (...tags: string[]): Promise<string> => {
      const session_id = `digest-${kind}-${++sessions}`;
      const create = { memory_type: 'fact', create_session: true, position: 1, tags, content: { text: 'a' } };
      const payload = { operations: [{ action: 'create', payload: create }] };
      expect((await orchestrator.ask('batch_write', payload, { session_id })).error).toBeUndefined();
      return session_id;
    };
    const [ab, ba, a] = [await tagged('a', 'b'), await tagged('b', 'a'), await tagged('a')];
    const withTags = (session: string) => digest(session, { with_tags: true });
    expect(await withTags(ab)).toEqual({ count: 1, digest: sum(['{"text":"a"} ["a","b"]']) });
    expect(await withTags(ba)).toEqual(await withTags(ab));
    expect(await withTags(a)).not.toEqual(await withTags(ab));
    expect(await digest(a)).toEqual(await digest(ab));
  });

  test('answers for many sessions in one call, and excludes other types', async () => {
    const [facts, talk] = [await holding(['{"text":"x"}']), await holding(['{"text":"y"}'], 'conversation')];
    const { data } = await orchestrator.ask('digest', {
      fields: ['text'],
      session_ids: [talk, facts, talk, 'nobody'],
      memory_types: ['fact'],
    });
    const nothing = { count: 0, digest: '0'.repeat(32) };
    expect(data).toEqual({
      sessions: [
        { session_id: talk, ...nothing },
        { session_id: facts, count: 1, digest: sum(['{"text":"x"}']) },
        { session_id: 'nobody', ...nothing },
      ],
    });
  });

  test('covers many pages, and handles deleted and escaped memories', async () => {
    const contents = Array.from({ length: 400 }, (_, n) => `{"text":"${'x'.repeat(n)}","n":${n}}`);
    const session_id = await holding(contents);
    expect(await digest(session_id)).toEqual({
      count: 400,
      digest: sum(contents.map((_, n) => `{"n":${canonical(n)},"text":"${'x'.repeat(n)}"}`)),
    });
    await orchestrator.ask('bulk_delete', {}, { session_id });
    expect(await digest(session_id)).toEqual({ count: 0, digest: '0'.repeat(32) });
    const escaped = { memory_type: 'fact', content: { text: 'a\0' }, escape_unstorable: true };
    await orchestrator.ask('create', escaped, { session_id });
    expect(await digest(session_id)).toEqual({ count: 1, digest: sum(['{"text":"a\\u0000"}']) });
  });

  // Trailing zeros go into the exponent: numbers are compared by value, with every digit.
  function canonical(n: number): string {
    const digits = String(n).replace(/0+$/, '');
    const zeros = String(n).length - digits.length;
    return n === 0 || zeros === 0 ? String(n) : `${digits}e${zeros}`;
  }
});
