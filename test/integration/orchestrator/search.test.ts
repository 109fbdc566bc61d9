import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { saying, type SearchedSession, searchedSession } from '../../support/searching.ts';

const HOUR_MS = 3_600_000;
// A busy machine may need longer for a sentence than a query is given otherwise.
const BUILTIN = { embeddings: { provider: 'builtin', queryTimeoutMs: 20_000 } } as const;

const BIKE = 'Repairing the chain of a bicycle';
const PARIS = 'The capital of France is Paris';
const PASTA = 'A recipe for pasta with tomatoes and basil';
const DOG = 'My dog is afraid of thunderstorms';
const BANK = 'The meeting with the bank is on Tuesday at nine';
const TEA = 'She prefers tea over coffee in the morning';
const SENTENCES = [BIKE, PARIS, PASTA, DOG, BANK, TEA];

const stage = createStage();
let orchestrator: TestOrchestrator;
let sentences: SearchedSession;
let sessions = 0;

async function holding(memories: readonly object[]): Promise<SearchedSession & { readonly made: string[] }> {
  const session = searchedSession(orchestrator, `session-${++sessions}`);
  const made = await session.create(memories);
  await session.embedded();
  return { ...session, made };
}

const semantic = (query: string, more: object = {}) => ({ query, search_type: 'semantic', ...more });
const hybrid = (query: string, more: object = {}) => ({ query, search_type: 'hybrid', ...more });

beforeAll(async () => {
  orchestrator = await stage.start('pglite', BUILTIN);
  sentences = await holding(SENTENCES.map((text) => saying(text)));
});

afterAll(() => stage.stop());

describe('a semantic search', () => {
  test.each([
    ['How do I fix my bike?', BIKE],
    ['Which city does the French government sit in?', PARIS],
    ['Italian noodles for dinner', PASTA],
    ['pets and loud weather', DOG],
    ['appointment about money', BANK],
    ['what does she like to drink', TEA],
  ])('finds what means the same in other words: %s', async (query, expected) => {
    const { texts, total, metadata } = await sentences.search(semantic(query));
    expect(texts[0]).toBe(expected);
    expect(texts).toHaveLength(SENTENCES.length);
    expect(total).toBe(SENTENCES.length);
    expect(metadata).toEqual({
      search_type: 'semantic',
      requested: 'semantic',
      embedding_model: 'universal-sentence-encoder-lite',
      query_embedding_dimension: 512,
      min_similarity_applied: false,
      vector_store: 'pgvector',
      exact: true,
      waiting_for_embedding: 0,
      waiting_is_estimate: false,
      total_is_lower_bound: false,
    });
  });

  test('returns the nearest first, and nothing below min_similarity', async () => {
    const all = await sentences.search(semantic('How do I fix my bike?'));
    const scores = all.results.map(({ similarity_score }) => similarity_score as number);
    expect(scores).toEqual(scores.toSorted((one, other) => other - one));
    const near = await sentences.search(
      semantic('How do I fix my bike?', { filters: { min_similarity: 0.5 } }),
    );
    expect(near.texts).toEqual([BIKE]);
    expect(near.total).toBe(1);
    expect(near.metadata['min_similarity_applied']).toBe(true);
    const none = await sentences.search(
      semantic('How do I fix my bike?', { filters: { min_similarity: 1 } }),
    );
    expect(none).toMatchObject({ texts: [], total: 0 });
  });

  test('returns pages that together are complete, each memory once', async () => {
    const whole = await sentences.search(semantic('food'));
    const pages = [];
    for (let offset = 0; offset < 8; offset += 2)
      pages.push(await sentences.search(semantic('food', { filters: { limit: 2, offset } })));
    expect(pages.flatMap(({ texts }) => texts)).toEqual(whole.texts);
    expect(pages.slice(0, 3).map(({ total }) => total)).toEqual([6, 6, 6]);
  });

  test('obeys every filter', async () => {
    const old = new Date(Date.now() - 48 * HOUR_MS).toISOString();
    const { search, made } = await holding([
      saying('apples', { memory_type: 'fact', tags: ['a'] }),
      saying('pears', { memory_type: 'context', tags: ['a', 'b'] }),
      { content: { text: 'plums', metadata: { ripe: true } }, memory_type: 'entity' },
      saying('cherries', { created_at: old, updated_at: old }),
      saying('grapes', { user_id: 'nobody', position: 9 }),
    ]);
    const found = async (filters: object) => (await search(semantic('fruit', { filters }))).texts.toSorted();
    expect(await found({})).toHaveLength(5);
    expect(await found({ memory_types: ['fact', 'entity'] })).toEqual(['apples', 'plums']);
    expect(await found({ tags: ['a'] })).toEqual(['apples', 'pears']);
    expect(await found({ tags: ['a', 'b'] })).toEqual(['pears']);
    expect(await found({ metadata: { ripe: true } })).toEqual(['plums']);
    expect(await found({ older_than: 3_600 })).toEqual(['cherries']);
    expect(await found({ time_range: { end: old } })).toEqual([]);
    expect(await found({ memory_ids: [made[0], made[4]] })).toEqual(['apples', 'grapes']);
    expect(await found({ position_below: 2 })).toEqual(['apples', 'pears']);
  });

  test('never shows deleted or expired memories, or those of another session', async () => {
    const { search, ask, made } = await holding([saying('a red car'), saying('a blue car'), saying('a van')]);
    const expires_at = new Date(Date.now() - HOUR_MS).toISOString();
    await ask('delete', { memory_id: made[0] });
    await ask('update', { memory_id: made[1], expires_at });
    for (const question of [semantic('vehicle'), semantic('vehicle', { exact: true }), hybrid('car or van')])
      expect((await search(question)).texts).toEqual(['a van']);
  });

  test('takes the vector of a caller instead of a query', async () => {
    const first = await sentences.search(semantic('How do I fix my bike?'));
    const query_vector = Array.from({ length: 512 }, (_, index) => Math.cos(index));
    const found = await sentences.search({ query_vector });
    expect(found.metadata).toMatchObject({ search_type: 'semantic', requested: 'semantic' });
    expect(found.texts).toHaveLength(6);
    expect(found.results).not.toEqual(first.results);
    for (const [payload, field] of [
      [{ query_vector: [1, 2, 3] }, 'query_vector'],
      [{ query_vector: query_vector.map(() => 0) }, 'query_vector'],
      [{ query_vector, search_type: 'hybrid' }, 'query'],
      [{}, 'query'],
    ] as const) {
      const { error } = await sentences.ask('search', payload);
      expect(error).toMatchObject({ code: 'validation_error', details: { field } });
    }
  });

  test('follows a memory whose text changes or is removed', async () => {
    const { search, ask, made, embedded } = await holding([saying('a bicycle'), saying('a cathedral')]);
    await ask('update', { memory_id: made[0], content: { text: 'a symphony by Mozart' } });
    await ask('update', { memory_id: made[1], content: { metadata: {} } });
    await embedded();
    const { texts, results } = await search(semantic('classical music'));
    expect(texts).toEqual(['a symphony by Mozart']);
    expect(results[0]?.['similarity_score']).toBeGreaterThan(0.3);
  });

  test('says how many memories wait, while they are already readable', async () => {
    const session = searchedSession(orchestrator, 'waiting');
    const made = await session.create(Array.from({ length: 60 }, (_, index) => saying(`sentence ${index}`)));
    const { metadata, total } = await session.search(semantic('sentence'));
    expect(metadata['waiting_for_embedding']).toBe(60 - total);
    expect((await session.ask('read', { memory_id: made[59] })).status).toBe('success');
    await session.embedded();
    expect((await session.search(semantic('sentence'))).total).toBe(60);
  });
});

