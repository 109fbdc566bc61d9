import { Type } from 'typebox';
import { WRITES_STATES } from '../../domain/stage.ts';
import { SCRATCH_INSTANCES } from '../../engine/ports/service-writes-ports.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { BY_PERSON, Count, oneOf, OfService, orNull, Time } from './schemas.ts';

const Fact = Type.Object({
  /** A closed word. */
  need: Type.String(),
  met: Type.Boolean(),
  says: Type.String(),
  /** A person can accept it by this name. */
  accept: Type.Optional(Type.String()),
});

/** One condition, met or not. */
export type EndFact = Of<typeof Fact>;

const ForeignChange = Type.Object({
  owner: Type.String(),
  kind: oneOf(['writer', 'reader']),
  changes: Type.Record(Type.String(), Count),
  writers: Type.Array(Type.String()),
  found_at: Time,
  seen_at: Time,
});

export type ShownForeignChange = Of<typeof ForeignChange>;

const Approval = Type.Object({
  person: Type.String(),
  facts: Type.String(),
  reason: Type.String(),
  at: Time,
});

const EndOfService = Type.Object({
  service: Type.String(),
  state: oneOf(WRITES_STATES),
  since: orNull(Time),
  settled_at: orNull(Time),
  clock_began_at: orNull(Time),
  clock_restarts: Count,
  required_seconds: Count,
  completed_at: orNull(Time),
  /** What the service needs to become read-only. Empty if it is read-only. */
  read_only: Type.Array(Fact),
  /** What it needs to be completed. */
  completion: Type.Array(Fact),
  /** Digest of the facts that an approval names. */
  facts: Type.String(),
  approvals: Type.Array(Approval),
  /** Without those that came after the service had become read-only. */
  lanes: Count,
  /** Owners that came after the service had become read-only. */
  born_since: Count,
  /** Owners on legacy whose memory the present dual writes have not copied yet. */
  not_copied: Count,
  given_up: Type.Array(Type.String()),
  foreign: Type.Array(ForeignChange),
  census: orNull(
    Type.Object({ at: Time, lanes: Count, equal: Count, unproven: Count, forgotten_items: Count }),
  ),
  backup: orNull(
    Type.Object({
      folder: Type.String(),
      made_at: Time,
      restored_at: Time,
      lanes: Count,
      items: Count,
      /** Whether every lane was also read from an instance of the service on the restored file. */
      scratch_instance: oneOf(SCRATCH_INSTANCES),
    }),
  ),
  /** Writes that the journal keeps for a way back, by the traffic of the last day. */
  kept: Type.Object({ writes_per_day: Count, bytes_per_day: Count, bytes_estimated: Count }),
  no_longer_possible: Type.Array(Type.String()),
  /** What could be removed after the completion. */
  leftovers: Type.Array(Type.String()),
});

/** How far a service is from its end, and what is missing. */
export type EndOfService = Of<typeof EndOfService>;

const Changed = Type.Object({ service: Type.String(), state: Type.String() });
const PATH = '/v1/ends/:service';

const change = {
  method: 'POST',
  params: OfService,
  caller: 'approver',
  answer: { json: Changed },
} as const;

export const ENDS = {
  showEnd: {
    method: 'GET',
    path: PATH,
    summary: 'Shows how far a service is from the end of its migration, and every condition.',
    caller: 'viewer',
    params: OfService,
    /** Lanes that would be given up, by key, separated by commas. */
    query: Type.Object({ give_up: Type.Optional(Type.String()) }, { additionalProperties: false }),
    answer: { json: EndOfService },
  },
  beginReadOnly: {
    ...change,
    path: `${PATH}/read-only`,
    summary: 'Makes legacy read-only: it gets no later write.',
    body: Type.Object({
      ...BY_PERSON,
      give_up: Type.Optional(Type.Array(Type.String(), { maxItems: 1_000 })),
    }),
  },
  endReadOnly: {
    ...change,
    path: `${PATH}/read-only/end`,
    summary: 'Opens a read-only service again. Legacy then gets what the journal kept.',
    body: Type.Object(BY_PERSON),
  },
  recordLegacyBackup: {
    ...change,
    caller: 'operator',
    path: `${PATH}/backup`,
    summary: 'Records a backup of legacy that was restored and read back. The first one starts the clock.',
    body: Type.Object({
      ...BY_PERSON,
      folder: Type.String({ minLength: 1, maxLength: 1_000 }),
      made_at: Type.String({ minLength: 1, maxLength: 40 }),
      manifest_sha256: Type.String({ minLength: 64, maxLength: 64 }),
      lanes: Count,
      items: Count,
      scratch_instance: Type.Optional(oneOf(SCRATCH_INSTANCES)),
    }),
  },
  acceptForEnd: {
    ...change,
    path: `${PATH}/accept`,
    summary: 'Accepts, under the name of a person, a condition of the completion that is not met.',
    body: Type.Object({ ...BY_PERSON, subject: Type.String({ minLength: 1, maxLength: 200 }) }),
  },
  approveCompletion: {
    ...change,
    path: `${PATH}/approve`,
    summary: 'Approves the completion of a service under the facts that the digest names.',
    body: Type.Object({ ...BY_PERSON, facts: Type.String({ minLength: 64, maxLength: 64 }) }),
  },
  completeService: {
    ...change,
    path: `${PATH}/complete`,
    summary:
      'Completes a service: nothing is sent to legacy any more. Answers with what the certificate says.',
    body: Type.Object({ ...BY_PERSON, facts: Type.String({ minLength: 64, maxLength: 64 }) }),
    answer: { json: Type.Object({ service: Type.String(), statement: Type.String() }) },
  },
  showStatement: {
    method: 'GET',
    path: `${PATH}/statement`,
    summary: 'Returns what the certificate of a completed service says, to be signed.',
    caller: 'viewer',
    params: OfService,
    answer: { json: Type.Object({ service: Type.String(), statement: Type.String() }) },
  },
  keepCertificate: {
    ...change,
    path: `${PATH}/certificate`,
    summary: 'Stores the signature of what the certificate of a completed service says.',
    body: Type.Object({
      ...BY_PERSON,
      public_key: Type.String({ minLength: 1, maxLength: 200 }),
      signature: Type.String({ minLength: 1, maxLength: 200 }),
    }),
  },
  showCertificate: {
    method: 'GET',
    path: `${PATH}/certificate`,
    summary: 'Returns the signed certificate of a completed service, as JSON.',
    caller: 'viewer',
    params: OfService,
    answer: { document: 'application/json' },
  },
  showCertificatePage: {
    method: 'GET',
    path: `${PATH}/certificate.html`,
    summary: 'Returns the signed certificate of a completed service as one HTML page.',
    caller: 'viewer',
    params: OfService,
    /** The fingerprint of the key that must have signed it. */
    query: Type.Object(
      { signer: Type.Optional(Type.String({ pattern: '^[0-9a-f]{32}$' })) },
      { additionalProperties: false },
    ),
    answer: { document: 'text/html; charset=utf-8' },
  },
} satisfies Record<string, Endpoint>;
