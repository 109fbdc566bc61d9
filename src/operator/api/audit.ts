import { Type } from 'typebox';
import type { Endpoint, Of } from './endpoint.ts';
import { NUMBER, OptionalLimit, orNull, Time } from './schemas.ts';

const AuditQuery = Type.Object(
  {
    service: Type.Optional(Type.String()),
    person: Type.Optional(Type.String({ maxLength: 200 })),
    command: Type.Optional(Type.String({ maxLength: 100 })),
    limit: OptionalLimit,
    before: Type.Optional(Type.String({ pattern: NUMBER })),
  },
  { additionalProperties: false },
);

const AuditEntry = Type.Object({
  /** Ascends with time. */
  id: Type.Integer(),
  at: Time,
  person: Type.String(),
  /** The command, such as `guard release`. */
  command: Type.String(),
  service: Type.String(),
  reason: Type.String(),
  details: Type.Record(Type.String(), Type.Unknown()),
});

export type AuditEntry = Of<typeof AuditEntry>;

export const AUDIT = {
  listAudit: {
    method: 'GET',
    path: '/v1/audit',
    summary: 'Lists who changed what, and why, newest first. Pass next as before to get the next page.',
    caller: 'viewer',
    query: AuditQuery,
    answer: { json: Type.Object({ entries: Type.Array(AuditEntry), next: orNull(Type.Integer()) }) },
  },
} satisfies Record<string, Endpoint>;
