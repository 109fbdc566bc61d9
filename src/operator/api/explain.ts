import { Type } from 'typebox';
import { COMPARISON } from './comparisons.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { FirstLane, FlipFact, HeldFlips } from './flips.ts';
import { GuardStatus, ToldInterlock } from './guard.ts';
import { Count, oneOf, orNull, Time } from './schemas.ts';
import { ActionStatus } from './status.ts';

/** The state of a write on the orchestrator. `not_due`: legacy has not applied it, so there is nothing to deliver. */
const Standing = oneOf([
  'not_due',
  'waits_for_outcome',
  'waiting',
  'refused',
  'left_out',
  'delivered',
  'copied',
]);

export type Standing = Of<typeof Standing>;

const TimelineStep = Type.Object(
  {
    at: Time,
    /** Where it happened: in the journal, on a backend, or on a ledger by a person's decision. */
    where: oneOf(['journal', 'legacy', 'orchestrator', 'person']),
    what: Type.String(),
  },
  { additionalProperties: true, description: 'One event of an operation. Some steps have more members.' },
);

const ExplainedOperation = Type.Object({
  id: Type.String(),
  lane: Type.String(),
  sequence: Count,
  action: Type.String(),
  timeline: Type.Array(TimelineStep),
  legacy: Type.String(),
  orchestrator: Type.Object({
    standing: Standing,
    /** The item of the write without its content, or why there is none. */
    item: Type.Union([
      Type.String(),
      Type.Object({
        memory_id: Type.String(),
        created_at: Type.Optional(Type.Unknown()),
        position: Type.Optional(Type.Unknown()),
      }),
    ]),
  }),
});

export type ExplainedOperation = Of<typeof ExplainedOperation>;

const ExplainedDecision = Type.Object({
  primary: oneOf(['legacy', 'orchestrator']),
  dual_write: Type.Boolean(),
  shadow_read: Type.Boolean(),
  reason: Type.String(),
  /** Why a read is compared after the agent's reply, or is not. Set for reads only. */
  shadow_reason: Type.Optional(Type.String()),
  /** The share of read-cutover that latches and interlocks permit, and why. Set for reads only. */
  limit: Type.Optional(
    Type.Object({
      at_most: Type.Number(),
      lowered_by: orNull(oneOf(['interlock', 'latched'])),
      because: Type.Array(Type.String()),
    }),
  ),
});

/** The decision that would be made now for an action. */
export type ExplainedDecision = Of<typeof ExplainedDecision>;

const ExplainedLane = Type.Object({
  sequence: Count,
  generation: Count,
  epoch: Count,
  primary_backend: Type.String(),
  condition: oneOf(['clean', 'dirty', 'copying', 'stopped']),
  reason: Type.String(),
  seeded_coverage: Count,
  delivered_sequence: Count,
  settled_sequence: Count,
  exceptions: Count,
  /** Above 0 while an open difference of a reconciliation keeps its reads on legacy. */
  finding: Count,
  /** Open findings of a reconciliation, and the run that found them. */
  differences: Count,
  found_by_run: orNull(Count),
});

const Seconds = orNull(Type.Number());

/** Every fact by which the interlocks of a service are judged. */
const JudgedBy = Type.Object({
  answers: Type.Object({ legacy: Type.Boolean(), orchestrator: Type.Boolean() }),
  coverage: Type.Object({ number: Count, replicas: Count, acting: Count }),
  lanes: Type.Object({
    total: Count,
    unseeded: Count,
    unwell: Count,
    flipped: Count,
    backfill_listed: Type.Boolean(),
  }),
  oldest_delivery_seconds: Type.Number(),
  unclassified: Type.Object({ requests: Count, accepted: Type.Boolean() }),
  reconciled_ago_seconds: Seconds,
  /** Open findings of reconciliations, and the size of the last full one. */
  findings: Type.Object({
    lanes: Count,
    items: Count,
    run: orNull(Count),
    last_full: orNull(Type.Object({ run: Count, lanes: Count, items: Count, not_comparable_lanes: Count })),
  }),
  added_p95_ms: orNull(Type.Number()),
  ramp_held: Type.Boolean(),
  /** The trigger of the latch, if one is set. */
  latch: orNull(Type.String()),
  kill_switch: Type.Boolean(),
  /** Different versions of the registered replicas. */
  versions: Count,
  writes: Type.Object({
    comparable_since_full: Count,
    full_for_seconds: Seconds,
    soak_seconds: Type.Number(),
    reverse_proven: Type.Boolean(),
    first_lane_named: Type.Boolean(),
    open_rollbacks: Count,
  }),
  ends: Type.Object({
    lanes_not_flipped: Count,
    reverse_backlog: Count,
    bypassed_ago_seconds: Seconds,
    bypass_free_seconds: Type.Number(),
  }),
});

const PrintedInterlocks = Type.Object({
  mode: oneOf(['warn', 'enforce', 'off']),
  flags: Type.Record(
    Type.String(),
    Type.Object({
      asked: Type.Number(),
      in_effect: Type.Number(),
      permitted: Type.Number(),
      interlocks: Type.Array(ToldInterlock),
    }),
  ),
  actions: Type.Record(Type.String(), ActionStatus),
  judged_by: JudgedBy,
});

