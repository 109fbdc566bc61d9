import { isAccepted, rankingRuleOf, setRuleOf } from './accepted-difference.ts';
import type { RuleNode } from './compiled-rules.ts';
import type { Fingerprints } from './fingerprints.ts';
import { findPartners, type ListPair, type PartnerSearch } from './list-partners.ts';
import { sharedItems, judgeRanking } from './ranked-lists.ts';
import { isComposite, isSameScalar } from './reply-values.ts';
import type { Tally } from './tally.ts';

type Members = Readonly<Record<string, unknown>>;

/** Whether two values are the same but for what rules accept. The fast way: it ends at the first difference and describes none. */
export class Equality {
  readonly #tally: Tally;
  readonly #fingerprints: Fingerprints;
  /**
   * Found to differ: the walk that describes a difference asks again on every level above it. Only what differs deep below is
   * kept; objects of plain members cost less to look at again.
   */
  readonly #different = new Map<object, object>();
  #isDeepBelow = false;

  constructor(tally: Tally, fingerprints: Fingerprints) {
    this.#tally = tally;
    this.#fingerprints = fingerprints;
  }

  /** What rules accepted on the way to a difference is not counted. */
  holds(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    if (legacy === orchestrator) return true;
    const before = this.#tally.accepted.length;
    if (node !== undefined && node.rules.length > 0 && this.#isAccepted(legacy, orchestrator, node)) {
      return true;
    }
    if (isComposite(legacy) && isComposite(orchestrator)) {
      if (this.#different.get(legacy) === orchestrator) return false;
      if (this.#holdsForComposites(legacy, orchestrator, node)) return true;
      this.#tally.rollBack(before);
      if (this.#isDeepBelow) this.#different.set(legacy, orchestrator);
      this.#isDeepBelow = true;
      return false;
    }
    this.#isDeepBelow = false;
    return isSameScalar(legacy, orchestrator);
  }

  /** For the lists at a place: which of their elements stand for each other. */
  partnersIn(node: RuleNode | undefined): PartnerSearch {
    const elements = node?.elements;
    return {
      node,
      fingerprints: this.#fingerprints,
      isSame: (legacy, orchestrator) => this.holds(legacy, orchestrator, elements),
      wouldBeSame: (legacy, orchestrator) => {
        const before = this.#tally.accepted.length;
        const isSame = this.holds(legacy, orchestrator, elements);
        this.#tally.rollBack(before);
        return isSame;
      },
    };
  }

  #isAccepted(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): boolean {
    const before = this.#tally.accepted.length;
    if (!isAccepted({ legacy, orchestrator }, node, this.#tally)) return false;
    // Two objects are never identical; what is the same in them needed no rule.
    if (isComposite(legacy) && this.holds(legacy, orchestrator, undefined)) this.#tally.rollBack(before);
    return true;
  }

  #holdsForComposites(legacy: Members, orchestrator: Members, node: RuleNode | undefined): boolean {
    if (Array.isArray(legacy)) {
      return Array.isArray(orchestrator) && this.#holdsForLists({ legacy, orchestrator }, node);
    }
    return !Array.isArray(orchestrator) && this.#holdsForObjects(legacy, orchestrator, node);
  }

  #holdsForObjects(legacy: Members, orchestrator: Members, node: RuleNode | undefined): boolean {
    const members = node?.members;
    let shared = 0;
    for (const key of Object.keys(legacy)) {
      const mine = legacy[key];
      const theirs = orchestrator[key];
      // No value of JSON is one that objects inherit.
      if (mine === theirs) {
        shared += 1;
        continue;
      }
      const rules = members?.get(key);
      if (Object.hasOwn(orchestrator, key)) {
        shared += 1;
        if (!this.holds(mine, theirs, rules)) return false;
      } else if (!this.#isAccepted(mine, undefined, rules)) return false;
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
    const ranking = rankingRuleOf(node);
    if (ranking !== undefined) {
      return (
        judgeRanking(lists, ranking, this.#tally) &&
        sharedItems(lists, ranking.key).every((pair) => this.holds(...pair, node?.elements))
      );
    }
    if (legacy.length !== orchestrator.length) return false;
    const elements = node?.elements;
    const setRule = setRuleOf(node);
    if (setRule === undefined) {
      for (let at = 0; at < legacy.length; at += 1) {
        if (!this.holds(legacy[at], orchestrator[at], elements)) return false;
      }
      return true;
    }
    const { moved, isInOrder, onlyLegacy } = findPartners(lists, this.partnersIn(node));
    if (!isInOrder) this.#tally.accepted.push(setRule);
    return (
      onlyLegacy.length === 0 &&
      moved.every(([mine, theirs]) => this.holds(legacy[mine], orchestrator[theirs], elements))
    );
  }
}
