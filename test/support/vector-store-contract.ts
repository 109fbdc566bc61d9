import pino from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createStoredVectors } from '../../src/orchestrator/embeddings/stored-vectors.ts';
import { CLEAR } from '../../src/orchestrator/encryption/vault.ts';
import type { Filter } from '../../src/orchestrator/memories/filter.ts';
import { createStorage, type Storage } from '../../src/orchestrator/database/storage.ts';
import { prepareVectors } from '../../src/orchestrator/vectors/pgvector.ts';
import type { NearestQuery, Space, VectorStore } from '../../src/orchestrator/vectors/vector-store.ts';
import type { Database } from '../../src/storage/database.ts';
import { settingsWith } from './orchestrator.ts';

export const SPACE: Space = { model: 'contract', dimension: 3 };
const OTHER_SPACE: Space = { model: 'other', dimension: 3 };

export interface StoreUnderTest {
  readonly name: string;
  /** Where the database is; embedded without it. */
  readonly databaseUrl?: () => Promise<string>;
  readonly create: (database: Database) => Promise<VectorStore>;
  /** For a store with copies elsewhere: resolves when it has seen every vector of the table. */
  readonly settled?: (database: Database) => Promise<void>;
}

interface Put {
  readonly id: string;
  readonly vector: readonly number[];
  readonly session?: string;
  readonly type?: string;
  readonly tags?: readonly string[];
}

/** A database with the schema, embedded where it has no address. */
export async function startStorage(databaseUrl?: string): Promise<Storage> {
  const place = databaseUrl === undefined ? { folder: ':memory:' } : { databaseUrl };
  const storage = createStorage({
    settings: settingsWith({ storage: place }).storage,
    log: pino({ level: 'silent' }),
    onStatement: () => {},
    prepare: (owner) => prepareVectors(owner, SPACE),
  });
  await storage.start();
  await storage.database.query(
    `insert into embedding_models (model, dimension, provider, state) values ($1, $2, 'caller', 'serving')`,
    [SPACE.model, SPACE.dimension],
  );
  return storage;
}

export interface PutVectors {
  readonly memories: readonly Put[];
  readonly space?: Space;
  /** A store has copies elsewhere. */
  readonly isCopied: boolean;
}

/** Memories and their vectors, as the orchestrator would write them. */
export async function putVectors(
  database: Database,
  { memories, space = SPACE, isCopied }: PutVectors,
): Promise<void> {
  for (const { id, session = 's', type = 'fact', tags = [] } of memories) {
    await database.query('insert into sessions (session_id) values ($1) on conflict do nothing', [session]);
    await database.query(
      `insert into memory_entries (memory_id, session_id, memory_type, content, tags)
       values ($1, $2, $3, '{"text":"x"}', $4) on conflict do nothing`,
      [id, session, type, tags],
    );
  }
  const vectors = memories.map(({ id, vector }) => ({ memoryId: id, version: 1, textHash: '00', vector }));
  await createStoredVectors(database, isCopied).keep(space, vectors);
}

