import { Type } from 'typebox';
import type { Endpoint, Of } from './endpoint.ts';
import { BY_PERSON, Count, NUMBER, oneOf, OptionalLimit, orNull, Service, Time } from './schemas.ts';

const Lost = Type.Object({
  lane: Type.String(),
  sequence: Count,
  operation_id: Type.String(),
  action: Type.String(),
  cause: oneOf(['skipped', 'halted', 'way_back_lost']),
});

const Plan = Type.Object({
  service: Service,
  lanes: Count,
  /** Acknowledged writes that are sent to legacy before the lanes return. */
  waiting_writes: Count,
  /** Writes without an outcome. If the orchestrator is dead, they count as not applied. */
  open_writes: Count,
  /** Estimate. */
  seconds: Count,
  would_be_lost: Count,
  /** The first of these writes. */
  lost: Type.Array(Lost),
  /** Lanes to which nothing is sent any more. */
  lost_ways_back: Type.Array(Type.Object({ lane: Type.String(), writes: Count, since: Time })),
  forgotten_by_retention: Count,
  forgetting_accepted: Type.Boolean(),
  /** Items that agents wrote to the orchestrator themselves, which legacy never had. Null: the orchestrator did not answer. */
  own_items: orNull(Count),
  /** The first lanes with such items. */
  own_items_of: Type.Array(Type.Object({ lane: Type.String(), items: Count })),
  /** Legacy stamps a write when it gets it. Null: none was sent. */
  largest_shift_seconds: orNull(Type.Number()),
});

/** What going back now would mean. */
export type RollbackPlan = Of<typeof Plan>;

const Rollback = Type.Object({
  rollback: Count,
  service: Service,
  state: oneOf(['running', 'ended']),
  lanes: Count,
  returned: Count,
  accepts_loss: Type.Boolean(),
  person: Type.String(),
  reason: Type.String(),
  began_at: Time,
  ended_at: orNull(Time),
  /** The first lanes that could not return yet. */
  waiting: Type.Array(Type.Object({ lane: Type.String(), attempts: Count, reason: Type.String() })),
});

/** The return of lanes to legacy. */
export type Rollback = Of<typeof Rollback>;

const OfRollback = Type.Object({ rollback: Type.String({ pattern: NUMBER }) });

const CHOICE = {
  service: Type.String(),
  /** Lanes beyond this percentage. */
  percent: Type.Optional(Type.Integer({ minimum: 0, maximum: 99 })),
};

export const ROLLBACKS = {
  planRollback: {
    method: 'GET',
    path: '/v1/rollbacks/plan',
    summary:
      'Shows what the return of lanes to legacy would lose, how long it would take, and what agents would notice.',
    caller: 'viewer',
    query: Type.Object(
      {
        service: Type.String(),
        owner: Type.Optional(Type.String()),
        percent: Type.Optional(Type.String({ pattern: '^\\d{1,2}$' })),
      },
      { additionalProperties: false },
    ),
    answer: { json: Plan },
  },
  beginRollback: {
    method: 'POST',
    path: '/v1/rollbacks',
    summary: 'Holds further flips of a service, and returns lanes to legacy.',
    caller: 'approver',
    body: Type.Object({
      ...BY_PERSON,
      ...CHOICE,
      owner: Type.Optional(Type.String()),
      all: Type.Optional(Type.Boolean()),
      accept: Type.Optional(Type.Boolean()),
    }),
    answer: { json: Rollback },
  },
  listRollbacks: {
    method: 'GET',
    path: '/v1/rollbacks',
    summary: 'Lists returns of lanes to legacy, newest first.',
    caller: 'viewer',
    query: Type.Object({ limit: OptionalLimit }, { additionalProperties: false }),
    answer: { json: Type.Object({ rollbacks: Type.Array(Rollback) }) },
  },
  showRollback: {
    method: 'GET',
    path: '/v1/rollbacks/:rollback',
    summary: 'Shows the progress of the return of lanes to legacy.',
    caller: 'viewer',
    params: OfRollback,
    answer: { json: Rollback },
  },
  stopRollback: {
    method: 'POST',
    path: '/v1/rollbacks/:rollback/stop',
    summary: 'Ends the return of lanes to legacy. Lanes that have not returned stay on the orchestrator.',
    caller: 'operator',
    params: OfRollback,
    body: Type.Object(BY_PERSON),
    answer: { json: Rollback },
  },
} satisfies Record<string, Endpoint>;
