import { Type, type Static } from 'typebox';
import { whole } from '../whole-number.ts';

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
  { additionalProperties: false },
);

export type StorageSettings = Static<typeof StorageSettings>;
