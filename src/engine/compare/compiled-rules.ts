import type { ComparisonRule } from '../../domain/comparison.ts';

export type RankingRule = Extract<ComparisonRule, { readonly kind: 'ranking' }>;

/** The rules at one path of a reply and below it, with their combined effect. */
export interface RuleNode {
  /** The rules that may accept a difference of two values here. */
  readonly rules: readonly ComparisonRule[];
  /** Rules below an object's member. */
  readonly members: ReadonlyMap<string, RuleNode>;
  /** Rules below any element of a list. */
  readonly elements: RuleNode | undefined;
  /** Whether these rules accept any value. Such a value identifies nothing. */
  readonly isOpen: boolean;
  /** The rule that lets the list be in any order. */
  readonly setRule: ComparisonRule | undefined;
  /** The member that identifies the elements of a keyed list. */
  readonly key: string | undefined;
  /** The rule that makes the list a search answer. */
  readonly ranking: RankingRule | undefined;
}

interface GrowingNode {
  readonly rules: ComparisonRule[];
  readonly members: Map<string, GrowingNode>;
  elements: GrowingNode | undefined;
}

interface Compiled {
  readonly root: RuleNode;
  /** ISO dates. The tree is valid from the first date until before the second. */
  readonly from: string;
  readonly until: string;
}

/** Before and after every date. */
const ALWAYS = { from: '', until: '\uffff' } as const;

// The rules of an action are one array until they change. Each array has one tree, and one more after a rule expires.
const compiled = new WeakMap<readonly ComparisonRule[], Compiled>();

/** The rules as a tree, which is walked together with the replies. Rules that have expired by `nowIso` are off. */
export function compileRules(rules: readonly ComparisonRule[], nowIso: string | undefined): RuleNode {
  const known = compiled.get(rules);
  if (known?.from === ALWAYS.from && known.until === ALWAYS.until) return known.root;
  const now = nowIso ?? new Date().toISOString();
  if (known !== undefined && now >= known.from && now < known.until) return known.root;
  const made = compile(rules, now);
  compiled.set(rules, made);
  return made.root;
}

function compile(rules: readonly ComparisonRule[], now: string): Compiled {
  const [expired, inForce] = [true, false].map((is) => rules.filter((rule) => isExpired(rule, now) === is));
  const root = emptyNode();
  for (const rule of inForce ?? []) nodeAt(root, rule.path).rules.push(rule);
  const [from = ALWAYS.from] = datesOf(expired ?? []).toReversed();
  const [until = ALWAYS.until] = datesOf(inForce ?? []);
  return { root: finished(root), from, until };
}

function datesOf(rules: readonly ComparisonRule[]): string[] {
  return rules.flatMap(({ expires = [] }) => expires).toSorted();
}

export function isExpired({ expires }: ComparisonRule, nowIso: string): boolean {
  return expires !== undefined && nowIso >= expires;
}

const IDENTIFYING: ReadonlySet<ComparisonRule['kind']> = new Set([
  'set',
  'keyed',
  'ranking',
  'equal_if_missing',
]);

function emptyNode(): GrowingNode {
  return { rules: [], members: new Map(), elements: undefined };
}

function finished({ rules, members, elements }: GrowingNode): RuleNode {
  const keyed = rules.find((rule) => rule.kind === 'keyed');
  return {
    rules,
    members: new Map([...members].map(([name, below]) => [name, finished(below)])),
    elements: elements && finished(elements),
    isOpen: rules.some(({ kind }) => !IDENTIFYING.has(kind)),
    setRule: rules.find(({ kind }) => kind === 'set' || kind === 'keyed'),
    key: keyed?.key,
    ranking: rules.find((rule) => rule.kind === 'ranking'),
  };
}

/** A path is members joined by dots. `[]` after a member, or alone, means any element. */
function nodeAt(root: GrowingNode, path: string): GrowingNode {
  return path
    .replaceAll('[]', '.[]')
    .split('.')
    .filter((step) => step !== '')
    .reduce(stepInto, root);
}

function stepInto(node: GrowingNode, step: string): GrowingNode {
  if (step === '[]') {
    node.elements ??= emptyNode();
    return node.elements;
  }
  const next = node.members.get(step) ?? emptyNode();
  node.members.set(step, next);
  return next;
}