describe('a hybrid search', () => {
  test('ranks memories first that words and meaning find', async () => {
    const { search } = await holding([
      saying('Fixing a flat tyre on a bicycle'),
      saying('The invoice number is QX-7731'),
      saying('How do whales sleep?'),
    ]);
    const both = await search(hybrid('bicycle repair'));
    expect(both.texts[0]).toBe('Fixing a flat tyre on a bicycle');
    expect(both.results[0]).toMatchObject({ similarity_score: 1 });
    expect(both.metadata).toMatchObject({ search_type: 'hybrid', requested: 'hybrid', exact: true });
    const number = await search(hybrid('which invoice was QX-7731?'));
    expect(number.texts[0]).toBe('The invoice number is QX-7731');
  });

  test('finds by words what is not similar enough', async () => {
    const { search } = await holding([saying('zyzzyva'), saying('a bicycle')]);
    const { texts, results } = await search(hybrid('zyzzyva', { filters: { min_similarity: 0.999999 } }));
    expect(texts[0]).toBe('zyzzyva');
    expect(results[0]?.['similarity_score']).toBeLessThanOrEqual(1);
  });

  test('returns pages that together are complete', async () => {
    const memories = Array.from({ length: 9 }, (_, index) =>
      saying(`${index % 2 ? 'car' : 'boat'} ${index}`),
    );
    const { search } = await holding(memories);
    const whole = await search(hybrid('a car'));
    expect(whole.total).toBe(9);
    const pages = [];
    for (let offset = 0; offset < 12; offset += 4)
      pages.push(await search(hybrid('a car', { filters: { limit: 4, offset } })));
    expect(pages.flatMap(({ ids }) => ids)).toEqual(whole.ids);
  });
});

