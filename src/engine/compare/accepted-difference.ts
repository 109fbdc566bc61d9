import type { ComparisonRule } from '../../domain/comparison.ts';
import type { RuleNode } from './compiled-rules.ts';
import { secondsBetween } from './instants.ts';
import { isEqualNumber, isNumeric, plainOf } from './reply-values.ts';
import type { Tally } from './tally.ts';

interface ValuePair {
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

const CUT = '...';

type Acceptance<Kind extends ComparisonRule['kind']> = (
  rule: Extract<ComparisonRule, { readonly kind: Kind }>,
  pair: ValuePair,
  tally: Tally,
) => boolean;

/** The differences that each rule accepts. An absent value is undefined. Rules about lists apply where lists are compared. */
const ACCEPTS: { readonly [Kind in ComparisonRule['kind']]: Acceptance<Kind> } = {
  ignore: () => true,
  set: () => false,
  keyed: () => false,
  ranking: () => false,
  equal_if_missing: (_rule, { legacy, orchestrator }) => (legacy ?? null) === (orchestrator ?? null),
  default: ({ value }, { legacy, orchestrator }) =>
    (legacy === undefined && plainOf(orchestrator) === value) ||
    (orchestrator === undefined && plainOf(legacy) === value),
  prefix: (_rule, { legacy, orchestrator }) =>
    typeof legacy === 'string' &&
    typeof orchestrator === 'string' &&
    legacy.endsWith(CUT) &&
    orchestrator.startsWith(legacy.slice(0, -CUT.length)),
  tolerance: ({ within }, { legacy, orchestrator }) =>
    isNumeric(legacy) &&
    isNumeric(orchestrator) &&
    (isEqualNumber(legacy, orchestrator) || Math.abs(Number(legacy) - Number(orchestrator)) <= within),
  tolerance_seconds: ({ seconds }, { legacy, orchestrator }, tally) => {
    const gap = secondsBetween(legacy, orchestrator);
    if (gap === undefined) return false;
    tally.gap(gap);
    return Math.abs(gap - (tally.facts.clockOffsetSeconds ?? 0)) <= seconds;
  },
};

/** Whether a rule at this path accepts two values that differ. */
export function isAccepted(pair: ValuePair, node: RuleNode | undefined, tally: Tally): boolean {
  if (node === undefined || node.rules.length === 0) return false;
  for (const rule of node.rules) {
    // The row of the table has the rule's own kind, but TypeScript cannot see that through an index.
    const accepts = ACCEPTS[rule.kind] as Acceptance<ComparisonRule['kind']>;
    if (!accepts(rule, pair, tally)) continue;
    tally.accepted.push(rule);
    return true;
  }
  return false;
}
