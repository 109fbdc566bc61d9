import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answering, calm, silent } from '../../support/embedding-endpoint.ts';
import { createEmbeddingStage, type EmbeddingStage } from '../../support/embedding-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { saying, searchedSession } from '../../support/searching.ts';

let stage: EmbeddingStage;

const semantic = (query: string) => ({ query, search_type: 'semantic' });
const sentences = (count: number) =>
  Array.from({ length: count }, (_, index) => saying(`sentence number ${index}`));

beforeAll(async () => {
  stage = await createEmbeddingStage();
});

beforeEach(async () => {
  await stage.renew();
  stage.endpoint.mood = calm;
  stage.endpoint.asked.length = 0;
});

afterEach(() => stage.stopAll());

afterAll(() => stage.end());

describe('an OpenAI-compatible endpoint', () => {
  test('gets batches with the key, and its vectors are stored with their memories', async () => {
    const orchestrator = await stage.start(stage.embeddingBy({ apiKey: 'secret' }));
    const session = searchedSession(orchestrator, 'batches');
    await session.create([
      saying('red apples'),
      saying('green pears'),
      saying('blue plums'),
      ...sentences(7),
    ]);
    await session.embedded();
    const { texts, metadata } = await session.search(semantic('green pears'));
    expect(texts[0]).toBe('green pears');
    expect(metadata).toMatchObject({ embedding_model: 'first', query_embedding_dimension: 64 });
    const batches = stage.endpoint.asked.filter(({ texts: asked }) => asked.length > 1);
    expect(batches.length).toBeGreaterThan(1);
    expect(Math.max(...batches.map(({ texts: asked }) => asked.length))).toBeLessThanOrEqual(4);
    expect(new Set(stage.endpoint.asked.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer secret']),
    );
  });

  test('that answers 429 gets the next request not before its wait time', async () => {
    const refused: number[] = [];
    stage.endpoint.mood = (asked, response) => {
      // What was on its way when it began to refuse is refused too.
      if (asked.atMs > (refused[0] ?? Infinity) + 100) return false;
      refused.push(asked.atMs);
      return answering(429, { 'retry-after': '1' })(asked, response);
    };
    const quick = stage.embeddingBy({}, { queryTimeoutMs: 100 });
    const session = searchedSession(await stage.start(quick), 'busy');
    await session.create([saying('one')]);
    await eventually('it has refused', () => performance.now() > (refused[0] ?? Infinity) + 150);
    // What the refusal was not about is not asked either.
    const { texts, metadata } = await session.search({ query: 'one', search_type: 'hybrid' });
    expect(texts).toEqual(['one']);
    expect(metadata).toMatchObject({ fallback: 'query_embedding_timeout' });
    await eventually('the memory is embedded', async () => (await stage.vectorsOf('first')) === 1);
    const next = stage.endpoint.asked[refused.length];
    expect((next?.atMs ?? 0) - (refused.at(-1) ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('that fails for a while delays vectors, loses none, and shows in health', async () => {
    stage.endpoint.mood = answering(500);
    const orchestrator = await stage.start(stage.embeddingBy({ maxTries: 2 }));
    const session = searchedSession(orchestrator, 'outage');
    const [memory_id] = await session.create(sentences(5));
    expect((await session.ask('read', { memory_id })).status).toBe('success');
    const sick = await eventually('the failure shows', async () => {
      const { data } = await orchestrator.ask('health');
      return data['status'] === 'degraded' && data;
    });
    expect((sick['details'] as { reason: string }).reason).toContain('The embedding endpoint answered 500');
    stage.endpoint.mood = calm;
    await session.embedded();
    await eventually('the health is good again', async () => {
      const { data } = await orchestrator.ask('health');
      return data['status'] === 'healthy' && data['vector'] === true;
    });
  });

  test.each(['semantic', 'hybrid'])('that hangs does not hang a %s search', async (search_type) => {
    const quick = stage.embeddingBy({}, { queryTimeoutMs: 300 });
    const session = searchedSession(await stage.start(quick), 'hanging');
    await session.create([saying('red apples')]);
    await session.embedded();
    stage.endpoint.mood = silent;
    const startedMs = performance.now();
    const { texts, metadata } = await session.search({ query: 'apples', search_type });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    expect(texts).toEqual(['red apples']);
    expect(metadata).toMatchObject({
      search_type: 'keyword',
      requested: search_type,
      fallback: 'query_embedding_timeout',
    });
  });

  test('that refuses one text keeps the others from waiting for it', async () => {
    stage.endpoint.mood = (asked, response) =>
      asked.texts.includes('poison') && answering(400)(asked, response);
    const session = searchedSession(await stage.start(), 'refused');
    await session.create([saying('one'), saying('two'), saying('poison'), saying('three'), saying('four')]);
    await session.embedded();
    const { texts } = await session.search(semantic('one'));
    expect(texts.toSorted()).toEqual(['four', 'one', 'three', 'two']);
    expect((await session.search({ query: 'poison' })).texts).toEqual(['poison']);
  });

  test('never gets more of a text than the limit', async () => {
    const session = searchedSession(
      await stage.start(stage.embeddingBy({}, { maxTextCharacters: 20 })),
      'long',
    );
    await session.create([saying(`${'x'.repeat(19)}😀${'y'.repeat(1_000)}`)]);
    await session.embedded();
    const asked = stage.endpoint.asked.flatMap(({ texts }) => texts).filter((text) => text !== 'anything');
    expect(asked).toEqual(['x'.repeat(19)]);
  });
});

describe('embedding continues', () => {
  test('after a restart, without repeating existing vectors', async () => {
    let allowed = 3;
    stage.endpoint.mood = (asked, response) => allowed-- <= 0 && answering(503)(asked, response);
    const before = searchedSession(await stage.start(stage.embeddingBy({ maxTries: 1 })), 'interrupted');
    await before.create(sentences(40));
    await eventually('some are embedded', async () => (await stage.vectorsOf('first')) === 12);
    await stage.stopAll();
    stage.endpoint.mood = calm;
    const alreadyAsked = stage.endpoint.asked.length;
    const after = searchedSession(await stage.start(), 'interrupted');
    await eventually('all are embedded', async () => (await stage.vectorsOf('first')) === 40);
    const again = stage.endpoint.asked.slice(alreadyAsked).flatMap(({ texts }) => texts);
    expect(again.filter((text) => text.startsWith('sentence'))).toHaveLength(28);
    expect((await after.search(semantic('sentence number 39'))).total).toBe(40);
  });

  test('for memories written while it was off', async () => {
    const off = searchedSession(await stage.start({ provider: 'off' }), 'turned on');
    await off.create(sentences(10));
    await stage.stopAll();
    expect(stage.endpoint.asked).toEqual([]);
    const on = searchedSession(await stage.start(), 'turned on');
    await on.embedded();
    expect((await on.search(semantic('sentence'))).total).toBe(10);
  });

  test('only for texts that changed', async () => {
    const session = searchedSession(await stage.start(), 'changes');
    const [memory_id] = await session.create([saying('the same text')]);
    await session.embedded();
    // The first sweep and the loop of the writes may both ask for a text that was written at the start.
    stage.endpoint.asked.length = 0;
    await session.ask('update', { memory_id, tags: ['new'] });
    await session.embedded();
    await session.ask('update', { memory_id, content: { text: 'another text' } });
    await session.embedded();
    const asked = stage.endpoint.asked.flatMap(({ texts }) => texts).filter((text) => text !== 'anything');
    expect(asked).toEqual(['another text']);
  });
});