/** The verdict of the interlocks on each flag, and every fact that decides it. */
export type PrintedInterlocks = Of<typeof PrintedInterlocks>;

const FlagAnswer = Type.Object({ enabled: Type.Boolean(), reason: Type.String() });

const Inputs = Type.Object({
  coverage: Count,
  flags: Type.Object({
    'dual-write': FlagAnswer,
    'shadow-read': FlagAnswer,
    'read-cutover': FlagAnswer,
    'kill-switch': Type.Boolean(),
  }),
  /** A text for a lane that was never written and never copied. */
  lane: Type.Union([Type.String(), ExplainedLane]),
  /** Why the lane's reads stay on legacy; `open` if they do not. */
  fence: Type.String(),
  guard: GuardStatus,
  /** Absent before the first judgement. */
  interlocks: Type.Optional(PrintedInterlocks),
});

/** The facts that decide where the requests of a lane go. */
export type ExplainedInputs = Of<typeof Inputs>;

const ExplainedWrite = Type.Object({
  operation_id: Type.String(),
  lane: Type.String(),
  sequence: Count,
  action: Type.String(),
  accepted_at: Time,
  /** Null while it is unknown. */
  outcome: orNull(Type.String()),
  outcome_at: orNull(Time),
  /** Whether the lane's deliveries, or a copy of it, have passed the write. */
  is_through: Type.Boolean(),
  /** When and by which of the two. Null while it has not happened, and if it was not recorded. */
  through_at: orNull(Time),
  via: orNull(oneOf(['delivery', 'copy'])),
  /** Why the orchestrator refuses it, while that is not resolved. */
  dead_letter: orNull(Type.String()),
  dead_letter_at: orNull(Time),
  /** How its dead letter was resolved. */
  letter_resolution: orNull(Type.String()),
  replica: Type.String(),
  standing: Standing,
});

/** A journaled write, without its content. */
export type ExplainedWrite = Of<typeof ExplainedWrite>;

/** Seconds until the next attempt; 0 if it is due. */
const DueIn = Type.Number({ minimum: 0 });

/** Flips of the lane that failed since it last moved. */
const FlipFailures = Type.Object({
  failed: Count,
  /** Of the last one: a closed word. */
  reason: Type.String(),
  first_at: Time,
  last_at: Time,
  due_in_seconds: DueIn,
});

const LaneReturn = Type.Object({
  rollback: Count,
  person: Type.String(),
  reason: Type.String(),
  began_at: Time,
  state: oneOf(['waiting', 'returned', 'stopped']),
  /** Attempts that did not succeed, and what kept the lane at the last one. */
  failed: Count,
  obstacle: orNull(Type.String()),
  /** Null: no further attempt is made. */
  due_in_seconds: orNull(DueIn),
  returned_at: orNull(Time),
  /** The person who stopped the rollback before the lane returned. */
  stopped_by: orNull(Type.String()),
  /** Acknowledged writes that legacy lacks since. */
  lost: Count,
});

/** A rollback that contains the lane. */
export type LaneReturn = Of<typeof LaneReturn>;

const LaneFlips = Type.Object({
  primary: Type.String(),
  epoch: Count,
  /** What the lane needs to be flipped. */
  facts: Type.Array(FlipFact),
  /** A person lets this lane flip before the way back is proven. */
  goes_first: orNull(FirstLane),
  /** The person who stopped further flips of the service. */
  held: orNull(HeldFlips),
  /** New writes of the lane wait for this replica, at most until then. */
  hold: orNull(Type.Object({ replica: Type.String(), until: Time })),
  failures: orNull(FlipFailures),
  /** Every change of its primary, oldest first. */
  history: Type.Array(
    Type.Object({
      epoch: Count,
      primary: Type.String(),
      at: Time,
      replica: Type.String(),
      facts: Type.Record(Type.String(), Type.Unknown()),
      compared_at: orNull(Time),
      comparison: orNull(Type.String()),
    }),
  ),
  /** Newest first. */
  returns: Type.Array(LaneReturn),
});

/** Every flip of a lane, and what moves or keeps its primary now. */
export type LaneFlips = Of<typeof LaneFlips>;

const Explanation = Type.Object({
  service: Type.String(),
  owner: Type.String(),
  asked_about: oneOf(['owner', 'operation']),
  /** Present if the subject is a journaled write. */
  operation: Type.Optional(ExplainedOperation),
  /** For each action that has an owner. */
  decisions: Type.Record(Type.String(), ExplainedDecision),
  inputs: Inputs,
  /** Absent if no lane is flipped. */
  flips: Type.Optional(LaneFlips),
  /** Newest first. */
  writes: Type.Array(ExplainedWrite),
  differences: Type.Array(
    Type.Object({
      at: Time,
      operation_id: Type.String(),
      action: Type.String(),
      primary_backend: Type.String(),
      ...COMPARISON,
    }),
  ),
});

/** Where an owner's requests go, with every fact that decides it, or what happened to an operation. */
export type Explanation = Of<typeof Explanation>;

export const EXPLAIN = {
  explain: {
    method: 'GET',
    path: '/v1/explain/:service/:subject',
    summary: 'Explains where the requests of an owner go and why, or what happened to an operation.',
    caller: 'viewer',
    params: Type.Object({ service: Type.String(), subject: Type.String() }),
    answer: { json: Explanation },
  },
} satisfies Record<string, Endpoint>;
