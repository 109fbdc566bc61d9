import type { DifferenceClass, ExplainedClass } from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { RuleNode } from './compiled-rules.ts';
import { secondsOfInstant } from './instants.ts';

/** What a service forgets by itself, at the time of one comparison. Plain data. */
export interface ExpiryFacts {
  /** Owners that were not used for this long are deleted. */
  readonly idleSeconds: number;
  readonly nowSeconds: number;
  /** The same time in the service's own zone, as its texts without a zone spell it. */
  readonly naiveNowSeconds: number;
}

/** So close to the limit, the two backends may have looked on different sides of it. */
const SKEW_SECONDS = 60;

interface Values {
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

/**
 * Why a whole lane exists on one backend and is missing on the other, if the service's declared retention explains it. `forgotten`:
 * legacy had to delete it. `expired_skew`: close to that time. Undefined for anything else, in particular for a part of a lane.
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

/** An error, or an answer whose lists are all empty. */
function isEmptyAnswer(value: unknown): boolean {
  if (!isJsonObject(value)) return Array.isArray(value) && value.length === 0;
  const lists = Object.values(value).filter((member) => Array.isArray(member));
  return lists.every((list) => list.length === 0);
}

/** Seconds since each time in an answer. Rules decide which members are times. */
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
