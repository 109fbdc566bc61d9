import { messageOf } from '../../domain/errors.ts';
import { BUILTIN_SPACE, type EmbeddingSettings } from '../settings.ts';
import { checkedVectors, type EmbeddingProvider, ProviderError } from './provider.ts';

interface Pool {
  run(texts: readonly string[]): Promise<number[][]>;
  destroy(): Promise<void>;
}

const WORKER = new URL('builtin-worker.ts', import.meta.url).href;

/**
 * The sentence model of the installed packages: English, 512 dimensions, no download. It runs in worker threads that start with the first
 * text. They end after a while without texts, which frees their memory (about 200 MB each).
 */
export function createBuiltinProvider({
  concurrency,
  idleSeconds,
}: Pick<EmbeddingSettings, 'concurrency' | 'idleSeconds'>): EmbeddingProvider {
  let opening: Promise<Pool> | undefined;

  async function open(): Promise<Pool> {
    const { Piscina } = await import('piscina');
    return new Piscina({
      filename: WORKER,
      minThreads: 0,
      maxThreads: concurrency,
      idleTimeout: idleSeconds * 1_000,
    });
  }

  return {
    space: BUILTIN_SPACE,
    // A signal would end the worker, and the next text would wait until another worker has loaded the model.
    async embed(texts) {
      opening ??= open();
      const pool = await opening;
      const vectors = await pool.run(texts).catch((cause: unknown) => {
        throw new ProviderError(`The built-in model failed: ${messageOf(cause)}`, { cause });
      });
      return checkedVectors(vectors, texts.length, BUILTIN_SPACE);
    },
    async stop() {
      const pool = await opening;
      opening = undefined;
      await pool?.destroy();
    },
  };
}
