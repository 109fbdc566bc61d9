import { Type, type Static } from 'typebox';
import { AccessSettings } from './access/settings.ts';
import { CacheSettings } from './cache/settings.ts';
import { EmbeddingSettings } from './embeddings/settings.ts';
import { EncryptionSettings } from './encryption/settings.ts';
import { TelemetrySettings } from './observability/settings.ts';
import { SearchSettings } from './search/settings.ts';
import { SummarySettings } from './summaries/settings.ts';
import { StorageSettings } from './database/storage-settings.ts';

const Port = (otherwise: number) => Type.Integer({ minimum: 1, maximum: 65_535, default: otherwise });

const ListenSettings = Type.Object(
  {
    host: Type.String({ minLength: 1, default: '127.0.0.1' }),
    port: Port(5_570),
    httpPort: Port(5_571),
    allowedHosts: Type.Array(Type.String({ minLength: 1 }), { maxItems: 100, default: [] }),
  },
  { additionalProperties: false },
);

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
  { additionalProperties: false },
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
