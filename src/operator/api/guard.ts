import { Type } from 'typebox';
import type { InterlockWord } from '../../engine/guard/reason.ts';
import { TRIGGERS } from '../../engine/ports/finding.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { BY_PERSON, Count, oneOf, orNull, Service, Time } from './schemas.ts';

const Numbers = Type.Record(Type.String(), Type.Number());

export const Trigger = oneOf(TRIGGERS);

const Finding = Type.Object({
  service: Service,
  trigger: Trigger,
  /** The guard's reaction, mildest step first. */
  steps: Type.Array(oneOf(['alert', 'drop_shadow_load', 'hold_flips', 'hold_ramp', 'reads_to_legacy'])),
  /** Absent if the service was judged as a whole. */
  action: Type.Optional(Type.String()),
  /** The window or the part that was counted, or the words of a signal. */
  detail: Type.Optional(Type.String()),
  numbers: Numbers,
});

export const ToldInterlock = Type.Object({
  word: Type.Unsafe<InterlockWord>(Type.String()),
  /** The present and the required value. The unit depends on the word. */
  have: Type.Optional(Type.Number()),
  need: Type.Optional(Type.Number()),
  /** A name, if the reason has one: an action or a trigger. */
  of: Type.Optional(Type.String()),
  /** What was measured, its value, and the required value. */
  says: Type.String(),
  /** What to do about it. */
  next: Type.String(),
  /** The command line for it, if there is one. */
  command: orNull(Type.String()),
});

/** An interlock's reason in words for people, besides its values for programs. */
export type ToldInterlock = Of<typeof ToldInterlock>;

const GUARD_STATUS = {
  /** What keeps the service's reads on legacy. Null if nothing does. */
  held_by: orNull(Type.String()),
  /** Lanes that neither a trip nor the kill switch moves, because the orchestrator is primary for them. Absent before the first judgement. */
  flipped_lanes: Type.Optional(Count),
  /** The latency that the proxies added in the last minutes. Absent before the first judgement. */
  added: Type.Optional(Type.Object({ p95_ms: orNull(Type.Number()), minutes: Count })),
  latch: Type.Optional(Type.Object({ id: Count, tripped_at: Time, cool_down_until: Time, finding: Finding })),
  findings: Type.Array(Finding),
  /** Whether the flags show the trip. Absent while nothing tripped. */
  flags_off: Type.Optional(
    Type.Object({
      state: oneOf(['not_configured', 'waiting', 'off']),
      flags: Type.Optional(Type.Array(Type.String())),
      tries: Type.Optional(Count),
      last_error: Type.Optional(Type.String()),
    }),
  ),
};

export const GuardStatus = Type.Object(GUARD_STATUS);

/** What the guard holds and finds of one service. */
export type GuardStatus = Of<typeof GuardStatus>;

const WatchedService = Type.Object({
  ...GUARD_STATUS,
  /** How close each trigger is to a trip. */
  triggers: Type.Array(
    Type.Object({
      trigger: Trigger,
      /** The action and the window where it is closest. */
      action: Type.Optional(Type.String()),
      detail: Type.Optional(Type.String()),
      numbers: Numbers,
      /** Progress to the trip, 0–1. */
      reached: Type.Number(),
    }),
  ),
});

export type WatchedService = Of<typeof WatchedService>;

const StainedAction = Type.Object({
  action: Type.String(),
  comparable: Count,
  mismatches: Count,
  comparisons_missing: Count,
});

/** An action whose evidence holds mismatches. A release does not reset this evidence. */
export type StainedAction = Of<typeof StainedAction>;

const BundleHead = Type.Object({
  bundle: Count,
  service: Type.String(),
  at: Time,
  trigger: Type.String(),
  bytes: Count,
});

export type BundleHead = Of<typeof BundleHead>;

const OF_SERVICE = { ...BY_PERSON, service: Type.String() };

export const GUARD = {
  showGuard: {
    method: 'GET',
    path: '/v1/guard',
    summary: 'Shows what the guard holds on legacy, and how close each trigger is to a trip.',
    caller: 'viewer',
    answer: { json: Type.Object({ services: Type.Record(Type.String(), WatchedService) }) },
  },
  releaseLatch: {
    method: 'POST',
    path: '/v1/guard/release',
    summary: 'Releases the latch of a service.',
    caller: 'approver',
    body: Type.Object({ ...OF_SERVICE, even_so: Type.Optional(Type.Boolean()) }),
    checkedBy: 'handler',
    answer: {
      json: Type.Object({
        released: Service,
        latch: Count,
        flags_off: Type.Array(Type.String()),
        stained: Type.Array(StainedAction),
      }),
    },
  },
  acceptSubject: {
    method: 'POST',
    path: '/v1/guard/accept',
    summary: 'Accepts an action without evidence, or unclassified actions.',
    caller: 'approver',
    body: Type.Object({ ...OF_SERVICE, subject: Type.String() }),
    checkedBy: 'handler',
    answer: { json: Type.Object({ accepted: Type.String(), service: Service }) },
  },
  signalGuard: {
    method: 'POST',
    path: '/v1/guard/signal',
    summary: 'Trips the guard of a service from outside. Needs the token guard.signalToken.',
    caller: 'own',
    body: Type.Object(OF_SERVICE),
    checkedBy: 'handler',
    answer: { json: Type.Object({ tripped: Service }) },
  },
  listMinutes: {
    method: 'GET',
    path: '/v1/guard/minutes',
    summary: 'Lists the counts of each minute, one JSON object a line.',
    caller: 'viewer',
    query: Type.Object({ hours: Type.Optional(Type.String()) }),
    checkedBy: 'handler',
    answer: { document: 'application/x-ndjson' },
  },
  listBundles: {
    method: 'GET',
    path: '/v1/guard/bundles',
    summary: 'Lists the bundles that trips have stored.',
    caller: 'viewer',
    answer: { json: Type.Object({ bundles: Type.Array(BundleHead) }) },
  },
  showBundle: {
    method: 'GET',
    path: '/v1/guard/bundles/:bundle',
    summary: 'Returns one bundle as it was stored.',
    caller: 'viewer',
    params: Type.Object({ bundle: Type.String() }),
    answer: { document: 'application/json' },
  },
} satisfies Record<string, Endpoint>;
