import type { DifferenceClass } from '../../domain/comparison.ts';
import type { RankingRule, RuleNode } from './compiled-rules.ts';
import type { Equality } from './equality.ts';
import { findPartners, judgeRanking, type ListPair, type Partners, sharedItems } from './list-partners.ts';
import { isComposite, isFloat, isNumeric, nameOf } from './reply-values.ts';
import type { Tally } from './tally.ts';

type Members = Readonly<Record<string, unknown>>;

/** A difference with the two values themselves, which must not be stored. An absent value is undefined. */
export interface FoundDifference {
  /** The path, as a difference shows it. */
  readonly path: string;
  readonly class: DifferenceClass;
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

/** Most differences of one comparison. More would add no information. */
const LIMIT = 50;

interface Values {
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

/** The position of the walk, and the rules there. */
interface Place {
  readonly path: string;
  readonly node: RuleNode | undefined;
}

/**
 * Finds how two values differ, in one pass. Equal parts are skipped. Different parts are taken apart, and the elements of lists
 * are paired.
 */
export class DifferenceWalk {
  readonly found: FoundDifference[] = [];
  readonly #tally: Tally;
  readonly #equality: Equality;

  constructor(tally: Tally, equality: Equality) {
    this.#tally = tally;
    this.#equality = equality;
  }

  visit(legacy: unknown, orchestrator: unknown, at: Place): void {
    if (this.found.length >= LIMIT || this.#equality.isAccepted(legacy, orchestrator, at.node)) return;
    this.#takeApart(legacy, orchestrator, at);
  }

  #takeApart(legacy: unknown, orchestrator: unknown, at: Place): void {
    if (!isComposite(legacy) || !isComposite(orchestrator)) {
      if (!this.#equality.isSame(legacy, orchestrator))
        this.#add(classOf(legacy, orchestrator), { legacy, orchestrator }, at);
    } else if (Array.isArray(legacy) !== Array.isArray(orchestrator)) {
      this.#add('type', { legacy, orchestrator }, at);
    } else if (Array.isArray(legacy) && Array.isArray(orchestrator)) {
      this.#visitLists({ legacy, orchestrator }, at);
    } else this.#visitMembers(legacy, orchestrator, at);
  }

  #visitMembers(legacy: Members, orchestrator: Members, at: Place): void {
    for (const key in legacy) {
      const mine = legacy[key];
      const theirs = orchestrator[key];
      if (mine === theirs) this.#tally.noteNumber(mine);
      else this.#visitMember(key, { legacy: mine, orchestrator: ownMember(orchestrator, key) }, at);
    }
    for (const key in orchestrator) {
      if (Object.hasOwn(legacy, key)) continue;
      this.#visitMember(key, { legacy: undefined, orchestrator: orchestrator[key] }, at);
    }
  }

  /** A path is built only for a difference that no rule accepts. */
  #visitMember(key: string, { legacy, orchestrator }: Values, { path, node }: Place): void {
    const below = node?.members.get(key);
    if (this.found.length >= LIMIT || this.#equality.isAccepted(legacy, orchestrator, below)) return;
    const name = nameOf(key);
    const at = { path: path === '' ? name : `${path}.${name}`, node: below };
    this.#takeApart(legacy, orchestrator, at);
  }

  #visitLists(lists: ListPair, at: Place): void {
    const { node } = at;
    if (node?.ranking !== undefined) return this.#visitRankings(lists, at, node.ranking);
    const { legacy, orchestrator } = lists;
    const partners = findPartners(lists, node, this.#equality);
    if (!partners.isInOrder) {
      if (node?.setRule === undefined) this.#add('order', lists, at);
      else this.#tally.accepted.push(node.setRule);
    }
    const elements = elementsOf(at);
    for (const [mine, theirs] of partners.moved) this.visit(legacy[mine], orchestrator[theirs], elements);
    const together = node?.key === undefined ? pairsOf(partners) : 0;
    this.#visitLeftOvers(lists, { ...partners, together }, elements);
  }

  /** Pairs the elements without a partner in their order. Elements that are not `together` stay alone. */
  #visitLeftOvers(
    { legacy, orchestrator }: ListPair,
    { onlyLegacy, onlyOrchestrator, together }: Partners & { readonly together: number },
    at: Place,
  ): void {
    onlyLegacy.forEach((mine, index) => {
      const theirs = index < together ? onlyOrchestrator[index] : undefined;
      this.visit(legacy[mine], theirs === undefined ? undefined : orchestrator[theirs], at);
    });
    for (const theirs of onlyOrchestrator.slice(together)) this.visit(undefined, orchestrator[theirs], at);
  }

  #visitRankings(lists: ListPair, at: Place, rule: RankingRule): void {
    if (!judgeRanking(lists, rule, this.#tally)) this.#add('ranking', lists, at);
    const elements = elementsOf(at);
    for (const [mine, theirs] of sharedItems(lists, rule.key)) this.visit(mine, theirs, elements);
  }

  #add(kind: DifferenceClass, { legacy, orchestrator }: Values, { path }: Place): void {
    if (this.found.length < LIMIT) this.found.push({ path, class: kind, legacy, orchestrator });
  }
}

/** JSON has no undefined, so it marks an absent value. */
function ownMember(object: Members, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function elementsOf({ path, node }: Place): Place {
  return { path: `${path}[]`, node: node?.elements };
}

/** Most left-over elements that are paired by order when nothing identifies them. */
function pairsOf({ onlyLegacy, onlyOrchestrator }: Partners): number {
  return Math.min(onlyLegacy.length, onlyOrchestrator.length);
}

function classOf(legacy: unknown, orchestrator: unknown): DifferenceClass {
  if (legacy === undefined) return 'extra_in_orchestrator';
  if (orchestrator === undefined) return 'missing_in_orchestrator';
  if (isNumeric(legacy) && isNumeric(orchestrator))
    return isFloat(legacy) === isFloat(orchestrator) ? 'value' : 'type';
  const isSameType = typeof legacy === typeof orchestrator;
  const isNullOnOneSide = (legacy === null) !== (orchestrator === null);
  return isSameType && !isNullOnOneSide ? 'value' : 'type';
}
