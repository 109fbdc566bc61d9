import type { DifferenceClass, ExplainedClass } from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { RuleNode } from './compiled-rules.ts';
import { secondsOfInstant } from './instants.ts';

/** What a service forgets by itself, at the moment of one comparison. Plain data. */
export interface ExpiryFacts {
  /** Owners that were not used for so long are deleted. */
  readonly idleSeconds: number;
  readonly nowSeconds: number;
  /** The same moment as times without a zone spell it in the service's own. */
  readonly naiveNowSeconds: number;
}

/** So near to the limit either side may have looked before the other. */
const SKEW_SECONDS = 60;

interface Values {
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

/**
 * Why a whole lane is there on one side and gone on the other, where the service's declared retention accounts for it: `forgotten`
 * where legacy had to delete it, `expired_skew` around that moment. Undefined for anything else, above all for a part of a lane.
 */
export function explainedByExpiry(
  values: Values,
  rules: RuleNode,
  facts: {
    readonly differences: readonly { readonly class: DifferenceClass }[];
    readonly expiry: ExpiryFacts;
  },
): ExplainedClass | undefined {
  const { differences, expiry } = facts;
  const isLegacyEmpty = isEmptyAnswer(values.legacy);
  if (isLegacyEmpty === isEmptyAnswer(values.orchestrator)) return undefined;
  const gone = isLegacyEmpty ? 'extra_in_orchestrator' : 'missing_in_orchestrator';
  if (!differences.every(({ class: kind }) => kind === gone || kind === 'error_parity')) return undefined;
  const ages = agesIn(isLegacyEmpty ? values.orchestrator : values.legacy, rules, expiry);
  if (ages.length === 0) return undefined;
  const beyondSeconds = Math.min(...ages) - expiry.idleSeconds;
  if (Math.abs(beyondSeconds) <= SKEW_SECONDS) return 'expired_skew';
  return isLegacyEmpty && beyondSeconds > 0 ? 'forgotten' : undefined;
}

/** An error, or an answer all of whose lists are empty. */
function isEmptyAnswer(value: unknown): boolean {
  if (!isJsonObject(value)) return Array.isArray(value) && value.length === 0;
  const lists = Object.values(value).filter((member) => Array.isArray(member));
  return lists.every((list) => list.length === 0);
}

/** Seconds since each time of an answer. Times are what rules compare as times. */
function agesIn(value: unknown, node: RuleNode | undefined, expiry: ExpiryFacts): number[] {
  if (node === undefined) return [];
  if (node.rules.some(({ kind }) => kind === 'tolerance_seconds')) {
    const instant = secondsOfInstant(value);
    if (instant === undefined) return [];
    return [(instant.isNaive ? expiry.naiveNowSeconds : expiry.nowSeconds) - instant.seconds];
  }
  if (Array.isArray(value)) return value.flatMap((element) => agesIn(element, node.elements, expiry));
  if (!isJsonObject(value)) return [];
  return [...node.members].flatMap(([key, below]) => agesIn(value[key], below, expiry));
}
