import { type Static, Type } from 'typebox';
import type { Space } from './vectors/vector-store.ts';

/** The longest timer of Node, in milliseconds: 24 days. */
const LONGEST_TIMER_MS = 2_147_483_647;
const LONGEST_TIMER_SECONDS = 2_147_483;

/** A count, or a time in milliseconds. */
function whole(least: number, otherwise: number) {
  return Type.Integer({ minimum: least, maximum: LONGEST_TIMER_MS, default: otherwise });
}

/** A time in seconds. */
function wholeSeconds(least: number, otherwise: number) {
  return Type.Integer({ minimum: least, maximum: LONGEST_TIMER_SECONDS, default: otherwise });
}

/** A size in bytes. */
function wholeBytes(least: number, otherwise: number) {
  return Type.Integer({ minimum: least, maximum: Number.MAX_SAFE_INTEGER, default: otherwise });
}

const text = Type.Optional(Type.String({ minLength: 1 }));
const closed = { additionalProperties: false };

const Port = (otherwise: number) => Type.Integer({ minimum: 1, maximum: 65_535, default: otherwise });

const ListenSettings = Type.Object(
  {
    host: Type.String({ minLength: 1, default: '127.0.0.1' }),
    port: Port(5_570),
    httpPort: Port(5_571),
    allowedHosts: Type.Array(Type.String({ minLength: 1 }), { maxItems: 100, default: [] }),
  },
  closed,
);

const role = (otherwise: string) => Type.String({ pattern: '^[a-z_][a-z0-9_]{0,62}$', default: otherwise });

const DAY_SECONDS = 86_400;

/** The database of the memories, and how the orchestrator uses it. */
export const StorageSettings = Type.Object(
  {
    databaseUrl: Type.Optional(Type.String({ pattern: '^postgres(ql)?://.+' })),
    folder: Type.String({ minLength: 1, default: './data/orchestrator' }),
    poolSize: whole(2, 10),
    preparedStatements: Type.Boolean({ default: true }),
    batchSize: Type.Integer({ minimum: 1, maximum: 500, default: 400 }),
    statementTimeoutMs: whole(10, 10_000),
    connectTimeoutMs: whole(10, 3_000),
    breakerFailures: whole(1, 10),
    breakerRestMs: whole(10, 1_000),
    partitioned: Type.Boolean({ default: false }),
    partitions: Type.Integer({ minimum: 2, maximum: 1_024, default: 16 }),
    applicationRole: role('crossfade_application'),
    readOnlyRole: role('crossfade_read_only'),
    actAsApplicationRole: Type.Boolean({ default: false }),
    purgeEveryMs: whole(10, 60_000),
    keepTombstonesSeconds: whole(0, 30 * DAY_SECONDS),
  },
  closed,
);

export type StorageSettings = Static<typeof StorageSettings>;

const MEBIBYTE = 1024 * 1024;

/** The cache of read answers, in this process, or in Redis if an address is set. */
export const CacheSettings = Type.Object(
  {
    enabled: Type.Boolean({ default: true }),
    maxBytes: wholeBytes(1_024, 32 * MEBIBYTE),
    maxEntryBytes: wholeBytes(1, MEBIBYTE),
    memoryTtlSeconds: wholeSeconds(1, 300),
    historyTtlSeconds: wholeSeconds(1, 60),
    redisUrl: Type.Optional(Type.String({ pattern: '^rediss?://.+' })),
    redisPrefix: Type.String({ minLength: 1, default: 'crossfade:' }),
    redisTimeoutMs: whole(1, 50),
    redisRestMs: whole(1, 1_000),
  },
  closed,
);

export type CacheSettings = Static<typeof CacheSettings>;

/** How conversations are summarised: with their own sentences, or by a model if `chat.url` is set. */
export const SummarySettings = Type.Object(
  {
    sentences: Type.Integer({ minimum: 1, maximum: 50, default: 5 }),
    chat: Type.Object(
      {
        // URL of an endpoint with OpenAI's `POST /chat/completions`, such as https://api.openai.com/v1. Contents are sent there.
        url: Type.Optional(Type.String({ pattern: '^https?://.+' })),
        apiKey: Type.Optional(Type.String({ minLength: 1 })),
        model: Type.String({ minLength: 1, default: 'gpt-4o-mini' }),
        // For all attempts together, because the original clients wait 5 s.
        timeoutMs: Type.Integer({ minimum: 10, maximum: 60_000, default: 4_000 }),
        maxTries: Type.Integer({ minimum: 1, maximum: 10, default: 3 }),
      },
      closed,
    ),
  },
  closed,
);

export type SummarySettings = Static<typeof SummarySettings>;

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** Logs, metrics and traces of the orchestrator. */
export const TelemetrySettings = Type.Object(
  {
    logLevel: Type.Union(
      LEVELS.map((level) => Type.Literal(level)),
      { default: 'info' },
    ),
    slowQueryMs: whole(1, 500),
    otlpEndpoint: Type.Optional(Type.String({ pattern: '^https?://.+' })),
  },
  closed,
);

export type TelemetrySettings = Static<typeof TelemetrySettings>;

