import type { Difference, DifferenceClass } from '../../domain/comparison.ts';
import { isAccepted, isSet, type Tally } from './accepted-difference.ts';
import type { RuleNode } from './compiled-rules.ts';
import { isComposite, isNumeric, isSameScalar } from './equality.ts';
import type { Fingerprints } from './fingerprints.ts';
import { findPartners, type ListPair } from './list-partners.ts';
import { nameOf, shapeOf } from './shape.ts';

type Members = Readonly<Record<string, unknown>>;

/** What is found of one comparison; the rest would say nothing new. */
const LIMIT = 50;
const ELEMENT = '[]';

/** Describes how two values differ. The thorough way: it pairs the elements of lists, and looks at every value once. */
export class DifferenceWalk {
  readonly found: Difference[] = [];
  readonly #tally: Tally;
  readonly #fingerprints: Fingerprints;
  readonly #path: string[] = [];

  constructor(tally: Tally, fingerprints: Fingerprints) {
    this.#tally = tally;
    this.#fingerprints = fingerprints;
  }

  visit(legacy: unknown, orchestrator: unknown, node: RuleNode | undefined): void {
    if (legacy === orchestrator || this.found.length >= LIMIT) return;
    if (isAccepted({ legacy, orchestrator }, node, this.#tally)) return;
    if (!isComposite(legacy) || !isComposite(orchestrator)) {
      if (!isSameScalar(legacy, orchestrator)) this.#add(classOf(legacy, orchestrator), legacy, orchestrator);
    } else if (Array.isArray(legacy) !== Array.isArray(orchestrator)) {
      this.#add('type', legacy, orchestrator);
    } else if (Array.isArray(legacy) && Array.isArray(orchestrator)) {
      this.#visitLists({ legacy, orchestrator }, node);
    } else this.#visitMembers(legacy, orchestrator, node);
  }

  #visitMembers(legacy: Members, orchestrator: Members, node: RuleNode | undefined): void {
    const extra = Object.keys(orchestrator).filter((key) => !Object.hasOwn(legacy, key));
    for (const key of [...Object.keys(legacy), ...extra]) {
      this.#path.push(nameOf(key));
      this.visit(ownMember(legacy, key), ownMember(orchestrator, key), node?.members.get(key));
      this.#path.pop();
    }
  }

  #visitLists(lists: ListPair, node: RuleNode | undefined): void {
    const { legacy, orchestrator } = lists;
    const elements = node?.elements;
    const partners = findPartners(lists, elements, this.#fingerprints);
    if (!partners.isInOrder) {
      if (isSet(node)) this.#tally.suppressed += 1;
      else this.#add('order', legacy, orchestrator);
    }
    const { onlyLegacy, onlyOrchestrator } = partners;
    const count = Math.max(onlyLegacy.length, onlyOrchestrator.length);
    const rest = Array.from({ length: count }, (_, index) => [onlyLegacy[index], onlyOrchestrator[index]]);
    this.#path.push(ELEMENT);
    for (const [mine, theirs] of [...partners.pairs, ...rest]) {
      this.visit(elementAt(legacy, mine), elementAt(orchestrator, theirs), elements);
    }
    this.#path.pop();
  }

  #add(kind: DifferenceClass, legacy: unknown, orchestrator: unknown): void {
    if (this.found.length >= LIMIT) return;
    const path = this.#path.reduce(
      (whole, step) => (step === ELEMENT || whole === '' ? whole + step : `${whole}.${step}`),
      '',
    );
    this.found.push({ path, class: kind, legacy: shapeOf(legacy), orchestrator: shapeOf(orchestrator) });
  }
}

/** JSON has no undefined: it stands for what is absent. */
function ownMember(object: Members, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function elementAt(list: readonly unknown[], index: number | undefined): unknown {
  return index === undefined ? undefined : list[index];
}

function classOf(legacy: unknown, orchestrator: unknown): DifferenceClass {
  if (legacy === undefined) return 'extra_in_orchestrator';
  if (orchestrator === undefined) return 'missing_in_orchestrator';
  const isSameType = typeof legacy === typeof orchestrator || (isNumeric(legacy) && isNumeric(orchestrator));
  const isNullOnOneSide = (legacy === null) !== (orchestrator === null);
  return isSameType && !isNullOnOneSide ? 'value' : 'type';
}
