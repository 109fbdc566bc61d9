import { Type } from 'typebox';
import { FLIP_FACTS } from '../../engine/flips/eligibility.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { BY_PERSON, ByPerson, Count, oneOf, OfService, orNull, Service, Time } from './schemas.ts';

export const FlipFact = Type.Object({
  fact: oneOf(FLIP_FACTS),
  holds: Type.Boolean(),
  /** A closed word. */
  reason: Type.Optional(Type.String()),
  have: Type.Optional(Type.Number()),
  need: Type.Optional(Type.Number()),
});

/** What a lane needs to be flipped, and whether it has it. */
export type ShownFlipFact = Of<typeof FlipFact>;

/** The one lane that a person lets flip before the way back is proven. */
export const FirstLane = Type.Object({
  lane: Type.String(),
  person: Type.String(),
  reason: Type.String(),
  at: Time,
});

/** A person has stopped further flips of a service. */
export const HeldFlips = Type.Object({ person: Type.String(), reason: Type.String(), at: Time });

/** How many lanes of a service have moved, and how many inside the share have not. */
export const LaneCounts = Type.Object({
  /** On legacy, and nothing is missing, except perhaps a comparison, which is made before the flip. */
  eligible: Count,
  /** Their primary changed in the last minute, in either direction. */
  moving: Count,
  /** Their primary is the orchestrator. */
  moved: Count,
  /** On legacy, and something is missing that comes without a person. */
  waiting: Count,
  /** On legacy, because flips failed, or because a person must act. */
  stuck: Count,
  /** False: only the first 10,000 lanes on legacy were looked at. */
  whole: Type.Boolean(),
  /** When the lanes on legacy were counted. */
  counted_at: Time,
});

export type LaneCounts = Of<typeof LaneCounts>;

const StuckLane = Type.Object({
  lane: Type.String(),
  /** A closed word. */
  reason: Type.String(),
  /** Failed flips since the lane last moved. */
  failed: Count,
  /** Until the next attempt. */
  due_in_seconds: Type.Number(),
});

const ShownFlips = Type.Object({
  service: Service,
  /** Percent of the lanes whose writes may move. */
  share: Type.Integer({ minimum: 0, maximum: 100 }),
  lanes: LaneCounts,
  /** Facts of the service. A lane needs its own in addition. */
  facts: Type.Array(FlipFact),
  held: orNull(HeldFlips),
  goes_first: orNull(FirstLane),
  /** The first stuck lanes, those with the most failures first. */
  stuck: Type.Array(StuckLane),
  /** What agents and operators notice after a lane was flipped. */
  noticed: Type.Array(Type.String()),
  /** Why no lane of the service can be flipped; empty if lanes can. */
  not_flippable: Type.Array(Type.Object({ action: Type.String(), reason: Type.String() })),
});

/** The state of the flips of a service. */
export type ShownFlips = Of<typeof ShownFlips>;

const Held = Type.Object({ service: Service, state: oneOf(['held', 'lifted']) });

export const FLIPS = {
  showFlips: {
    method: 'GET',
    path: '/v1/services/:service/flips',
    summary: 'Shows how many lanes have moved, what keeps the others from it, and which are stuck.',
    caller: 'viewer',
    params: OfService,
    answer: { json: ShownFlips },
  },
  holdFlips: {
    method: 'POST',
    path: '/v1/services/:service/flips/hold',
    summary: 'Stops further flips of a service. Lanes that have moved stay.',
    caller: 'operator',
    params: OfService,
    body: ByPerson,
    answer: { json: Held },
  },
  liftFlips: {
    method: 'POST',
    path: '/v1/services/:service/flips/lift',
    summary: 'Lets lanes of a service be flipped again.',
    caller: 'approver',
    params: OfService,
    body: ByPerson,
    answer: { json: Held },
  },
  letFirstFlip: {
    method: 'POST',
    path: '/v1/services/:service/flips/first',
    summary: 'Lets one lane be flipped before the way back is proven, so that its writes prove it.',
    caller: 'approver',
    params: OfService,
    body: Type.Object({ ...BY_PERSON, owner: Type.String({ minLength: 1 }) }),
    answer: { json: Type.Object({ service: Service, goes_first: FirstLane }) },
  },
} satisfies Record<string, Endpoint>;
