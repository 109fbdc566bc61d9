import { isSameSpace, type Space } from '../vectors/vector-store.ts';
import { type EmbeddingSettings, spaceOf } from '../settings.ts';
import type { KeptModel, KeptModels } from './kept-models.ts';
import type { EmbeddingProvider } from './provider.ts';
import { createBuiltinProvider } from './builtin.ts';
import { createOnnxProvider } from './onnx.ts';
import { createOpenAiProvider } from './openai.ts';

/** An active model: its vectors and their provider. */
export interface Line {
  readonly space: Space;
  /** Without one, vectors come from callers only. */
  readonly provider: EmbeddingProvider | undefined;
  readonly state: 'serving' | 'filling';
  readonly cursor: string;
  readonly lookedAt: number;
}

/**
 * The active models, according to the database. While the wanted model is being filled, another serves: searches use its vectors, and
 * queries that the same model embedded.
 */
export interface Lines {
  /** The model that the settings want. */
  readonly wanted: Space | undefined;
  serving(): Line | undefined;
  filling(): Line | undefined;
  /** True if the wanted model serves and no re-embedding runs; other vectors are then unnecessary. */
  isSettled(): boolean;
  /** Models whose vectors can be deleted. */
  retired(): readonly KeptModel[];
  /** Writes the wanted model to the database. Call it once, before the first refresh. */
  announce(): Promise<void>;
  refresh(): Promise<void>;
  stop(): Promise<void>;
}

export function createLines(models: KeptModels, settings: EmbeddingSettings): Lines {
  const wanted = spaceOf(settings);
  const providers = new Map<string, EmbeddingProvider | undefined>();
  let kept: readonly KeptModel[] = [];

  function providerOf(model: KeptModel): EmbeddingProvider | undefined {
    const key = `${model.dimension} ${model.model}`;
    if (!providers.has(key)) {
      const isWanted = wanted !== undefined && isSameSpace(model, wanted);
      providers.set(key, isWanted ? createProvider(settings) : createFormerProvider(settings, model));
    }
    return providers.get(key);
  }

  function lineIn(state: Line['state']): Line | undefined {
    const model = kept.find((one) => one.state === state);
    if (model === undefined) return undefined;
    const { cursor, lookedAt, dimension } = model;
    return { space: { model: model.model, dimension }, provider: providerOf(model), state, cursor, lookedAt };
  }

  async function refresh(): Promise<void> {
    kept = await models.list();
    const [filling, serving] = [lineIn('filling'), lineIn('serving')];
    // Without a provider for queries of the previous model, or for texts of the new one, there is nothing to wait for.
    if (filling !== undefined && (serving?.provider === undefined || filling.provider === undefined)) {
      await models.serve(filling.space);
      kept = await models.list();
    }
  }

  return {
    wanted,
    refresh,
    serving: () => lineIn('serving'),
    filling: () => lineIn('filling'),
    isSettled() {
      const [one, another] = kept.filter(({ state }) => state !== 'retired');
      return one !== undefined && another === undefined && wanted !== undefined && isSameSpace(one, wanted);
    },
    retired: () => kept.filter(({ state }) => state === 'retired'),
    async announce() {
      if (wanted !== undefined) await models.want(wanted, settings.provider);
    },
    async stop() {
      for (const provider of providers.values()) await provider?.stop();
      providers.clear();
    },
  };
}

/** The configured provider; none if only callers supply vectors, or embedding is off. */
function createProvider(settings: EmbeddingSettings): EmbeddingProvider | undefined {
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
 * The provider of a model that was in use before the settings changed, if it is still available. This is the built-in model, another
 * model of the same endpoint, or an ONNX model that the settings still describe.
 */
function createFormerProvider(settings: EmbeddingSettings, former: KeptModel): EmbeddingProvider | undefined {
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
