import { Type, type Static } from 'typebox';
import { whole } from '../whole-number.ts';

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
  { additionalProperties: false },
);

export type TelemetrySettings = Static<typeof TelemetrySettings>;
