import type { ComparisonRule } from '../../domain/comparison.ts';
import type { RuleNode } from './compiled-rules.ts';
import { secondsApart } from './instants.ts';

/** Counts what rules accepted. */
export interface Tally {
  suppressed: number;
}

const CUT = '...';

type Acceptance = (rule: ComparisonRule, legacy: unknown, orchestrator: unknown) => boolean;

/** What each rule lets differ. An absent value is undefined. `set` is about lists, and decided where they are compared. */
const ACCEPTS: { readonly [Kind in ComparisonRule['kind']]: Acceptance } = {
  ignore: () => true,
  set: () => false,
  equal_if_missing: (_rule, legacy, orchestrator) => (legacy ?? null) === (orchestrator ?? null),
  prefix: (_rule, legacy, orchestrator) =>
    typeof legacy === 'string' &&
    typeof orchestrator === 'string' &&
    legacy.endsWith(CUT) &&
    orchestrator.startsWith(legacy.slice(0, -CUT.length)),
  tolerance_seconds: (rule, legacy, orchestrator) => {
    const seconds = secondsApart(legacy, orchestrator);
    return rule.kind === 'tolerance_seconds' && seconds !== undefined && seconds <= rule.seconds;
  },
};

/** Whether a rule of this place accepts two values that are not the same. */
export function isAccepted(
  pair: { readonly legacy: unknown; readonly orchestrator: unknown },
  node: RuleNode | undefined,
  tally: Tally,
): boolean {
  if (node === undefined || node.rules.length === 0) return false;
  const { legacy, orchestrator } = pair;
  const accepted = node.rules.some((rule) => ACCEPTS[rule.kind](rule, legacy, orchestrator));
  if (accepted) tally.suppressed += 1;
  return accepted;
}

/** Whether the rules of this place leave open what the value is: such a value identifies nothing. */
export function isOpen(node: RuleNode | undefined): boolean {
  return node?.rules.some(({ kind }) => kind !== 'set' && kind !== 'equal_if_missing') ?? false;
}

export function isSet(node: RuleNode | undefined): boolean {
  return node?.rules.some(({ kind }) => kind === 'set') ?? false;
}
