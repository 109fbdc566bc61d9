import { Type } from 'typebox';
import type { Hint } from '../../domain/comparison.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { OfRun, Run } from './runs.ts';
import { BY_PERSON, ByPerson, Count, OfService, oneOf, orNull, Time } from './schemas.ts';

/** Shapes of fields, without their content. */
const Fields = Type.Record(Type.String(), Type.String());

const PrintedFinding = Type.Object({
  /** The side that changed. `unknown` if there is no record of what both sides once held. */
  side: oneOf(['orchestrator', 'legacy', 'unknown']),
  kind: oneOf(['altered', 'added', 'removed', 'reordered', 'resurrected', 'lost', 'not_seeded']),
  /** Digests of what the orchestrator holds, and of what it should hold. */
  before: Type.Optional(Type.String()),
  after: Type.Optional(Type.String()),
  memory_id: Type.Optional(Type.String()),
  /** The writer on legacy, if the service records it. */
  by: Type.Optional(Type.String()),
  /** For an altered item: what both values have in common. */
  hint: Type.Optional(Type.Unsafe<Hint>(Type.String())),
  /** When the item was written. */
  at: Type.Optional(Time),
  /** Place in legacy's list, from 1. */
  place: Type.Optional(Count),
  before_fields: Type.Optional(Fields),
  after_fields: Type.Optional(Fields),
});

/** One item, or the order of a lane, in which the stores disagree. */
export type PrintedFinding = Of<typeof PrintedFinding>;

/** What a side shows of a lane. */
const Side = Type.Object({ items: Count, digest: Type.String() });

const Divergence = Type.Object({
  id: Count,
  run: Count,
  service: Type.String(),
  owner: Type.String(),
  state: oneOf(['open', 'lost', 'accepted', 'repaired', 'copied', 'undone', 'gone', 'legacy_differs']),
  /** The later run that found it different again. */
  found_again_by: Type.Optional(Count),
  found_at: Time,
  findings: Type.Array(PrintedFinding),
  /** The orchestrator's list as it is, and as it will be after a repair. */
  before: Side,
  after: Side,
});

/** A lane that was found different. */
export type Divergence = Of<typeof Divergence>;

const RepairPlan = Type.Object({
  run: Count,
  findings: Count,
  /** Share of all items that were compared. */
  share: Type.Number(),
  limits: Type.Object({ items: Type.Number(), share: Type.Number() }),
  /** Why it would be refused. */
  refusal: orNull(Type.String()),
  /** Lanes of the run that no repair of it touches. */
  untouched: Type.Object({ undone: Count, lost: Count, flipped: Count }),
  lanes: Type.Array(Divergence),
});

/** What a repair would change. */
export type RepairPlan = Of<typeof RepairPlan>;

const LostItem = Type.Object({
  service: Type.String(),
  owner: Type.String(),
  memory_id: Type.String(),
  /** Null if the item was stored before places, times or shapes were. */
  position: orNull(Type.Number()),
  stored_at: orNull(Time),
  shape: orNull(Type.String()),
  digest: Type.String(),
  found_at: Time,
});

/** An item that legacy lost and that waits for a decision. */
export type LostItem = Of<typeof LostItem>;

const AcceptedLane = Type.Object({
  accepted: Type.Literal(true),
  /** The run that found the differences. */
  run: Count,
  findings: Count,
  /** Why the lane is stopped. Absent if it is not. */
  stopped: Type.Optional(Type.String()),
});

export type AcceptedLane = Of<typeof AcceptedLane>;

export const REPAIRS = {
  listDivergences: {
    method: 'GET',
    path: '/v1/runs/:run/divergences',
    summary: 'Lists the lanes that a reconciliation found different.',
    caller: 'viewer',
    params: OfRun,
    checkedBy: 'handler',
    answer: { json: Type.Object({ divergences: Type.Array(Divergence) }) },
  },
  planRepair: {
    method: 'GET',
    path: '/v1/runs/:run/repair-plan',
    summary: 'Shows what a repair would change, lane by lane.',
    caller: 'viewer',
    params: OfRun,
    checkedBy: 'handler',
    answer: { json: RepairPlan },
  },
  applyRepair: {
    method: 'POST',
    path: '/v1/runs/:run/repair',
    summary: 'Starts a repair of what a reconciliation found.',
    caller: 'approver',
    params: OfRun,
    body: Type.Object({
      ...BY_PERSON,
      limit_items: Type.Optional(Type.Union([Type.Number(), Type.String()])),
      limit_share: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
    }),
    checkedBy: 'handler',
    answer: { json: Run },
  },
  undoRepair: {
    method: 'POST',
    path: '/v1/runs/:run/undo',
    summary: 'Reverts a repair. Its lanes are stopped and read from legacy.',
    caller: 'approver',
    params: OfRun,
    body: ByPerson,
    checkedBy: 'handler',
    /** `left`: lanes that were not undone, with the reason. */
    answer: { json: Type.Object({ undone: Count, left: Type.Array(Type.String()) }) },
  },
  acceptLane: {
    method: 'POST',
    path: '/v1/services/:service/lanes/accept',
    summary: 'Accepts the differences of one lane, so that they do not keep its reads on legacy.',
    caller: 'approver',
    params: OfService,
    body: Type.Object({ ...BY_PERSON, owner: Type.String() }),
    checkedBy: 'handler',
    answer: { json: AcceptedLane },
  },
  listLost: {
    method: 'GET',
    path: '/v1/lost',
    summary: 'Lists items that legacy lost and that wait for a decision.',
    caller: 'viewer',
    answer: { json: Type.Object({ items: Type.Array(LostItem) }) },
  },
  decideLost: {
    method: 'POST',
    path: '/v1/lost',
    summary: 'Restores a lost item on legacy, or accepts the loss. Without memory_id: restores a whole lane.',
    caller: 'approver',
    body: Type.Object({
      ...BY_PERSON,
      decision: oneOf(['accept', 'restore']),
      service: Type.String(),
      owner: Type.String(),
      memory_id: Type.Optional(Type.String()),
    }),
    checkedBy: 'handler',
    /** `waiting`: lost items of the lane that still wait for a decision. */
    answer: { json: Type.Object({ waiting: Count, restored: Type.Optional(Count) }) },
  },
} satisfies Record<string, Endpoint>;
