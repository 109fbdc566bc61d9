import { Type, type Static } from 'typebox';
import type { Space } from '../vectors/vector-store.ts';
import { whole, wholeSeconds } from '../whole-number.ts';

const text = Type.Optional(Type.String({ minLength: 1 }));
const dimension = (otherwise: number) => Type.Integer({ minimum: 1, maximum: 16_000, default: otherwise });
const model = (otherwise: string) =>
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}$', default: otherwise });
const closed = { additionalProperties: false };

const OnnxSettings = Type.Object(
  { folder: text, model: model('onnx-sentence-model'), dimension: dimension(384) },
  closed,
);

const OpenAiSettings = Type.Object(
  {
    url: Type.Optional(Type.String({ pattern: '^https?://.+' })),
    apiKey: text,
    model: model('text-embedding-3-small'),
    dimension: dimension(1_536),
    sendDimension: Type.Boolean({ default: false }),
    requestsPerMinute: whole(1, 3_000),
    timeoutMs: whole(10, 30_000),
    maxTries: whole(1, 5),
  },
  closed,
);

const CallerSettings = Type.Object({ model: model('caller'), dimension: dimension(512) }, closed);

/** The embedding provider and its limits. */
export const EmbeddingSettings = Type.Object(
  {
    provider: Type.Union(
      [
        Type.Literal('builtin'),
        Type.Literal('onnx'),
        Type.Literal('openai'),
        Type.Literal('caller'),
        Type.Literal('off'),
      ],
      { default: 'builtin' },
    ),
    batchSize: whole(1, 32),
    concurrency: whole(1, 1),
    maxTextCharacters: whole(16, 4_000),
    queryTimeoutMs: whole(1, 1_500),
    idleSeconds: wholeSeconds(1, 60),
    sweepEverySeconds: wholeSeconds(1, 600),
    keepRetiredSeconds: wholeSeconds(0, 60),
    onnx: OnnxSettings,
    openai: OpenAiSettings,
    caller: CallerSettings,
  },
  closed,
);

export type EmbeddingSettings = Static<typeof EmbeddingSettings>;

/** The space of the built-in model. */
export const BUILTIN_SPACE: Space = { model: 'universal-sentence-encoder-lite', dimension: 512 };

/** The configured vector space; none if embedding is off. */
export function spaceOf(settings: EmbeddingSettings): Space | undefined {
  switch (settings.provider) {
    case 'off':
      return undefined;
    case 'builtin':
      return BUILTIN_SPACE;
    default: {
      const { model: name, dimension: size } = settings[settings.provider];
      return { model: name, dimension: size };
    }
  }
}

/** Problems that the schema cannot express, one line each. */
export function embeddingProblems({ provider, openai, onnx }: EmbeddingSettings): string[] {
  if (provider === 'openai' && openai.url === undefined)
    return ['embeddings.openai.url is required with embeddings.provider "openai"'];
  if (provider === 'onnx' && onnx.folder === undefined)
    return ['embeddings.onnx.folder is required with embeddings.provider "onnx"'];
  return [];
}
