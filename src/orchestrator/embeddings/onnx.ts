import { basename, dirname, resolve } from 'node:path';
import { messageOf } from '../../domain/errors.ts';
import type { Space } from '../vectors/vector-store.ts';
import type { EmbeddingSettings } from '../settings.ts';
import { checkedVectors, type EmbeddingProvider, ProviderError } from './provider.ts';

/** The used part of @huggingface/transformers, which is not a dependency, so its types are missing. */
export interface TransformersPackage {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  pipeline(task: 'feature-extraction', model: string, options: object): Promise<FeatureExtraction>;
}

interface FeatureExtraction {
  (texts: string[], options: { pooling: 'mean'; normalize: boolean }): Promise<{ tolist(): number[][] }>;
  dispose(): Promise<void>;
}

const PACKAGE = '@huggingface/transformers';

/** @throws Error with the package to install */
export async function loadTransformers(): Promise<TransformersPackage> {
  try {
    return (await import(PACKAGE)) as TransformersPackage;
  } catch (cause) {
    throw new Error(
      `embeddings.provider "onnx" needs a package that is not installed: run npm install ${PACKAGE}`,
      {
        cause,
      },
    );
  }
}

/** A sentence model in ONNX format, in a folder with the layout of the Hugging Face hub. Nothing is downloaded. */
export function createOnnxProvider(
  settings: EmbeddingSettings['onnx'],
  load: () => Promise<TransformersPackage> = loadTransformers,
): EmbeddingProvider {
  const space: Space = { model: settings.model, dimension: settings.dimension };
  const folder = resolve(settings.folder ?? '');
  let opening: Promise<FeatureExtraction> | undefined;

  async function open(): Promise<FeatureExtraction> {
    const transformers = await load();
    transformers.env.allowRemoteModels = false;
    transformers.env.localModelPath = dirname(folder);
    return transformers.pipeline('feature-extraction', basename(folder), { dtype: 'fp32' });
  }

  return {
    space,
    async embed(texts) {
      try {
        opening ??= open();
        const model = await opening;
        const output = await model([...texts], { pooling: 'mean', normalize: true });
        return checkedVectors(output.tolist(), texts.length, space);
      } catch (cause) {
        if (cause instanceof ProviderError) throw cause;
        throw new ProviderError(`The ONNX model failed: ${messageOf(cause)}`, { cause });
      }
    },
    async stop() {
      const model = await opening?.catch(() => undefined);
      opening = undefined;
      await model?.dispose();
    },
  };
}