/** Access control, rate limits, and the access log. */
export const AccessSettings = Type.Object(
  {
    keys: Type.Union([Type.Literal('off'), Type.Literal('required')], { default: 'off' }),
    // If keys are required: whether GET /metrics and GET /openapi.json need one, too.
    pages: Type.Union([Type.Literal('key'), Type.Literal('open')], { default: 'key' }),
    // A revoked key must stop working within 2 s on every replica.
    keyCacheMs: Type.Integer({ minimum: 1, maximum: 2_000, default: 1_000 }),
    requestsPerSecond: whole(1, 200),
    burst: whole(1, 1_000),
    log: Type.Boolean({ default: true }),
    logQueueSize: whole(1, 10_000),
    logFlushMs: whole(1, 250),
    logRetentionDays: whole(1, 90),
    curveSecretKeyFile: text,
    curveClientsFile: text,
  },
  closed,
);

export type AccessSettings = Static<typeof AccessSettings>;

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** Reasons why an orchestrator with these settings must not start. */
export function accessProblems(host: string, settings: AccessSettings): string[] {
  const { keys, curveSecretKeyFile, curveClientsFile } = settings;
  const problems: string[] = [];
  if (!LOOPBACK.has(host) && keys === 'off')
    problems.push(
      `listen.host must be a loopback address while access.keys is off, got "${host}": set access.keys to required, or listen on 127.0.0.1. Otherwise everyone who reaches the port can read and change every memory`,
    );
  if ((curveSecretKeyFile === undefined) !== (curveClientsFile === undefined))
    problems.push(
      'access.curveSecretKeyFile and access.curveClientsFile must both be set, but one is missing',
    );
  return problems;
}

/** Keys to encrypt contents before they are stored. Without a key they are stored unencrypted. */
export const EncryptionSettings = Type.Object(
  {
    keys: text,
    keysFile: text,
    resealRowsPerSecond: whole(0, 200),
  },
  closed,
);

export type EncryptionSettings = Static<typeof EncryptionSettings>;

const dimension = (otherwise: number) => Type.Integer({ minimum: 1, maximum: 16_000, default: otherwise });
const model = (otherwise: string) =>
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,63}$', default: otherwise });

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

const VertexSettings = Type.Object(
  {
    apiEndpoint: text,
    indexEndpoint: text,
    deployedIndexId: text,
    index: text,
    timeoutMs: whole(10, 1_000),
  },
  closed,
);

/** Settings of semantic search. */
export const SearchSettings = Type.Object(
  {
    store: Type.Union([Type.Literal('pgvector'), Type.Literal('in_process'), Type.Literal('vertex')], {
      default: 'pgvector',
    }),
    exactBelow: whole(0, 500),
    inProcessVectors: whole(1, 50_000),
    vertex: VertexSettings,
  },
  closed,
);

export type SearchSettings = Static<typeof SearchSettings>;

/**
 * Every setting of the orchestrator, with its unit in its name and its default. Each part declares its own section;
 * config/orchestrator.example.yaml explains each key.
 */
export const SettingsSchema = Type.Object(
  {
    listen: ListenSettings,
    storage: StorageSettings,
    cache: CacheSettings,
    summaries: SummarySettings,
    telemetry: TelemetrySettings,
    access: AccessSettings,
    encryption: EncryptionSettings,
    embeddings: EmbeddingSettings,
    search: SearchSettings,
  },
  closed,
);

export type Settings = Static<typeof SettingsSchema>;

/** Settings that an environment variable can set: its name, and the path of the setting. The environment overrides the file. */
export const SETTINGS_FROM_ENVIRONMENT: readonly (readonly [name: string, path: string])[] = [
  ['ORCHESTRATOR_HOST', 'listen.host'],
  ['ORCHESTRATOR_PORT', 'listen.port'],
  ['ORCHESTRATOR_HTTP_PORT', 'listen.httpPort'],
  ['ORCHESTRATOR_DATABASE_URL', 'storage.databaseUrl'],
  ['ORCHESTRATOR_FOLDER', 'storage.folder'],
  ['REDIS_URL', 'cache.redisUrl'],
  ['ORCHESTRATOR_ACCESS_KEYS', 'access.keys'],
  ['ORCHESTRATOR_ENCRYPTION_KEYS', 'encryption.keys'],
  ['ORCHESTRATOR_ENCRYPTION_KEYS_FILE', 'encryption.keysFile'],
  ['ORCHESTRATOR_EMBEDDINGS', 'embeddings.provider'],
  ['ORCHESTRATOR_EMBEDDINGS_URL', 'embeddings.openai.url'],
  ['ORCHESTRATOR_EMBEDDINGS_API_KEY', 'embeddings.openai.apiKey'],
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'telemetry.otlpEndpoint'],
];

/** The defaults of a schema as a tree. Settings without a default are omitted. */
export function defaultsOf(schema: object): Record<string, unknown> {
  const { properties } = schema as { readonly properties?: Readonly<Record<string, object>> };
  const entries = Object.entries(properties ?? {}).map(([key, node]) => {
    const value: unknown = 'properties' in node ? defaultsOf(node) : Reflect.get(node, 'default');
    return [key, value] as const;
  });
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}