describe('through the index', () => {
  test('filters lose nothing compared with an exact search', { timeout: 90_000 }, async () => {
    const indexed = await stage.start('pglite', { ...BUILTIN, search: { exactBelow: 0 } });
    const session = searchedSession(indexed, 'indexed');
    const topics = ['music', 'cooking', 'weather', 'football', 'banking'];
    await session.create(
      Array.from({ length: 300 }, (_, index) =>
        saying(`${topics[index % 5]} ${index}`, { tags: index % 50 === 0 ? ['rare'] : [] }),
      ),
    );
    await session.embedded();
    const question = (more: object) => semantic('a symphony', { filters: { limit: 10, ...more } });
    const near = await session.search(question({}));
    expect(near.metadata).toMatchObject({
      exact: false,
      vector_store: 'pgvector',
      total_is_lower_bound: true,
    });
    const exact = await session.search({ ...question({}), exact: true });
    expect(exact.metadata).toMatchObject({ exact: true, total_is_lower_bound: false });
    expect(exact.total).toBe(300);
    expect(near.ids.filter((id) => exact.ids.includes(id)).length).toBeGreaterThanOrEqual(9);
    for (const offset of [0, 40]) {
      const page = hybrid('a symphony 7', { filters: { limit: 40, offset } });
      const [byIndex, byAll] = [await session.search(page), await session.search({ ...page, exact: true })];
      expect(byIndex.metadata).toMatchObject({ exact: false, search_type: 'hybrid' });
      // Of its 100 nearest the index may miss one, and those behind it move up.
      const found = byIndex.ids.filter((id) => byAll.ids.includes(id));
      expect(found.length).toBeGreaterThanOrEqual(36);
    }
    // Six of 300 pass: the index alone would run dry among the others.
    const rare = await session.search(question({ tags: ['rare'] }));
    expect(rare.texts).toHaveLength(6);
    expect(rare.ids).toEqual((await session.search({ ...question({ tags: ['rare'] }), exact: true })).ids);
  });

  test('a user whose many memories become few again gets exact results', async () => {
    const embeddings = { provider: 'caller', caller: { model: 'theirs', dimension: 3 } } as const;
    const crowded = await stage.start('pglite', { embeddings, search: { exactBelow: 3 } });
    const session = searchedSession(crowded, 'crowd');
    const ids = await session.create(
      Array.from({ length: 6 }, (_, index) => saying(`${index}`, { embedding: [1, index, 0] })),
    );
    const nearest = (limit: number) => session.search({ query_vector: [1, 0, 0], filters: { limit } });
    expect((await nearest(4)).metadata).toMatchObject({ exact: false, waiting_is_estimate: true });
    for (const memory_id of ids.slice(0, 4)) await session.ask('delete', { memory_id });
    expect((await nearest(4)).texts).toEqual(['4', '5']);
    expect((await nearest(1)).texts).toEqual(['4']);
  });
});

describe('without semantic search', () => {
  test.each(['semantic', 'hybrid'])(
    'a %s search without pgvector is answered by keywords with the reason',
    async (search_type) => {
      const without = await stage.start('postgres', BUILTIN);
      const session = searchedSession(without, 'words');
      await session.create([saying(BIKE), saying(PARIS)]);
      const { texts, metadata } = await session.search({ query: 'bicycle', search_type });
      expect(texts).toEqual([BIKE]);
      expect(metadata).toMatchObject({
        search_type: 'keyword',
        requested: search_type,
        fallback: 'no_vector_store',
      });
      const { data } = await without.ask('health');
      expect(data).toMatchObject({ status: 'degraded', vector: false });
      expect(data['details']).toMatchObject({
        reason: 'pgvector is not installed, so semantic search is off',
      });
    },
  );

  test('a PostgreSQL without pgvector can compare in this process', async () => {
    const without = await stage.start('postgres', { ...BUILTIN, search: { store: 'in_process' } });
    const session = searchedSession(without, 'in process');
    await session.create(SENTENCES.map((text) => saying(text)));
    await session.embedded();
    const { texts, metadata } = await session.search(semantic('How do I fix my bike?'));
    expect(texts[0]).toBe(BIKE);
    expect(metadata).toMatchObject({ search_type: 'semantic', vector_store: 'in_process', exact: true });
    expect((await without.ask('health')).data).toMatchObject({ vector: true });
  });

  test('with embedding off nothing is embedded, and keywords answer', async () => {
    const off = await stage.start('pglite');
    const session = searchedSession(off, 'off');
    await session.create([saying(BIKE)]);
    const { texts, metadata } = await session.search(semantic('bicycle'));
    expect(texts).toEqual([BIKE]);
    expect(metadata).toMatchObject({ search_type: 'keyword', fallback: 'embedding_off' });
  });
});
