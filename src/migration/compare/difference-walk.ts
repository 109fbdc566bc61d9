import type { Difference, DifferenceClass } from '../../domain/comparison.ts';
import { keyOf, rankingRuleOf, setRuleOf, type RankingRule } from './accepted-difference.ts';
import type { RuleNode } from './compiled-rules.ts';
import type { Equality } from './equality.ts';
import { likelyCauseOf } from './likely-cause.ts';
import { findPartners, type ListPair, type Partners } from './list-partners.ts';
import { judgeRanking, sharedItems } from './ranked-lists.ts';
import { isComposite, isFloat, isNumeric } from './reply-values.ts';
import { nameOf, shapeOf } from './shape.ts';
import type { Tally } from './tally.ts';

type Members = Readonly<Record<string, unknown>>;

/** What is found of one comparison; the rest would say nothing new. */
const LIMIT = 50;
const ELEMENT = '[]';

/**
 * Describes how two values differ: what is the same is passed over by the fast way, and what is not is taken apart, lists by pairing
 * their elements.
 */
export class DifferenceWalk {
  readonly found: Difference[] = [];
  readonly #tally: Tally;
  readonly #equality: Equality;
  readonly #path: string[] = [];

  constructor(tally: Tally, equality: Equality) {
    this.#tally = tally;
    this.#equality = equality;
  }

  visit(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): void {
    if (this.found.length >= LIMIT || this.#equality.holds(legacy, orchestrator, node)) return;
    if (!isComposite(legacy) || !isComposite(orchestrator)) {
      this.#add(classOf(legacy, orchestrator), legacy, orchestrator);
    } else if (Array.isArray(legacy) !== Array.isArray(orchestrator)) {
      this.#add('type', legacy, orchestrator);
    } else if (Array.isArray(legacy) && Array.isArray(orchestrator)) {
      this.#visitLists({ legacy, orchestrator }, node);
    } else this.#visitMembers(legacy, orchestrator, node);
  }

  #visitMembers(legacy: Members, orchestrator: Members, node: RuleNode | undefined): void {
    for (const key of Object.keys(legacy)) this.#visitMember(key, { legacy, orchestrator }, node);
    for (const key of Object.keys(orchestrator)) {
      if (!Object.hasOwn(legacy, key)) this.#visitMember(key, { legacy, orchestrator }, node);
    }
  }

  #visitMember(key: string, objects: MemberPair, node: RuleNode | undefined): void {
    const mine = ownMember(objects.legacy, key);
    const theirs = ownMember(objects.orchestrator, key);
    if (mine === theirs) return;
    this.#path.push(key);
    this.visit(mine, theirs, node?.members.get(key));
    this.#path.pop();
  }

  #visitLists(lists: ListPair, node: RuleNode | undefined): void {
    const ranking = rankingRuleOf(node);
    if (ranking !== undefined) return this.#visitRankings(lists, node, ranking);
    const { legacy, orchestrator } = lists;
    const partners = findPartners(lists, this.#equality.partnersIn(node));
    if (!partners.isInOrder) {
      const setRule = setRuleOf(node);
      if (setRule === undefined) this.#add('order', legacy, orchestrator);
      else this.#tally.accepted.push(setRule);
    }
    const elements = node?.elements;
    this.#path.push(ELEMENT);
    for (const [mine, theirs] of partners.moved) this.visit(legacy[mine], orchestrator[theirs], elements);
    for (const [mine, theirs] of leftOvers(lists, partners, keyOf(node))) this.visit(mine, theirs, elements);
    this.#path.pop();
  }

  #visitRankings(lists: ListPair, node: RuleNode | undefined, rule: RankingRule): void {
    if (!judgeRanking(lists, rule, this.#tally)) this.#add('ranking', lists.legacy, lists.orchestrator);
    this.#path.push(ELEMENT);
    for (const [mine, theirs] of sharedItems(lists, rule.key)) this.visit(mine, theirs, node?.elements);
    this.#path.pop();
  }

  #add(kind: DifferenceClass, legacy: unknown, orchestrator: unknown): void {
    if (this.found.length >= LIMIT) return;
    this.found.push({
      path: pathText(this.#path),
      class: kind,
      legacy: shapeOf(legacy),
      orchestrator: shapeOf(orchestrator),
      ...likelyCauseOf({ class: kind, legacy, orchestrator }),
    });
  }
}

interface MemberPair {
  readonly legacy: Members;
  readonly orchestrator: Members;
}

function pathText(steps: readonly string[]): string {
  let text = '';
  for (const step of steps) {
    if (step === ELEMENT) text += step;
    else text += text === '' ? nameOf(step) : `.${nameOf(step)}`;
  }
  return text;
}

/** JSON has no undefined: it stands for what is absent. */
function ownMember(object: Members, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** What has no partner: the first with the first, and so on; in a keyed list each stands alone. */
function leftOvers(
  { legacy, orchestrator }: ListPair,
  { onlyLegacy, onlyOrchestrator }: Partners,
  key: string | undefined,
): [unknown, unknown][] {
  const pairs: [unknown, unknown][] = [];
  if (key === undefined) {
    const count = Math.max(onlyLegacy.length, onlyOrchestrator.length);
    for (let at = 0; at < count; at += 1)
      pairs.push([elementAt(legacy, onlyLegacy[at]), elementAt(orchestrator, onlyOrchestrator[at])]);
  } else {
    for (const mine of onlyLegacy) pairs.push([legacy[mine], undefined]);
    for (const theirs of onlyOrchestrator) pairs.push([undefined, orchestrator[theirs]]);
  }
  return pairs;
}

function elementAt(list: readonly unknown[], index: number | undefined): unknown {
  return index === undefined ? undefined : list[index];
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
