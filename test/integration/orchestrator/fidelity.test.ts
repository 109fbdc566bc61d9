import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOrchestratorClient } from '../../../src/backends/orchestrator.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import type { SessionId } from '../../../src/domain/ids.ts';
import { Json, parseTolerantly, rawElements, rawMembers } from '../../../src/domain/json.ts';
import { type Answer, createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const REFUSED = { code: 'validation_error', details: { effect: 'rejected' } };

/** The content of the only memory of a batch_read, as text and without the space that PostgreSQL adds. */
function contentText({ text }: Answer): string {
  const [memory] = rawElements(rawMembers(rawMembers(text)['data'] ?? '')['memories'] ?? '');
  return (rawMembers(memory ?? '')['content'] ?? '').replaceAll(/([:,]) /g, '$1');
}

describe.each(DATABASES)('writes of agents on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  /** Creates one memory of this content text and reads it back. */
  async function roundTrip(content: string, more: object = {}): Promise<string> {
    const session_id = `fidelity-${kind}-${++sessions}`;
    const payload = JSON.stringify({ memory_type: 'fact', create_session: true, ...more, content: 0 });
    const text = `{"action":"create","session_id":"${session_id}","payload":${payload.replace('"content":0', () => `"content":${content}`)}}`;
    const created = await orchestrator.send(text);
    expect([created.status, created.error]).toEqual(['success', undefined]);
    return contentText(await orchestrator.ask('batch_read', {}, { session_id }));
  }

  const create = (payload: object) =>
    orchestrator.ask(
      'create',
      { memory_type: 'fact', content: {}, create_session: true, ...payload },
      { session_id: `limits-${kind}` },
    );

  test.each([
    '{"n":123456789012345678901234567890}',
    '{"n":1000.0}',
    '{"n":0.1000000000000000055511151231257827}',
    '{"n":-9007199254740993}',
    '{"n":[1e16,1E22,1e-7,1e400],"zero":-0.0}',
    '{"memory":{"type":"note","text":"x","10":1,"9":[{"b":1,"a":2}]}}',
    '{"memory":{"a":1,"a":2}}',
    '{"text":"grüße 🐘 \\"quoted\\" \\\\ end"}',
    '{"list":[[],{},null,true,false,""]}',
  ])('is returned exactly: %s', async (content) => {
    expect(await roundTrip(content)).toBe(content);
  });

  test('is returned exactly after batch_write and update', async () => {
    const session_id = `fidelity-batch-${kind}`;
    const content = '{"n":1000.0,"big":98765432109876543210}';
    const create_ = `{"action":"create","payload":{"memory_type":"fact","create_session":true,"memory_id":"raw-${kind}","content":{"n":1}}}`;
    const update = `{"action":"update","payload":{"memory_id":"raw-${kind}","content":${content}}}`;
    await orchestrator.send(
      `{"payload":{"operations":[ ${create_} , ${update} ]},"session_id":"${session_id}","action":"batch_write"}`,
    );
    const answer = await orchestrator.ask('batch_read', {}, { session_id });
    expect(contentText(answer)).toBe('{"n":1000.0,"big":98765432109876543210}');
  });

  const UNSTORABLE = [
    '{"text":"a\\u0000b"}',
    '{"text":"half \\ud83d"}',
    '{"\\ude00":1}',
    '{"n":NaN}',
    '{"n":[-Infinity]}',
  ];

  test.each(UNSTORABLE)('is refused by name when it cannot be stored: %s', async (content) => {
    const session_id = `refused-${kind}`;
    const answer = await orchestrator.send(
      `{"action":"create","session_id":"${session_id}","payload":{"memory_type":"fact","create_session":true,"content":${content}}}`,
    );
    expect(answer.error).toMatchObject({
      ...REFUSED,
      details: { reason: 'unstorable_text', field: 'content', effect: 'rejected' },
    });
    expect((await orchestrator.ask('scan', {}, { session_id })).data['session']).toBeNull();
  });

  test.each([...UNSTORABLE, '{"text":"\\ue000 \\u0000 Me000"}'])(
    'is returned unchanged with the escape: %s',
    async (content) => {
      const back = await roundTrip(content, { escape_unstorable: true });
      const values = (text: string) => JSON.stringify(JSON.parse(text.replaceAll(/NaN|-Infinity/g, '"$&"')));
      expect(values(back)).toBe(values(content));
    },
  );

  test.each(['tcp', 'http'] as const)(
    'reaches the proxy with its NaN and Infinity over %s',
    async (protocol) => {
      const port = protocol === 'tcp' ? orchestrator.port : orchestrator.httpPort;
      const client = createOrchestratorClient({
        endpoint: `${protocol}://127.0.0.1:${port}`,
        clock: systemClock,
      });
      const sessionId = `client-${protocol}-${kind}` as SessionId;
      const content = '{"n":[NaN,-Infinity,1000.0],"metadata":{"b":NaN}}';
      const payload = { memory_type: 'fact', create_session: true, escape_unstorable: true };
      const options = { purpose: 'live', deadlineAtMs: systemClock.now() + 5_000 } as const;
      await client.start();
      try {
        const create = {
          action: 'create',
          sessionId,
          payload: { ...payload, content: new Json(content) },
        } as const;
        expect(await client.batchWrite([create], options)).toEqual([{ result: 'applied' }]);
        const scan = await client.read({ action: 'scan', sessionId, payload: {} }, options);
        const [item = ''] = rawElements(rawMembers(scan.text)['items'] ?? '');
        const [stored, sent] = [rawMembers(item)['content'] ?? '', content].map(parseTolerantly);
        expect(stored).toEqual(sent);
      } finally {
        await client.stop();
      }
    },
  );

  test('is escaped in the metadata of a session and in an update too', async () => {
    const session_id = `escaped-${kind}`;
    const metadata = { device: 'a\0b' };
    const payload = { user_id: 'u', session_metadata: metadata };
    const refused = await orchestrator.ask('create_session', payload, { session_id });
    expect(refused.error.details).toMatchObject({ reason: 'unstorable_text', field: 'session_metadata' });
    await orchestrator.ask('create_session', { ...payload, escape_unstorable: true }, { session_id });
    const { memory_id } = (
      await orchestrator.ask('create', { memory_type: 'fact', content: { text: 'plain' } }, { session_id })
    ).data;
    const content = { text: 'nul \0 nul' };
    await orchestrator.ask('update', { memory_id, content, escape_unstorable: true }, { session_id });
    const { data } = await orchestrator.ask('scan', {}, { session_id });
    expect(data['session']).toMatchObject({ session_metadata: metadata });
    expect(data.items[0]?.content).toEqual(content);
    const { data: summary } = await orchestrator.ask('summarize', {}, { session_id });
    // A summary may be stored as text: it does without.
    expect(summary['summary']).toBe('nul  nul');
  });

  test.each([
    ['tags', { tags: ['a\0'] }],
    ['user_id', { user_id: '\ud83d' }],
    ['memory_id', { memory_id: 'm\0' }],
  ])('cannot be escaped in %s and is refused there', async (field, payload) => {
    const { error } = await create({ ...payload, escape_unstorable: true });
    expect(error).toMatchObject({ ...REFUSED, details: { reason: 'unstorable_text', field } });
  });

  const LIMITS: [field: string, payload: object, limit: number][] = [
    ['memory_id', { memory_id: 'x'.repeat(65) }, 64],
    ['user_id', { user_id: 'x'.repeat(65) }, 64],
    ['tags.1', { tags: ['a', 'x'.repeat(65)] }, 64],
    ['memory_type', { memory_type: 'x'.repeat(33) }, 32],
    ['content.source_agent', { content: { source_agent: 'x'.repeat(65) } }, 64],
    ['content', { content: { text: 'x'.repeat(1024 * 1024) } }, 1024 * 1024],
    ['priority', { priority: 11 }, 10],
    ['priority', { priority: 0 }, 1],
    ['ttl', { ttl: 0 }, 1],
    ['position', { position: 2 ** 53 }, 2 ** 53 - 1],
  ];
  test.each(LIMITS)(
    '%s beyond its limit is refused, naming field and limit',
    async (field, payload, limit) => {
      const { error } = await create(payload);
      expect(error).toMatchObject({ ...REFUSED, details: { field, limit } });
      expect(error.message).toContain(field);
    },
  );

  test.each([
    ['batch_read', { filter: { limit: 1_001 } }, 'filter.limit', 1_000],
    ['scan', { limit: 0 }, 'limit', 1],
    ['search', { query: 'x', filters: { limit: 1_001 } }, 'filters.limit', 1_000],
    ['search', { query: '' }, 'query', 1],
  ])('%s with %o is refused, naming field and limit', async (action, payload, field, limit) => {
    const { error } = await orchestrator.ask(action, payload, { session_id: 'any' });
    expect(error).toMatchObject({ ...REFUSED, details: { field, limit } });
  });

  test.each([
    [{ memory_type: 'Upper' }, 'memory_type'],
    [{ content: 'text' }, 'content'],
    [{ content: undefined }, 'content'],
    [{ created_at: 'yesterday' }, 'created_at'],
    [{ tags: 'a' }, 'tags'],
  ])('%o is refused with the name of its field', async (payload, field) => {
    expect((await create(payload)).error).toMatchObject({ ...REFUSED, details: { field } });
  });

  test('can be a megabyte in any script and still be found', async () => {
    const words = Array.from({ length: 90_000 }, (_, index) => `wörd${index.toString(36)}`).join('-');
    expect(await roundTrip(JSON.stringify({ text: words }))).toContain('wörd100');
    expect(await roundTrip(JSON.stringify({ text: '漢'.repeat(340_000) }))).toContain('漢');
  });
});
