import { afterAll, beforeAll, expect, test } from 'vitest';
import { createOrchestratorClient, type OrchestratorClient } from '../../../src/backends/orchestrator.ts';
import { createEmbeddingLine } from '../../../src/engine/runs/pace.ts';
import { calm, silent } from '../../support/embedding-endpoint.ts';
import { createEmbeddingStage, type EmbeddingStage } from '../../support/embedding-stage.ts';
import { eventually } from '../../support/eventually.ts';

const MEMORIES = 24;

let stage: EmbeddingStage;
let client: OrchestratorClient | undefined;

beforeAll(async () => {
  stage = await createEmbeddingStage();
  await stage.renew();
}, 120_000);

afterAll(async () => {
  await client?.stop();
  await stage?.end();
});

test('the embedding backlog slows runs until all is embedded', async () => {
  stage.endpoint.mood = silent;
  // Long enough that what hangs still hangs when it is looked at, short enough to be given up soon afterwards.
  const orchestrator = await stage.start(stage.embeddingBy({ timeoutMs: 5_000 }));
  const clock = {
    now: () => performance.now(),
    wallMs: () => Date.now(),
    sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
  };
  client = createOrchestratorClient({ endpoint: `tcp://127.0.0.1:${orchestrator.port}`, clock });
  await client.start();
  const line = createEmbeddingLine(client, clock);
  expect(await line()).toBe(0);
  const operations = Array.from({ length: MEMORIES }, (_, index) => ({
    action: 'create',
    payload: { memory_type: 'fact', content: { text: `sentence ${index}` }, create_session: true },
  }));
  await orchestrator.ask('batch_write', { operations }, { session_id: 'long-line' });
  await eventually('all wait', async () => (await line()) === MEMORIES);
  stage.endpoint.mood = calm;
  await eventually('nothing waits', async () => (await line()) === 0);
}, 180_000);
