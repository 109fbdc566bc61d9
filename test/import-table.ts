/** What a top folder may import besides itself. Paths are below src: a folder, or one file. */
export interface Allowed {
  readonly inside: readonly string[];
  /** Of these only types: nothing of them runs. */
  readonly typesOf?: readonly string[];
  /** Packages; `@scope/` stands for all of a scope. */
  readonly npm: readonly string[];
  /** Builtin modules; absent: all. */
  readonly node?: readonly string[];
}

const EDGE = ['domain', 'shared', 'engine'] as const;
const PURE = ['node:crypto', 'node:buffer'] as const;

/** What each folder of src may import. Files directly in src, `cli`, `compose` and `sandbox` join the others and may import everything. */
export const TABLE: Readonly<Record<string, Allowed>> = {
  domain: { inside: [], npm: [], node: PURE },
  shared: { inside: ['domain'], npm: [], node: [] },
  config: {
    inside: ['domain', 'shared', 'operator/report/schedule.ts', 'operator/run-schedule.ts'],
    npm: ['typebox', 'yaml'],
  },
  engine: { inside: ['domain', 'shared'], npm: [], node: ['node:crypto'] },
  services: { inside: ['domain'], typesOf: ['engine'], npm: [] },
  frontends: { inside: EDGE, npm: ['zeromq', 'fastify'] },
  backends: { inside: EDGE, npm: ['zeromq', 'undici', 'cockatiel'] },
  storage: { inside: EDGE, npm: ['pg', '@electric-sql/'] },
  backup: { inside: EDGE, npm: ['typebox'] },
  rollout: { inside: EDGE, npm: ['unleash-client'] },
  operator: {
    inside: EDGE,
    npm: [
      'fastify',
      'typebox',
      'undici',
      '@fastify/',
      'html-escaper',
      'yaml',
      'lru-cache',
      'uplot',
      'croner',
      '@fontsource-variable/inter',
    ],
  },
  telemetry: { inside: EDGE, npm: ['pino', 'pino-pretty', '@opentelemetry/'] },
  orchestrator: {
    inside: [
      'domain',
      'shared',
      'frontends/connection-limit.ts',
      'storage/database.ts',
      'storage/apply-schema.ts',
      'storage/sessions/session.ts',
      'telemetry',
    ],
    npm: [
      'zeromq',
      'fastify',
      'typebox',
      'pino',
      'pg',
      '@electric-sql/pglite-pgvector',
      '@opentelemetry/',
      'cockatiel',
      'lru-cache',
      'rate-limiter-flexible',
      'redis',
      'undici',
      'graphology',
      'graphology-metrics',
      '@energetic-ai/',
      'piscina',
    ],
  },
};
