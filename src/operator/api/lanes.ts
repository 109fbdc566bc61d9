import { Type } from 'typebox';
import type { Endpoint, Of } from './endpoint.ts';
import { FlipFact } from './flips.ts';
import { BY_PERSON, Count, OFFSET, oneOf, OfService, OptionalLimit, orNull, Time } from './schemas.ts';

/** Which lanes are listed. `unwell`: not clean, with exceptions, or different. `flipped`: the orchestrator is primary. */
export const LANE_STATES = [
  'all',
  'unwell',
  'seeded',
  'dirty',
  'copying',
  'stopped',
  'excepted',
  'differs',
  'flipped',
] as const;

/** `activity`: the newest write first. */
export const LANE_ORDERS = ['activity', 'owner', 'writes', 'behind'] as const;

const Owner = Type.String({ minLength: 1, maxLength: 512 });

const LanesQuery = Type.Object(
  {
    /** The prefix of the owner. */
    owner: Type.Optional(Type.String({ maxLength: 512 })),
    unwell: Type.Optional(oneOf(['true', 'false'])),
    state: Type.Optional(oneOf(LANE_STATES)),
    order: Type.Optional(oneOf(LANE_ORDERS)),
    limit: OptionalLimit,
    offset: Type.Optional(Type.String({ pattern: OFFSET })),
  },
  { additionalProperties: false },
);

const ListedLane = Type.Object({
  owner: Type.String(),
  /** Of its writes. */
  primary: oneOf(['legacy', 'orchestrator']),
  /** Its own facts that keep it from being flipped. Absent if no lane is ever flipped, and for a flipped lane. */
  blocked_by: Type.Optional(Type.Array(FlipFact)),
  condition: Type.String(),
  reason: Type.String(),
  sequence: Count,
  delivered_sequence: Count,
  seeded_coverage: Count,
  generation: Count,
  exceptions: Count,
  /** Differences that a reconciliation found and that are neither repaired nor accepted, and the run that found them. */
  differences: Count,
  found_by_run: orNull(Count),
  /** Null if the journal has no write of the lane any more. */
  last_write_at: orNull(Time),
});

/** A lane in a list. */
export type ListedLane = Of<typeof ListedLane>;

export const LANES = {
  listLanes: {
    method: 'GET',
    path: '/v1/services/:service/lanes',
    summary: 'Lists the lanes of a service by the prefix of their owner.',
    caller: 'viewer',
    params: OfService,
    query: LanesQuery,
    answer: {
      json: Type.Object({
        service: Type.String(),
        /** Facts of the service that keep all lanes from being flipped. Absent if no lane is ever flipped. */
        blocked_by: Type.Optional(Type.Array(FlipFact)),
        lanes: Type.Array(ListedLane),
      }),
    },
  },
  copyLane: {
    method: 'POST',
    path: '/v1/services/:service/lanes/copy',
    summary: 'Copies one lane again from legacy.',
    caller: 'operator',
    params: OfService,
    body: Type.Object({ ...BY_PERSON, owner: Owner }),
    answer: { json: Type.Object({ lane: Type.String(), state: Type.Literal('copying') }) },
  },
} satisfies Record<string, Endpoint>;
