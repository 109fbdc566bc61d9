import { isAccepted, isSet, type Tally } from './accepted-difference.ts';
import type { RuleNode } from './compiled-rules.ts';
import type { Fingerprints } from './fingerprints.ts';
import { findPartners, type ListPair } from './list-partners.ts';
import { isSameNumber } from './reply-values.ts';

type Members = Readonly<Record<string, unknown>>;

/** Whether two values are the same but for what rules accept. The fast way: it ends at the first difference and describes none. */
export class Equality {
  readonly #tally: Tally;
  readonly #fingerprints: Fingerprints;

  constructor(tally: Tally, fingerprints: Fingerprints) {
    this.#tally = tally;
    this.#fingerprints = fingerprints;
  }

  holds(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    if (legacy === orchestrator) return true;
    if (node !== undefined && node.rules.length > 0 && this.#isAccepted(legacy, orchestrator, node)) {
      return true;
    }
    if (!isComposite(legacy) || !isComposite(orchestrator)) return isSameScalar(legacy, orchestrator);
    if (Array.isArray(legacy)) {
      return Array.isArray(orchestrator) && this.#holdsForLists({ legacy, orchestrator }, node);
    }
    return !Array.isArray(orchestrator) && this.#holdsForObjects(legacy, orchestrator, node);
  }

  #isAccepted(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    const { suppressed } = this.#tally;
    if (!isAccepted({ legacy, orchestrator }, node, this.#tally)) return false;
    // Two objects are never identical; what is the same in them needed no rule.
    if (isComposite(legacy) && this.holds(legacy, orchestrator, undefined))
      this.#tally.suppressed = suppressed;
    return true;
  }

  #holdsForObjects(legacy: Members, orchestrator: Members, node: RuleNode | undefined): boolean {
    const members = node?.members;
    let shared = 0;
    for (const key of Object.keys(legacy)) {
      const rules = members?.get(key);
      if (Object.hasOwn(orchestrator, key)) {
        shared += 1;
        if (!this.holds(legacy[key], orchestrator[key], rules)) return false;
      } else if (!this.#isAccepted(legacy[key], undefined, rules)) return false;
    }
    const keys = Object.keys(orchestrator);
    if (keys.length === shared) return true;
    return keys.every(
      (key) =>
        Object.hasOwn(legacy, key) || this.#isAccepted(undefined, orchestrator[key], members?.get(key)),
    );
  }

  #holdsForLists(lists: ListPair, node: RuleNode | undefined): boolean {
    const { legacy, orchestrator } = lists;
    if (legacy.length !== orchestrator.length) return false;
    const elements = node?.elements;
    if (!isSet(node)) {
      return legacy.every((element, index) => this.holds(element, orchestrator[index], elements));
    }
    const { pairs, isInOrder } = findPartners(lists, elements, this.#fingerprints);
    if (!isInOrder) this.#tally.suppressed += 1;
    return (
      pairs.length === legacy.length &&
      pairs.every(([mine, theirs]) => this.holds(legacy[mine], orchestrator[theirs], elements))
    );
  }
}

export function isComposite(value: unknown): value is Members {
  return typeof value === 'object' && value !== null;
}

/** Of two values that are not identical, and not both objects or lists. */
export function isSameScalar(a: unknown, b: unknown): boolean {
  return isNumeric(a) && isNumeric(b) && isSameNumber(a, b);
}

export function isNumeric(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
