import { Type, type Static } from 'typebox';
import { whole } from '../whole-number.ts';

const file = Type.Optional(Type.String({ minLength: 1 }));

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
    curveSecretKeyFile: file,
    curveClientsFile: file,
  },
  { additionalProperties: false },
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
