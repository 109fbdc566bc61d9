import * as aiplatform from '@google-cloud/aiplatform';
import { credentials } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CLEAR } from '../../src/orchestrator/encryption/vault.ts';
import type { VectorStore } from '../../src/orchestrator/vectors/vector-store.ts';
import { type AiPlatformPackage, createVertexClient } from '../../src/orchestrator/vectors/vertex-client.ts';
import { createVertexStore } from '../../src/orchestrator/vectors/vertex.ts';
import type { Database } from '../../src/storage/database.ts';
import { eventually } from '../support/eventually.ts';
import { putVectors, SPACE, startStorage, vectorStoreContract } from '../support/vector-store-contract.ts';
import { startVertexServer, type VertexServer } from './vertex-server.ts';

let server: VertexServer;
let failures: string[];

const ADDRESS = {
  apiEndpoint: '127.0.0.1',
  indexEndpoint: 'projects/p/locations/l/indexEndpoints/1',
  deployedIndexId: 'deployed',
  index: 'projects/p/locations/l/indexes/1',
  timeoutMs: 300,
};

function storeOn(database: Database): VectorStore {
  const options = { apiEndpoint: '127.0.0.1', port: server.port, sslCreds: credentials.createInsecure() };
  const load = async () => aiplatform as unknown as AiPlatformPackage;
  return createVertexStore({
    database,
    space: SPACE,
    client: createVertexClient(ADDRESS, { load, options }),
    onFailure: (message) => failures.push(message),
  });
}

/** Until everything in the table is in the index. */
async function copied(database: Database): Promise<void> {
  await eventually('every vector is copied', async () => {
    const rows = await database.query(
      `select 1 from vector_embeddings where not is_copied and embedding_model = '${SPACE.model}' limit 1`,
    );
    return rows.length === 0;
  });
}

beforeAll(async () => {
  server = await startVertexServer();
});

beforeEach(() => {
  failures = [];
});

afterAll(() => server.stop());

vectorStoreContract({ name: 'vertex', create: async (database) => storeOn(database), settled: copied });

describe('Vertex AI', () => {
  let stop: () => Promise<void>;
  let store: VectorStore;
  let database: Database;

  const nearest = async () => {
    const selection = { sessionId: 's', filter: {}, rawFilter: '{}', vault: CLEAR };
    const query = { space: SPACE, vector: [1, 0, 0], selection, depth: 2 };
    const found = await store.nearest({ ...query, exact: false, minSimilarity: undefined });
    return { store: found.store, ids: found.neighbours.map(({ memoryId }) => memoryId) };
  };

  beforeEach(async () => {
    server.mood = 'well';
    server.datapoints.clear();
    const storage = await startStorage();
    ({ database } = storage);
    store = storeOn(database);
    stop = async () => {
      server.mood = 'well';
      await store.stop();
      await storage.stop();
    };
  });

  afterEach(() => stop());

  const put = (...ids: string[]) =>
    putVectors(database, {
      memories: ids.map((id) => ({ id, vector: [1, 0.1 * ids.indexOf(id), 0] })),
      isCopied: true,
    });

  test('is asked as soon as all vectors are in its index', async () => {
    await put('a', 'b', 'c');
    await store.start();
    await copied(database);
    await eventually('the index answers', async () => (await nearest()).store === 'vertex');
    expect((await nearest()).ids).toEqual(['a', 'b']);
    expect([...(server.datapoints.get('a')?.restricts ?? [])]).toMatchObject([
      { namespace: 'session_id', allowList: ['s'] },
      { namespace: 'memory_type', allowList: ['fact'] },
    ]);
  });

  test.each(['failing', 'silent'] as const)(
    'that is %s is replaced by pgvector within its time limit',
    async (mood) => {
      await put('a', 'b');
      await store.start();
      await eventually('the index answers', async () => (await nearest()).store === 'vertex');
      server.mood = mood;
      const startedMs = performance.now();
      expect(await nearest()).toEqual({ store: 'pgvector', ids: ['a', 'b'] });
      expect(performance.now() - startedMs).toBeLessThan(10_000);
      expect(failures.length).toBeGreaterThan(0);
    },
  );

  test('gets after an outage what it missed', async () => {
    server.mood = 'failing';
    await put('late');
    await store.start();
    await eventually('the failure was told', () => failures.length > 0);
    expect(await nearest()).toEqual({ store: 'pgvector', ids: ['late'] });
    server.mood = 'well';
    await copied(database);
    expect(server.datapoints.has('late')).toBe(true);
  });

  test('loses what the table does not know', async () => {
    const others = Array.from({ length: 20 }, (_, index) => `other-${index}`);
    await put('a', ...others);
    await store.start();
    await eventually('the index answers', async () => (await nearest()).store === 'vertex');
    await database.query(`delete from memory_entries where memory_id = 'a'`);
    await eventually('the stranger is gone', async () => {
      await nearest();
      return !server.datapoints.has('a');
    });
  });
});
