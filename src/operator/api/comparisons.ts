import { Type } from 'typebox';
import type { Difference } from '../../domain/comparison.ts';
import type { LaneKey, OperationId } from '../../domain/ids.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { RULE } from './rules.ts';
import { Count, OfService, oneOf, orNull, Service, Time } from './schemas.ts';

const Found = Type.Object({
  /** Members joined by dots. `[]` means any index: `context[].content`. */
  path: Type.String(),
  class: Type.Unsafe<Difference['class']>(Type.String()),
  /** Shape and digest, such as `string(12)#3fa9c1d2`, or `absent`. */
  legacy: Type.String(),
  orchestrator: Type.String(),
  /** What both values have in common. */
  hint: Type.Optional(Type.Unsafe<NonNullable<Difference['hint']>>(Type.String())),
  /** The distance of two numbers (their unit) or two times (seconds). */
  apart: Type.Optional(Type.Number()),
});

/** What a comparison found, as every answer shows it. */
export const COMPARISON = {
  verdict: oneOf(['match', 'mismatch', 'not_comparable']),
  /** Why the answers could not be compared. */
  reason: Type.Optional(Type.String()),
  differences: Type.Array(Found),
  /** Differences that a rule accepted. */
  suppressed: Count,
  /** Differences that were found and explained, and do not count. */
  explained: Type.Optional(
    Type.Array(Type.Object({ difference: Found, by: oneOf(['noise', 'forgotten', 'expired_skew']) })),
  ),
  /** Set if both answers are errors in the service's dialect. */
  error_pair: Type.Optional(Type.Literal(true)),
  /** The similarity of two rankings, 0–1. */
  ranking: Type.Optional(
    Type.Object({
      overlap: Type.Number(),
      rank_biased_overlap: Type.Number(),
      lexical: Type.Optional(Type.Object({ expected: Type.Number(), found: Type.Number() })),
    }),
  ),
  /** Deleted items that the orchestrator returned, or in a flipped lane either backend. */
  deleted_returned: Type.Optional(Count),
};

const PrintedComparison = Type.Object(COMPARISON);

export type PrintedComparison = Of<typeof PrintedComparison>;

const FoundDifference = Type.Object({
  /** Ascends with time. Absent before it is stored. */
  id: Type.Optional(Count),
  at: Time,
  operation_id: Type.String(),
  service: Service,
  action: Type.String(),
  lane: Type.String(),
  primary: oneOf(['legacy', 'orchestrator']),
  ...COMPARISON,
});

/** A stored comparison with a difference, without the compared content. */
export type FoundDifference = Of<typeof FoundDifference>;

const ShownSignature = Type.Object({
  action: Type.String(),
  path: Type.String(),
  class: Type.String(),
  shape: Type.String(),
  count: Count,
  first_at: Time,
  last_at: Time,
  /** The likely cause found most often; null if there was none. */
  hint: orNull(Type.String()),
  /** About how many lanes were affected. */
  lanes: Count,
  examples: Type.Array(
    Type.Object({
      at: Time,
      lane: Type.Unsafe<LaneKey>(Type.String()),
      operation_id: Type.Unsafe<OperationId>(Type.String()),
      legacy: Type.String(),
      orchestrator: Type.String(),
      apart: Type.Optional(Type.Number()),
    }),
  ),
});

/** A group of differences. */
export type ShownSignature = Of<typeof ShownSignature>;

const RuleInForce = Type.Object(
  {
    /** Null for a rule of the definition. */
    id: orNull(Count),
    action: Type.String(),
    ...RULE,
    expired: Type.Boolean(),
    /** Differences that it accepted in this process since its start. */
    hits: Count,
    last_hit_at: orNull(Time),
  },
  { additionalProperties: true },
);

/** A rule of a service. The members of its kind are beside these. */
export type RuleInForce = Of<typeof RuleInForce>;

const Range = Type.Tuple([Type.Number(), Type.Number()]);

const ComparedAction = Type.Object({
  comparable: Count,
  error_pairs: Count,
  paths: Count,
  /** Paths that answers contain and that were never compared, because a rule ignores them. */
  paths_never_compared: Type.Array(Type.String()),
  /** Errors that agents got, and those of them that were never compared, as digests of their text. */
  error_cases: Count,
  error_cases_never_compared: Type.Array(Type.String()),
  /** About how many lanes were compared. */
  lanes: Count,
  /** The lane with the most comparisons, and its share of them, 0–1. */
  giant_lane: orNull(Type.Object({ lane: Type.String(), share: Type.Number() })),
  repeats: Count,
  noise: Type.Array(
    Type.Object({
      /** Class and path: `value context[].score`. */
      place: Type.String(),
      repeats: Count,
      noisy: Count,
      noise: Range,
      comparisons: Count,
      differing: Count,
      /** The rate that remains after noise is subtracted. */
      beyond: Range,
    }),
  ),
});

const REPORT = {
  clock_offset: Type.Object({
    /** How far legacy's clock is ahead. It is subtracted from legacy's times; 0 until it is known. */
    seconds: Type.Number(),
    measured_from: Count,
    /** Why the median gap is not subtracted. */
    not_subtracted: Type.Optional(oneOf(['too_large', 'scattered'])),
  }),
  actions: Type.Record(Type.String(), ComparedAction),
  actions_never_compared: Type.Array(Type.String()),
  whole_lanes: Type.Object({ lanes: Count, match: Count, mismatch: Count, not_comparable: Count }),
  /** Differences of all services that were not counted, because there were too many signatures. */
  differences_ungrouped: Count,
  rules: Type.Array(RuleInForce),
};

const PrintedReport = Type.Object(REPORT);

/** What an operator may know of a service's comparisons, in this process since its start. */
export type PrintedReport = Of<typeof PrintedReport>;

const DifferencesQuery = Type.Object({
  action: Type.Optional(Type.String()),
  /** Of the lane. */
  owner: Type.Optional(Type.String()),
  path: Type.Optional(Type.String()),
  class: Type.Optional(Type.String()),
  /** Maximum age. */
  hours: Type.Optional(Type.String()),
  /** An id, for the next page. */
  before: Type.Optional(Type.String()),
  limit: Type.Optional(Type.String()),
});

export const COMPARISONS = {
  listDifferences: {
    method: 'GET',
    path: '/v1/services/:service/differences',
    summary: 'Lists comparisons with a difference, newest first. Values are redacted.',
    caller: 'viewer',
    params: OfService,
    query: DifferencesQuery,
    checkedBy: 'handler',
    answer: {
      json: Type.Object({ service: Service, limit: Count, differences: Type.Array(FoundDifference) }),
    },
  },
  showComparisons: {
    method: 'GET',
    path: '/v1/services/:service/comparisons',
    summary: 'Shows what was compared, with noise, clock and rules.',
    caller: 'viewer',
    params: OfService,
    answer: { json: Type.Object({ service: Service, ...REPORT }) },
  },
  listSignatures: {
    method: 'GET',
    path: '/v1/services/:service/signatures',
    summary: 'Lists differences grouped by cause, most frequent first.',
    caller: 'viewer',
    params: OfService,
    answer: { json: Type.Object({ service: Service, signatures: Type.Array(ShownSignature) }) },
  },
} satisfies Record<string, Endpoint>;
