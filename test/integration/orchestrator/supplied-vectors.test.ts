import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { saying, type SearchedSession, searchedSession } from '../../support/searching.ts';
import { DATABASES } from '../../support/tier.ts';

const embeddings = {
  provider: 'caller',
  caller: { model: 'theirs', dimension: 3 },
  maxTextCharacters: 40,
} as const;
// A PostgreSQL without pgvector compares in this process, and keeps vectors in statements behind the write.
const SETTINGS = {
  pglite: { embeddings },
  postgres: { embeddings, search: { store: 'in_process' } },
} as const;
const EAST = [1, 0, 0];
const NORTH = [0, 1, 0];
const UP = [0, 0, 1];

const stage = createStage();
afterAll(() => stage.stop());

/** How a single create can come: what it carries beside its payload. */
const WAYS: Readonly<Record<string, (index: number) => object>> = {
  alone: () => ({}),
  'under a request_id': (index) => ({ request_id: `named-${index}` }),
  'behind a fence': (index) => ({ lane: { key: 'fenced', generation: 1, sequence: index } }),
};

describe.each(DATABASES)('the vector supplied with a create on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let sessions = 0;

  beforeAll(async () => {
    orchestrator = await stage.start(kind, SETTINGS[kind]);
  });

  async function opened(): Promise<SearchedSession & { readonly id: string }> {
    const id = `${kind}-${++sessions}`;
    const session = searchedSession(orchestrator, id);
    await session.create([saying('up', { embedding: UP })]);
    return { ...session, id };
  }

  const creation = (text: string, embedding: readonly number[], more: object = {}) => ({
    memory_type: 'fact',
    content: { text },
    embedding,
    ...more,
  });

  test.each(Object.keys(WAYS))('is found as soon as the write is answered, sent %s', async (way) => {
    const { id: session_id, search } = await opened();
    for (const [index, [text, vector]] of [['east', EAST] as const, ['north', NORTH] as const].entries()) {
      const envelope = { session_id, ...WAYS[way]?.(sessions * 10 + index) };
      const { error } = await orchestrator.ask('create', creation(text, vector), envelope);
      expect(error).toBeUndefined();
    }
    const { texts, metadata } = await search({ query_vector: [0.1, 2, 0] });
    expect(texts).toEqual(['north', 'east', 'up']);
    expect(metadata['waiting_for_embedding']).toBe(0);
  });

  test('stays with an unchanged text, and is removed with a changed one', async () => {
    const { id: session_id, ask, search } = await opened();
    const ids: string[] = [];
    // What is longer than what is embedded, and what has no text, are looked up behind the write.
    for (const text of ['short', 'a text of which no more than its beginning is ever embedded', 'left'])
      ids.push(
        String((await orchestrator.ask('create', creation(text, EAST), { session_id })).data.memory_id),
      );
    const [short, long, left] = ids;
    for (const memory_id of [short, long]) await ask('update', { memory_id, tags: ['seen'] });
    await ask('update', { memory_id: left, content: { text: 'right' } });
    await eventually('one vector is gone, and the others belong to the version of today', async () => {
      const { ids: found, metadata } = await search({ query_vector: EAST });
      return !found.includes(left ?? '') && metadata['waiting_for_embedding'] === 1;
    });
    const { ids: found } = await search({ query_vector: EAST });
    expect(new Set(found.slice(0, 2))).toEqual(new Set([short, long]));
  });

  test('is not stored for a refused create, and once for a repeated one', async () => {
    const { id: session_id, search } = await opened();
    const send = (text: string, embedding: readonly number[], envelope: object = {}) =>
      orchestrator.ask('create', creation(text, embedding, { memory_id: `${session_id}-one` }), {
        session_id,
        ...envelope,
      });
    const named = { request_id: 'again' };
    const first = await send('east', EAST, named);
    expect(await send('east', EAST, named)).toMatchObject({ data: first.data });
    expect((await send('north', NORTH)).error).toMatchObject({ details: { reason: 'duplicate' } });
    const stranger = await orchestrator.ask('create', creation('north', NORTH), { session_id: 'of-nobody' });
    expect(stranger.error).toMatchObject({ code: 'session_not_found' });
    const { texts, results } = await search({ query_vector: EAST });
    expect(texts).toEqual(['east', 'up']);
    expect(results[0]?.['similarity_score']).toBeCloseTo(1, 5);
  });

  test.each([
    ['a repeated write of a lane', { operation_id: 'a' }],
    ['a repeated delivery', {}],
  ])('of %s does not replace that of a later text', async (_what, named) => {
    const { id: session_id, search } = await opened();
    const memory_id = `${session_id}-one`;
    const lane = { key: session_id, generation: 1, sequence: 1, ...named };
    const operations = [{ action: 'create', payload: creation('east', EAST, { memory_id }) }];
    const write = () => orchestrator.ask('batch_write', { operations }, { session_id, lane });
    await write();
    await orchestrator.ask(
      'update',
      { memory_id, content: { text: 'north' }, embedding: NORTH },
      { session_id },
    );
    await write();
    const { results } = await search({ query_vector: NORTH });
    expect(results[0]).toMatchObject({ memory_id, content: { text: 'north' } });
    expect(results[0]?.['similarity_score']).toBeCloseTo(1, 5);
  });
});
