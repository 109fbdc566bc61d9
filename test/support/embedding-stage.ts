import { type EmbeddingEndpoint, startEmbeddingEndpoint } from './embedding-endpoint.ts';
import { settingsWith, startOrchestrator, type TestOrchestrator } from './orchestrator.ts';
import { startPostgres } from './postgres.ts';

const DIMENSIONS: Readonly<Record<string, number>> = { first: 64, second: 96 };

type OpenAi = ReturnType<typeof settingsWith>['embeddings']['openai'];

/** One endpoint, one PostgreSQL without pgvector, and orchestrators that come and go on its databases. */
export interface EmbeddingStage {
  readonly endpoint: EmbeddingEndpoint;
  /** The settings that use the endpoint, with a model `first` of 64 or `second` of 96 dimensions. */
  readonly embeddingBy: (openai?: Partial<OpenAi>, more?: object) => object;
  /** On the present database; compares in process. */
  readonly start: (embeddings?: object) => Promise<TestOrchestrator>;
  readonly startOn: (folder: string, embeddings: object) => Promise<TestOrchestrator>;
  /** Stops every orchestrator. */
  readonly stopAll: () => Promise<void>;
  /** An empty database for what is started from now on. */
  readonly renew: () => Promise<void>;
  /** How many vectors the database holds of a model. */
  readonly vectorsOf: (model: string) => Promise<number>;
  readonly end: () => Promise<void>;
}

export async function createEmbeddingStage(): Promise<EmbeddingStage> {
  const postgres = await startPostgres();
  const endpoint = await startEmbeddingEndpoint((model) => DIMENSIONS[model] ?? 1);
  let url = '';
  let running: TestOrchestrator[] = [];

  function embeddingBy(openai: Partial<OpenAi> = {}, more: object = {}): object {
    const model = openai.model ?? 'first';
    const defaults = settingsWith().embeddings.openai;
    const ours = { url: endpoint.url, model, dimension: DIMENSIONS[model], requestsPerMinute: 60_000 };
    const merged = { ...defaults, ...ours, ...openai };
    return { provider: 'openai', batchSize: 4, queryTimeoutMs: 5_000, openai: merged, ...more };
  }

  async function begin(started: Parameters<typeof startOrchestrator>[0]): Promise<TestOrchestrator> {
    const orchestrator = await startOrchestrator(started);
    running.push(orchestrator);
    return orchestrator;
  }

  async function stopAll(): Promise<void> {
    for (const orchestrator of running) await orchestrator.stop();
    running = [];
  }

  return {
    endpoint,
    embeddingBy,
    stopAll,
    start: (embeddings = embeddingBy()) =>
      begin({
        database: { kind: 'postgres', url },
        settings: { embeddings, search: { store: 'in_process' } },
      }),
    startOn: (folder, embeddings) =>
      begin({ database: { kind: 'pglite', folder }, settings: { embeddings, search: { exactBelow: 0 } } }),
    async renew() {
      url = await postgres.createDatabase();
    },
    async vectorsOf(model) {
      const rows = await postgres.execute(
        `select count(*)::int as count from vector_embeddings where embedding_model = '${model}' and embedding is not null`,
        new URL(url).pathname.slice(1),
      );
      return (rows as { count: number }[])[0]?.count ?? 0;
    },
    async end() {
      await stopAll();
      await endpoint.stop();
      await postgres.stop();
    },
  };
}
