import type { ComparisonRule } from '../../domain/comparison.ts';
import type { RuleNode } from './compiled-rules.ts';
import { findPartners, Fingerprints, judgeRanking, type ListPair, sharedItems } from './list-partners.ts';
import { isComposite, isEqualNumber, isNumeric, isSameScalar, plainOf } from './reply-values.ts';
import type { Tally } from './tally.ts';
import { secondsBetween } from './instants.ts';

type Members = Readonly<Record<string, unknown>>;

/**
 * Whether two values are equal except for what rules accept. The fast path: it ends at the first difference and describes none.
 */
export class Equality {
  readonly fingerprints = new Fingerprints();
  readonly #tally: Tally;
  /**
   * Pairs that were found to differ. The walk that describes a difference asks again on every level above it. Only deep values
   * are kept, because objects of plain members cost less to compare again.
   */
  #different: Map<object, object> | undefined;
  #isDeepBelow = false;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** Counts what rules accepted, unless it was on the way to a difference. */
  holds(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    if (legacy === orchestrator) {
      this.#tally.noteNumber(legacy);
      return true;
    }
    if (this.isAccepted(legacy, orchestrator, node)) return true;
    if (isComposite(legacy) && isComposite(orchestrator)) {
      if (this.#different?.get(legacy) === orchestrator) return false;
      const before = this.#tally.accepted.length;
      if (this.#holdsForComposites(legacy, orchestrator, node)) return true;
      this.#tally.rollBack(before);
      if (this.#isDeepBelow) {
        this.#different ??= new Map();
        this.#different.set(legacy, orchestrator);
      }
      this.#isDeepBelow = true;
      return false;
    }
    this.#isDeepBelow = false;
    return this.isSame(legacy, orchestrator);
  }

  /** Like {@link holds}, but counts nothing. */
  wouldHold(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    const before = this.#tally.accepted.length;
    const isSame = this.holds(legacy, orchestrator, node);
    this.#tally.rollBack(before);
    return isSame;
  }

  /** For values that are not both objects or lists. */
  isSame(legacy: unknown, orchestrator: unknown): boolean {
    this.#tally.noteNumber(legacy);
    this.#tally.noteNumber(orchestrator);
    return isSameScalar(legacy, orchestrator);
  }

  /** Whether a rule at this path accepts two values that are not identical. */
  isAccepted(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    if (node === undefined || node.rules.length === 0) return false;
    const before = this.#tally.accepted.length;
    if (!isAccepted({ legacy, orchestrator }, node, this.#tally)) return false;
    // Two objects are never identical. Their equal parts needed no rule.
    if (isComposite(legacy) && this.holds(legacy, orchestrator, undefined)) this.#tally.rollBack(before);
    return true;
  }

  #holdsForComposites(legacy: Members, orchestrator: Members, node: RuleNode | undefined): boolean {
    if (Array.isArray(legacy)) {
      return Array.isArray(orchestrator) && this.#holdsForLists({ legacy, orchestrator }, node);
    }
    return !Array.isArray(orchestrator) && this.#holdsForObjects(legacy, orchestrator, node);
  }

  // Parsed JSON has own members only, so `for in` walks them without building a list of names, in half the time.
  #holdsForObjects(legacy: Members, orchestrator: Members, node: RuleNode | undefined): boolean {
    let shared = 0;
    for (const key in legacy) {
      const mine = legacy[key];
      const theirs = orchestrator[key];
      // No value of JSON equals a member that objects inherit.
      if (mine === theirs) {
        this.#tally.noteNumber(mine);
        shared += 1;
      } else if (Object.hasOwn(orchestrator, key)) {
        if (!this.holds(mine, theirs, node?.members.get(key))) return false;
        shared += 1;
      } else if (!this.isAccepted(mine, undefined, node?.members.get(key))) return false;
    }
    for (const _ in orchestrator) shared -= 1;
    return shared === 0 || this.#holdsForTheRest(legacy, orchestrator, node);
  }

  /** The members that only the orchestrator shows. */
  #holdsForTheRest(legacy: Members, orchestrator: Members, node: RuleNode | undefined): boolean {
    for (const key in orchestrator) {
      if (Object.hasOwn(legacy, key)) continue;
      if (!this.isAccepted(undefined, orchestrator[key], node?.members.get(key))) return false;
    }
    return true;
  }

  #holdsForLists(lists: ListPair, node: RuleNode | undefined): boolean {
    const { ranking, setRule, elements } = node ?? NO_RULES;
    if (ranking !== undefined) {
      return (
        judgeRanking(lists, ranking, this.#tally) &&
        sharedItems(lists, ranking.key).every((pair) => this.holds(...pair, elements))
      );
    }
    if (lists.legacy.length !== lists.orchestrator.length) return false;
    return setRule === undefined
      ? lists.legacy.every((mine, at) => this.holds(mine, lists.orchestrator[at], elements))
      : this.#holdsForSets(lists, node, setRule);
  }

  #holdsForSets(lists: ListPair, node: RuleNode | undefined, rule: ComparisonRule): boolean {
    const { moved, isInOrder, onlyLegacy } = findPartners(lists, node, this);
    if (!isInOrder) this.#tally.accepted.push(rule);
    return (
      onlyLegacy.length === 0 &&
      moved.every(([mine, theirs]) =>
        this.holds(lists.legacy[mine], lists.orchestrator[theirs], node?.elements),
      )
    );
  }
}

const NO_RULES = { ranking: undefined, setRule: undefined, elements: undefined } as const;

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
function isAccepted(pair: ValuePair, node: RuleNode | undefined, tally: Tally): boolean {
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
