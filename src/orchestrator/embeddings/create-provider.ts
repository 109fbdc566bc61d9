import { isSameSpace } from '../vectors/vector-store.ts';
import { createBuiltinProvider } from './builtin.ts';
import { createOnnxProvider } from './onnx.ts';
import { createOpenAiProvider } from './openai.ts';
import type { EmbeddingProvider } from './provider.ts';
import type { EmbeddingSettings } from './settings.ts';
import type { KeptModel } from './kept-models.ts';

/** The configured provider; none if only callers supply vectors, or embedding is off. */
export function createProvider(settings: EmbeddingSettings): EmbeddingProvider | undefined {
  switch (settings.provider) {
    case 'builtin':
      return createBuiltinProvider(settings);
    case 'openai':
      return createOpenAiProvider(settings.openai);
    case 'onnx':
      return createOnnxProvider(settings.onnx);
    default:
      return undefined;
  }
}

/**
 * The provider of a model that was in use before the settings changed, if it is still available: the built-in model, another model of the
 * same endpoint, or an ONNX model that the settings still describe.
 */
export function createFormerProvider(
  settings: EmbeddingSettings,
  former: KeptModel,
): EmbeddingProvider | undefined {
  const { onnx, openai } = settings;
  switch (former.provider) {
    case 'builtin':
      return createBuiltinProvider(settings);
    case 'openai':
      return openai.url === undefined
        ? undefined
        : createOpenAiProvider({ ...openai, dimension: former.dimension }, former.model);
    case 'onnx':
      return onnx.folder !== undefined && isSameSpace(former, onnx) ? createOnnxProvider(onnx) : undefined;
    default:
      return undefined;
  }
}
