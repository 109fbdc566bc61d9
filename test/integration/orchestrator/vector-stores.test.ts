import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadTransformers } from '../../../src/orchestrator/embeddings/onnx.ts';
import { createInProcessStore } from '../../../src/orchestrator/vectors/in-process.ts';
import { createPgvectorStore } from '../../../src/orchestrator/vectors/pgvector.ts';
import { loadAiPlatform } from '../../../src/orchestrator/vectors/vertex-client.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { vectorStoreContract } from '../../support/vector-store-contract.ts';

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres();
});

afterAll(() => postgres.stop());

vectorStoreContract({
  name: 'pgvector',
  create: async (database) => createPgvectorStore(database),
});

vectorStoreContract({
  name: 'in_process, beside pgvector',
  create: async (database) => createInProcessStore(database, 50),
});

vectorStoreContract({
  name: 'in_process, without pgvector',
  databaseUrl: () => postgres.createDatabase(),
  create: async (database) => createInProcessStore(database, 1_000),
});

test.each([
  ['@google-cloud/aiplatform', loadAiPlatform],
  ['@huggingface/transformers', loadTransformers],
])('a setting that needs %s names the missing package', async (name, load) => {
  await expect(load()).rejects.toThrow(`npm install ${name}`);
});