/** What every vector store promises. */
export function vectorStoreContract({ name, databaseUrl, create, settled }: StoreUnderTest): void {
  describe(`the vector store ${name}`, () => {
    let storage: Storage;
    let store: VectorStore;
    const isCopied = settled !== undefined;

    async function put(memories: readonly Put[], space = SPACE): Promise<void> {
      await putVectors(storage.database, { memories, space, isCopied });
      store.stored();
      await settled?.(storage.database);
    }

    async function nearest(
      vector: readonly number[],
      more: Partial<NearestQuery> & { filter?: Filter } = {},
    ) {
      const { filter = {}, ...rest } = more;
      const selection = { sessionId: 's', filter, rawFilter: JSON.stringify(filter), vault: CLEAR };
      const query = { space: SPACE, vector, selection, depth: 10, exact: false, minSimilarity: undefined };
      const found = await store.nearest({ ...query, ...rest });
      return { ...found, ids: found.neighbours.map(({ memoryId }) => memoryId) };
    }

    beforeAll(async () => {
      storage = await startStorage(await databaseUrl?.());
      store = await create(storage.database);
      await store.start();
    });

    afterEach(() => storage.database.query('delete from sessions'));

    afterAll(async () => {
      await store.stop();
      await storage.stop();
    });

    test('gives the nearest first by cosine similarity, for vectors of any length', async () => {
      await put([
        { id: 'east', vector: [5, 0, 0] },
        { id: 'north', vector: [0, 0.1, 0] },
        { id: 'north-east', vector: [1, 1, 0] },
        { id: 'west', vector: [-1, 0, 0] },
      ]);
      const { neighbours, ids } = await nearest([2, 0, 0]);
      expect(ids).toEqual(['east', 'north-east', 'north', 'west']);
      const similarities = neighbours.map(({ similarity }) => similarity);
      [1, Math.SQRT1_2, 0, -1].forEach((expected, index) =>
        expect(similarities[index]).toBeCloseTo(expected, 5),
      );
      expect((await nearest([2, 0, 0], { depth: 2 })).ids).toEqual(['east', 'north-east']);
      expect((await nearest([2, 0, 0], { minSimilarity: 0.5 })).ids).toEqual(['east', 'north-east']);
    });

    test('counts all there are when every vector is compared', async () => {
      await put(Array.from({ length: 5 }, (_, index) => ({ id: `m${index}`, vector: [1, index, 0] })));
      expect(await nearest([1, 0, 0], { exact: true, depth: 2 })).toMatchObject({
        ids: ['m0', 'm1'],
        total: 5,
        exact: true,
      });
    });

    test('keeps to the session and to every filter', async () => {
      await put([
        { id: 'a', vector: [1, 0, 0], tags: ['x'] },
        { id: 'b', vector: [1, 0.1, 0], type: 'entity', tags: ['x', 'y'] },
        { id: 'c', vector: [1, 0, 0], session: 'another' },
      ]);
      expect((await nearest([1, 0, 0])).ids).toEqual(['a', 'b']);
      expect((await nearest([1, 0, 0], { filter: { memory_type: 'entity' } })).ids).toEqual(['b']);
      expect((await nearest([1, 0, 0], { filter: { memory_types: ['fact'] } })).ids).toEqual(['a']);
      expect((await nearest([1, 0, 0], { filter: { tags: ['x', 'y'] } })).ids).toEqual(['b']);
      expect((await nearest([1, 0, 0], { filter: { memory_ids: ['a', 'c'] } })).ids).toEqual(['a']);
    });

    test('loses nothing to a filter that few pass', async () => {
      const crowd = Array.from({ length: 120 }, (_, index) => ({
        id: `crowd-${index}`,
        vector: [1, index / 1e4, 0],
      }));
      await put([...crowd, { id: 'far', vector: [-1, 0.2, 0], tags: ['rare'] }]);
      expect((await nearest([1, 0, 0], { filter: { tags: ['rare'] }, depth: 5 })).ids).toEqual(['far']);
    });

    test('never shows what is deleted or expired', async () => {
      await put(['kept', 'deleted', 'expired'].map((id) => ({ id, vector: [1, 0, 0] })));
      await storage.database.query(`update memory_entries set is_active = false where memory_id = 'deleted'`);
      await storage.database.query(
        `update memory_entries set expires_at = now() - interval '1 s' where memory_id = 'expired'`,
      );
      for (const exact of [false, true]) expect((await nearest([1, 0, 0], { exact })).ids).toEqual(['kept']);
    });

    test('never compares the vectors of two models', async () => {
      await put([{ id: 'a', vector: [1, 0, 0] }]);
      await put([{ id: 'b', vector: [1, 0, 0] }], OTHER_SPACE);
      expect((await nearest([1, 0, 0])).ids).toEqual(['a']);
      expect((await nearest([1, 0, 0], { space: OTHER_SPACE })).ids).toEqual(['b']);
    });

    test('follows a vector that is replaced, and forgets one that is removed', async () => {
      await put([
        { id: 'a', vector: [1, 0, 0] },
        { id: 'b', vector: [0, 1, 0] },
      ]);
      expect((await nearest([1, 0, 0])).ids).toEqual(['a', 'b']);
      await put([{ id: 'a', vector: [-1, 0, 0] }]);
      expect((await nearest([1, 0, 0])).ids).toEqual(['b', 'a']);
      const vectors = createStoredVectors(storage.database, isCopied);
      // Looked at before the vector came that belongs to the version of today: only what nobody sees any more goes.
      const seen = { memoryId: 'b', version: 1 };
      expect(await vectors.remove(SPACE, [{ ...seen, isWanted: true }])).toEqual([]);
      expect((await nearest([1, 0, 0])).ids).toEqual(['b', 'a']);
      expect(await vectors.remove(SPACE, [{ ...seen, isWanted: false }])).toEqual(['b']);
      store.removed(SPACE, ['b']);
      expect((await nearest([1, 0, 0])).ids).toEqual(['a']);
      expect(await vectors.remove(SPACE, [{ memoryId: 'a', version: 2, isWanted: true }])).toEqual(['a']);
      store.removed(SPACE, ['a']);
      expect((await nearest([1, 0, 0])).ids).toEqual([]);
    });
  });
}
