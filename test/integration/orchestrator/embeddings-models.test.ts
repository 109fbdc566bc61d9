import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { answering, calm } from '../../support/embedding-endpoint.ts';
import { createEmbeddingStage, type EmbeddingStage } from '../../support/embedding-stage.ts';
import { eventually } from '../../support/eventually.ts';
import { settingsWith, type TestOrchestrator } from '../../support/orchestrator.ts';
import { saying, type SearchedSession, searchedSession } from '../../support/searching.ts';

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

async function detailsOf(orchestrator: TestOrchestrator): Promise<Record<string, unknown>> {
  const { data } = await orchestrator.ask('health');
  return (data['details'] as { embeddings: Record<string, unknown> }).embeddings;
}

describe('a change of the model', () => {
  const filled = (orchestrator: TestOrchestrator) =>
    eventually('the new model serves', async () => {
      const { serving } = await detailsOf(orchestrator);
      return (serving as { model: string }).model === 'second';
    });

  test('keeps the old vectors until all new ones exist, also after a restart', async () => {
    const before = searchedSession(await stage.start(), 'change');
    await before.create([saying('red apples'), ...sentences(30)]);
    await before.embedded();
    await stage.stopAll();
    let allowed = 3;
    stage.endpoint.mood = (asked, response) =>
      asked.model === 'second' && allowed-- <= 0 && answering(503)(asked, response);
    const changing = await stage.start(stage.embeddingBy({ model: 'second', maxTries: 1 }));
    const during = searchedSession(changing, 'change');
    await eventually('the second model has begun', async () => (await stage.vectorsOf('second')) === 12);
    const old = await during.search(semantic('red apples'));
    expect(old.metadata).toMatchObject({
      embedding_model: 'first',
      query_embedding_dimension: 64,
      waiting_for_embedding: 0,
    });
    expect(old.texts[0]).toBe('red apples');
    expect(old.total).toBe(31);
    // Known once an attempt finds how many are left.
    await eventually('the progress is told', async () => {
      const { serving, filling } = await detailsOf(changing);
      return (
        (serving as { model: string }).model === 'first' &&
        (filling as { looked_at: number }).looked_at === 12
      );
    });
    await stage.stopAll();
    stage.endpoint.mood = calm;
    const alreadyAsked = stage.endpoint.asked.length;
    const changed = await stage.start(stage.embeddingBy({ model: 'second' }, { keepRetiredSeconds: 0 }));
    await filled(changed);
    expect(stage.endpoint.asked.slice(alreadyAsked).flatMap(({ texts }) => texts)).toHaveLength(31 - 12);
    const after = await searchedSession(changed, 'change').search(semantic('red apples'));
    expect(after.metadata).toMatchObject({ embedding_model: 'second', query_embedding_dimension: 96 });
    expect(after.texts[0]).toBe('red apples');
    expect(after.total).toBe(31);
    await eventually('the old vectors are gone', async () => (await stage.vectorsOf('first')) === 0);
  });

  test('is not delayed by an old model that no longer answers', async () => {
    const before = searchedSession(await stage.start(), 'dead');
    await before.create(sentences(6));
    await before.embedded();
    await stage.stopAll();
    stage.endpoint.mood = (asked, response) => asked.model === 'first' && answering(500)(asked, response);
    const changed = await stage.start(stage.embeddingBy({ model: 'second', maxTries: 1 }));
    await filled(changed);
    expect(await stage.vectorsOf('second')).toBe(6);
  });

  test('on pgvector creates an index for the new model', { timeout: 90_000 }, async () => {
    const folder = await mkdtemp(join(tmpdir(), 'crossfade-embeddings-'));
    const onFolder = (model: string) => stage.startOn(folder, stage.embeddingBy({ model }));
    try {
      const before = searchedSession(await onFolder('first'), 'pglite');
      await before.create([saying('red apples'), ...sentences(20)]);
      await before.embedded();
      await stage.stopAll();
      const changed = await onFolder('second');
      await filled(changed);
      const { texts, metadata } = await searchedSession(changed, 'pglite').search({
        ...semantic('red apples'),
        filters: { limit: 3 },
      });
      expect(texts[0]).toBe('red apples');
      expect(metadata).toMatchObject({ embedding_model: 'second', exact: false, vector_store: 'pgvector' });
    } finally {
      await stage.stopAll();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('vectors of callers', () => {
  const BY_CALLERS = { provider: 'caller', caller: { model: 'theirs', dimension: 3 } };
  let session: SearchedSession;

  beforeEach(async () => {
    session = searchedSession(await stage.start(BY_CALLERS), 'callers');
  });

  test('are found as soon as the write is answered', async () => {
    await session.create([
      saying('east', { embedding: [1, 0, 0] }),
      saying('north', { embedding: [0, 1, 0] }),
      saying('nowhere'),
    ]);
    const { texts, results, metadata } = await session.search({ query_vector: [0.1, 2, 0] });
    expect(texts).toEqual(['north', 'east']);
    expect(results[0]?.['similarity_score']).toBeCloseTo(0.9988, 3);
    expect(metadata).toMatchObject({ search_type: 'semantic', embedding_model: 'theirs' });
  });

  test('are replaced with an update, and removed with their text', async () => {
    const [first = '', second = ''] = await session.create([
      saying('east', { embedding: [1, 0, 0] }),
      saying('up', { embedding: [0, 0, 1] }),
    ]);
    await session.ask('update', { memory_id: first, content: { text: 'west' }, embedding: [-1, 0, 0] });
    await session.ask('update', { memory_id: second, content: { text: 'down' } });
    await eventually('the vector of the old text is gone', async () => {
      const { texts } = await session.search({ query_vector: [-1, 0, 0] });
      return texts.length === 1 && texts[0] === 'west';
    });
  });

  test('of the wrong shape are refused before anything is written', async () => {
    for (const embedding of [
      [1, 2],
      [0, 0, 0],
    ]) {
      const payload = { memory_type: 'fact', content: { text: 'x' }, create_session: true, embedding };
      const { error } = await session.ask('create', payload);
      expect(error).toMatchObject({ code: 'validation_error', details: { field: 'embedding' } });
    }
    expect((await session.ask('batch_read', {})).data['total_count']).toBe(0);
  });
});

test('settings without an endpoint are refused at once', async () => {
  await expect(stage.start({ ...settingsWith().embeddings, provider: 'openai' })).rejects.toThrow(
    'embeddings.openai.url is required with embeddings.provider "openai"',
  );
});
