import { Type } from 'typebox';
import { LEDGER_STATES, type Endpoint, type Of } from './endpoint.ts';
import { HALT_REASONS } from '../../engine/ports/reverse-ports.ts';
import { BY_PERSON, ByPerson, Count, oneOf, OptionalLimit, orNull, Service, Time, UUID } from './schemas.ts';

const OfOperation = Type.Object({ operation: Type.String({ pattern: UUID }) });

const LedgerQuery = Type.Object(
  {
    service: Type.Optional(Type.String()),
    state: Type.Optional(oneOf(LEDGER_STATES)),
    limit: OptionalLimit,
  },
  { additionalProperties: false },
);

export type LedgerQuery = Of<typeof LedgerQuery>;

/** A write, without its content. */
const WRITE = {
  operation_id: Type.String(),
  service: Service,
  lane: Type.String(),
  sequence: Count,
  action: Type.String(),
};

const LETTER = {
  ...WRITE,
  code: Type.String(),
  reason: Type.String(),
  refused_at: orNull(Time),
  attempts: Count,
  state: Type.String(),
  resolved_at: orNull(Time),
  resolved_by: orNull(Type.String()),
  resolved_reason: orNull(Type.String()),
  /** Whether the lane's deliveries have passed it. */
  through: Type.Boolean(),
  waiting_behind: Count,
};

const DeadLetter = Type.Object(LETTER);

/** A dead letter as people see it, without the content of the write. */
export type DeadLetter = Of<typeof DeadLetter>;

const UnknownOutcome = Type.Object({
  ...WRITE,
  accepted_at: orNull(Time),
  found_at: orNull(Time),
  end: orNull(Type.String()),
  ended_at: orNull(Time),
  closed_at: orNull(Time),
  decided_by: orNull(Type.String()),
  decided_reason: orNull(Type.String()),
  /** What may still settle it. Null if it is settled. */
  waits_for: orNull(oneOf(['copy', 'late_reply', 'person'])),
  /** What a person may choose. */
  choices: Type.Array(oneOf(['assume-applied', 'assume-lost'])),
});

/** A write of unknown outcome, and what may still settle it. */
export type UnknownOutcome = Of<typeof UnknownOutcome>;

const HaltedSend = Type.Object({
  ...WRITE,
  reason: oneOf(HALT_REASONS),
  halted_at: orNull(Time),
  attempts: Count,
  state: oneOf(['open', 'retried', 'applied', 'forgotten', 'skipped', 'assumed_applied']),
  decided_at: orNull(Time),
  decided_by: orNull(Type.String()),
  decided_reason: orNull(Type.String()),
  waiting_behind: Count,
});

/** A write that cannot be sent to legacy without a decision, without its content. */
export type PrintedHalt = Of<typeof HaltedSend>;

const Settled = Type.Object({ operation_id: Type.String(), lane: Type.String(), state: Type.String() });

const changeOfLetter = {
  method: 'POST',
  params: OfOperation,
  body: ByPerson,
  answer: { json: Settled },
} as const;

export const LEDGERS = {
  listDeadLetters: {
    method: 'GET',
    path: '/v1/dead-letters',
    summary: 'Lists writes that the orchestrator refused for good, newest first.',
    caller: 'viewer',
    query: LedgerQuery,
    answer: { json: Type.Object({ dead_letters: Type.Array(DeadLetter) }) },
  },
  showDeadLetter: {
    method: 'GET',
    path: '/v1/dead-letters/:operation',
    summary: 'Shows one dead letter. Its request is redacted to shapes and digests.',
    caller: 'viewer',
    params: OfOperation,
    answer: { json: Type.Object({ ...LETTER, request: Type.Unknown() }) },
  },
  redriveDeadLetter: {
    ...changeOfLetter,
    path: '/v1/dead-letters/:operation/redrive',
    summary: 'Sends a dead letter again.',
    caller: 'operator',
  },
  skipDeadLetter: {
    ...changeOfLetter,
    path: '/v1/dead-letters/:operation/skip',
    summary: 'Skips a dead letter for good, so that later writes of its lane continue.',
    caller: 'approver',
  },
  copyLaneOfDeadLetter: {
    ...changeOfLetter,
    path: '/v1/dead-letters/:operation/copy',
    summary: 'Copies the whole lane of a dead letter from legacy, which resolves it.',
    caller: 'operator',
  },
  listUnknownOutcomes: {
    method: 'GET',
    path: '/v1/unknown-outcomes',
    summary: 'Lists writes with an unknown outcome, newest first.',
    caller: 'viewer',
    query: LedgerQuery,
    answer: { json: Type.Object({ unknown_outcomes: Type.Array(UnknownOutcome) }) },
  },
  assumeOutcome: {
    method: 'POST',
    path: '/v1/unknown-outcomes/:operation/assume',
    summary: 'Decides an unknown outcome that cannot be determined.',
    caller: 'approver',
    params: OfOperation,
    body: Type.Object({
      ...BY_PERSON,
      outcome: oneOf(['applied', 'lost']),
    }),
    answer: { json: Settled },
  },
  listReverse: {
    method: 'GET',
    path: '/v1/reverse',
    summary: 'Lists writes that could not be sent to legacy without a decision, newest first.',
    caller: 'viewer',
    query: LedgerQuery,
    answer: { json: Type.Object({ reverse: Type.Array(HaltedSend) }) },
  },
  retryReverse: {
    ...changeOfLetter,
    path: '/v1/reverse/:operation/retry',
    summary: 'Sends a halted write to legacy again.',
    caller: 'approver',
  },
  skipReverse: {
    ...changeOfLetter,
    path: '/v1/reverse/:operation/skip',
    summary: 'Skips a halted write for good: legacy never gets it, and later writes of its lane continue.',
    caller: 'approver',
  },
  assumeReverse: {
    ...changeOfLetter,
    path: '/v1/reverse/:operation/assume-applied',
    summary: 'Assumes that legacy has a halted write, so that later writes of its lane continue.',
    caller: 'approver',
  },
} satisfies Record<string, Endpoint>;
