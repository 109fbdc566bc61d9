import type { ComparisonRule } from '../../domain/comparison.ts';

/** The rules at one place of a reply and below it. */
export interface RuleNode {
  readonly rules: readonly ComparisonRule[];
  /** Below an object's member. */
  readonly members: ReadonlyMap<string, RuleNode>;
  /** Below any element of a list. */
  readonly elements: RuleNode | undefined;
}

interface GrowingNode {
  readonly rules: ComparisonRule[];
  readonly members: Map<string, GrowingNode>;
  elements: GrowingNode | undefined;
}

function emptyNode(): GrowingNode {
  return { rules: [], members: new Map(), elements: undefined };
}

interface Compiled {
  readonly root: RuleNode;
  readonly inForce: number;
  /** Whether any rule of them expires at all. */
  readonly isForEver: boolean;
}

// The rules of an action are one array until somebody changes them. One tree each, and one more when a rule expires.
const compiled = new WeakMap<readonly ComparisonRule[], Compiled>();

/** The rules as a tree along which replies are walked. Expired ones are off; `nowIso` decides which are. */
export function compileRules(rules: readonly ComparisonRule[], nowIso: string | undefined): RuleNode {
  const known = compiled.get(rules);
  if (known?.isForEver === true) return known.root;
  const now = nowIso ?? new Date().toISOString();
  const inForce = rules.filter((rule) => !isExpired(rule, now));
  if (known?.inForce === inForce.length) return known.root;
  const root = emptyNode();
  for (const rule of inForce) nodeAt(root, rule.path).rules.push(rule);
  const isForEver = rules.every(({ expires }) => expires === undefined);
  compiled.set(rules, { root, inForce: inForce.length, isForEver });
  return root;
}

export function isExpired({ expires }: ComparisonRule, nowIso: string): boolean {
  return expires !== undefined && nowIso >= expires;
}

/** A path is members joined by dots; `[]` behind a member (or alone) stands for any element. */
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
