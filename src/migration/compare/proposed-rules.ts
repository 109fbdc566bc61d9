import type { ComparisonRule, RuleKind } from '../../domain/comparison.ts';

/** A rule of an action, as a file proposes it. */
export interface ProposedRule {
  readonly action: string;
  readonly rule: ComparisonRule;
}

type Facts = Readonly<Record<string, unknown>>;
type Check = (value: unknown) => string | undefined;

const text: Check = (value) => (typeof value === 'string' && value !== '' ? undefined : 'must be text');
const amount: Check = (value) =>
  typeof value === 'number' && value >= 0 && Number.isFinite(value)
    ? undefined
    : 'must be a number of at least 0';
const share: Check = (value) =>
  typeof value === 'number' && value >= 0 && value <= 1 ? undefined : 'must be a number from 0 to 1';
const scalar: Check = (value) =>
  value !== undefined && (value === null || typeof value !== 'object')
    ? undefined
    : 'must be text, a number, true, false or null';
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined ? undefined : check(value);

const floors: Check = (value) => {
  if (typeof value !== 'object' || value === null) return 'must be a mapping';
  const { k, ...shares } = value as Facts;
  const problem = optional(amount)(k);
  if (problem !== undefined) return `k ${problem}`;
  const wrong = Object.entries(shares).find(([, floor]) => share(floor) !== undefined);
  return wrong === undefined ? undefined : `${wrong[0]} must be a number from 0 to 1`;
};

const BASE: Readonly<Record<string, Check>> = {
  action: text,
  path: (value) => (typeof value === 'string' ? undefined : 'must be text'),
  owner: text,
  reason: text,
  expires: optional((value) =>
    typeof value === 'string' && /^\d{4}-\d\d-\d\d/.test(value)
      ? undefined
      : 'must be an ISO date such as 2027-01-31',
  ),
};

/** What each kind of rule needs beside. */
const MEMBERS: Readonly<Record<RuleKind, Readonly<Record<string, Check>>>> = {
  ignore: {},
  set: {},
  prefix: {},
  equal_if_missing: {},
  default: { value: scalar },
  tolerance: { within: amount },
  tolerance_seconds: { seconds: amount },
  keyed: { key: text },
  ranking: { key: text, text: optional(text), query: optional(text), floors: optional(floors) },
};

/** Rules of a file: a list of mappings, each with its action. @throws Error naming every problem */
export function parseRules(value: unknown): readonly ProposedRule[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new Error('The rules must be a list of at least one');
  const problems = value.flatMap((rule: unknown, index) =>
    problemsOf(rule).map((problem) => `rule ${index + 1}: ${problem}`),
  );
  if (problems.length > 0) throw new Error(`The rules are not usable:\n  - ${problems.join('\n  - ')}`);
  return value.map((entry: unknown) => {
    const { action, ...rule } = entry as { action: string } & ComparisonRule;
    return { action, rule: rule as ComparisonRule };
  });
}

function problemsOf(rule: unknown): string[] {
  if (typeof rule !== 'object' || rule === null || Array.isArray(rule)) return ['must be a mapping'];
  const { kind, ...members } = rule as Facts;
  if (typeof kind !== 'string' || !Object.hasOwn(MEMBERS, kind)) {
    return [`kind must be one of ${Object.keys(MEMBERS).join(', ')}, got ${JSON.stringify(kind)}`];
  }
  const checks = { ...BASE, ...MEMBERS[kind as RuleKind] };
  const wrong = Object.entries(checks).flatMap(([name, check]) => {
    const problem = check(members[name]);
    return problem === undefined ? [] : [`${name} ${problem}, got ${JSON.stringify(members[name])}`];
  });
  const unknown = Object.keys(members).filter((name) => !Object.hasOwn(checks, name));
  const hidesAll = kind === 'ignore' && members['path'] === '';
  return [
    ...wrong,
    ...unknown.map((name) => `${name} is no member of a rule of kind ${kind}`),
    ...(hidesAll ? ['path must name a member: a whole answer that is ignored proves nothing'] : []),
  ];
}
