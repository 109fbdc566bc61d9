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

const FLOORS = ['overlap', 'rankBiasedOverlap', 'lexicalRecall'] as const;

const floors: Check = (value) => {
  if (typeof value !== 'object' || value === null) return 'must be a mapping';
  const { k, ...shares } = value as Facts;
  const problem = optional(amount)(k);
  if (problem !== undefined) return `k ${problem}`;
  const wrong = Object.entries(shares).find(([, floor]) => share(floor) !== undefined);
  if (wrong !== undefined) return `${wrong[0]} must be a number from 0 to 1`;
  // If no minimum is given, it has its default.
  return FLOORS.every((name) => shares[name] === 0)
    ? 'must have at least one value above 0, because otherwise any answer passes'
    : undefined;
};

/** A calendar day, with or without a time. */
const date: Check = (value) => {
  const [, day] = (typeof value === 'string' && /^(\d{4}-\d\d-\d\d)(?:T|$)/.exec(value)) || [];
  const atMs = day === undefined ? NaN : Date.parse(String(value));
  // JavaScript engines read 2027-02-31 as the 3rd of March.
  const isDay = !Number.isNaN(atMs) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(String(day));
  return isDay ? undefined : 'must be a calendar day such as 2027-01-31';
};

const BASE: Readonly<Record<string, Check>> = {
  action: text,
  path: (value) => (typeof value === 'string' ? undefined : 'must be text'),
  owner: text,
  reason: text,
  // Without an expiry the rule would never be reviewed again.
  expires: date,
};

/** The further members that each kind of rule needs. */
const MEMBERS: Readonly<Record<RuleKind, Readonly<Record<string, Check>>>> = {
  ignore: {
    hidesList: optional((value) => (value === true ? undefined : 'must be true if it is given')),
  },
  set: {},
  prefix: {},
  equal_if_missing: {},
  default: { value: scalar },
  tolerance: { within: amount },
  tolerance_seconds: { seconds: amount },
  keyed: { key: text },
  ranking: { key: text, text: optional(text), query: optional(text), floors: optional(floors) },
};

/** Most problems that are reported at once. */
const MOST_PROBLEMS = 50;

/** Parses the rules of a file: a list of mappings, each with its action. @throws Error naming every problem */
export function parseRules(value: unknown): readonly ProposedRule[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new Error('The rules must be a list with at least one rule');
  const problems: string[] = [];
  for (const [index, rule] of value.entries()) {
    problems.push(...problemsOf(rule).map((problem) => `rule ${index + 1}: ${problem}`));
    if (problems.length >= MOST_PROBLEMS) break;
  }
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
  return [
    ...wrong,
    ...unknown.map((name) => `unknown member ${name} in a rule of kind ${kind}`),
    ...(kind === 'ignore' ? hidden(members) : []),
  ];
}

/** A member of an element, such as `memories[].timestamp`. */
const IN_ELEMENT = /\[\]\.[^.[\]]/;

/** Rejects a path that would hide all items, because a comparison that sees no item would count as proof. */
function hidden({ path, hidesList }: Facts): string[] {
  if (path === '')
    return ['path must name a member, because a comparison that ignores the whole answer proves nothing'];
  if (typeof path !== 'string' || IN_ELEMENT.test(path) || hidesList !== undefined) return [];
  return [
    `path ${JSON.stringify(path)} names no member of a list's element, so it may hide all items, and comparisons would ` +
      'prove nothing. Name a member, as in memories[].timestamp, or add hidesList: true if nothing important is hidden',
  ];
}
