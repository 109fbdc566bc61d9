import { Type, type Static } from 'typebox';

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

/** Logs, metrics and traces of the orchestrator. */
export const TelemetrySettings = Type.Object(
  {
    logLevel: Type.Union(
      LEVELS.map((level) => Type.Literal(level)),
      { default: 'info' },
    ),
    slowQueryMs: Type.Integer({ minimum: 1, default: 500 }),
    otlpEndpoint: Type.Optional(Type.String({ pattern: '^https?://.+' })),
  },
  { additionalProperties: false },
);

export type TelemetrySettings = Static<typeof TelemetrySettings>;
