import { Type } from 'typebox';
import type { ComparisonRule } from '../../domain/comparison.ts';
import { MOST_TRIED, type Endpoint, type Of } from './endpoint.ts';
import { BY_PERSON, Count, NUMBER, OfService, orNull } from './schemas.ts';

/** The members that every rule has. Those of its kind are in the guide. */
export const RULE = {
  kind: Type.String(),
  path: Type.String(),
  owner: Type.String(),
  reason: Type.String(),
  expires: Type.Optional(Type.String()),
};

const ListedRule = Type.Object({
  /** Null for a rule of the definition. Only the definition's file changes it. */
  id: orNull(Count),
  action: Type.String(),
  rule: Type.Unsafe<ComparisonRule>(Type.Object(RULE, { additionalProperties: true })),
  expired: Type.Boolean(),
  /** Differences that it accepted, over all replicas since it was added. */
  hits: Count,
});

export type ListedRule = Of<typeof ListedRule>;

const TriedAction = Type.Object({
  action: Type.String(),
  /** Stored mismatches that were judged again. */
  comparisons: Count,
  /** Of these, judged from their texts. The others were judged from shapes, digests and distances. */
  from_samples: Count,
  would_match: Count,
  still_mismatch: Count,
  /** The rest would not be comparable: expired, or too large. */
  not_comparable: Count,
  undecided: Count,
  /** Not counted as comparisons: differences of whole lanes, and those of an earlier version, whose rules are unknown. */
  not_judged: Count,
  signatures: Type.Array(
    Type.Object({
      path: Type.String(),
      class: Type.String(),
      shape: Type.String(),
      hint: Type.Optional(Type.Unsafe<string | undefined>(Type.String())),
      accepted: Count,
      counts: Count,
      explained: Count,
      unknown: Count,
    }),
  ),
});

/** The result of an action's stored differences under other rules. */
export type TriedAction = Of<typeof TriedAction>;

const RULES_OF = { service: Type.String(), rules: Type.Array(Type.Unknown()) };

export const RULES = {
  listRules: {
    method: 'GET',
    path: '/v1/rules',
    summary: 'Lists the comparison rules of a service that are in force.',
    caller: 'viewer',
    query: Type.Object(OfService.properties, { additionalProperties: false }),
    answer: { json: Type.Object({ service: Type.String(), rules: Type.Array(ListedRule) }) },
  },
  tryRules: {
    method: 'POST',
    path: '/v1/rules/try',
    summary: 'Judges stored differences again under proposed rules. Changes nothing.',
    caller: 'viewer',
    body: Type.Object({
      // Accepted and not used: a token adds the person to every body.
      person: Type.Optional(Type.Unknown()),
      reason: Type.Optional(Type.Unknown()),
      ...RULES_OF,
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: MOST_TRIED })),
    }),
    answer: { json: Type.Object({ service: Type.String(), actions: Type.Array(TriedAction) }) },
  },
  addRules: {
    method: 'POST',
    path: '/v1/rules',
    summary: 'Puts rules in force on every replica.',
    caller: 'approver',
    body: Type.Object({ ...BY_PERSON, ...RULES_OF }),
    answer: { json: Type.Object({ service: Type.String(), added: Type.Array(Count) }) },
  },
  removeRule: {
    method: 'POST',
    path: '/v1/rules/:rule/remove',
    summary: 'Removes an added rule on every replica.',
    caller: 'operator',
    params: Type.Object({ rule: Type.String({ pattern: NUMBER }) }),
    /** A service to which the rule must belong. */
    body: Type.Object({ ...BY_PERSON, service: Type.Optional(Type.String()) }),
    answer: { json: Type.Object({ service: Type.String(), removed: Count }) },
  },
} satisfies Record<string, Endpoint>;
