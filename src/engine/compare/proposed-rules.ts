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
  // A floor that is left out has its default.
  return FLOORS.every((name) => shares[name] === 0)
    ? 'must hold one above 0: any answer would do'
    : undefined;
};

/** A day of the calendar, alone or with a time. */
const date: Check = (value) => {
  const [, day] = (typeof value === 'string' && /^(\d{4}-\d\d-\d\d)(?:T|$)/.exec(value)) || [];
  const atMs = day === undefined ? NaN : Date.parse(String(value));
  // Engines take 2027-02-31 for the 3rd of March.
  const isDay = !Number.isNaN(atMs) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(String(day));
  return isDay ? undefined : 'must be a day of the calendar such as 2027-01-31';
};

const BASE: Readonly<Record<string, Check>> = {
  action: text,
  path: (value) => (typeof value === 'string' ? undefined : 'must be text'),
  owner: text,
  reason: text,
  // Nobody looks again at what is let differ for ever.
  expires: date,
};

/** What each kind of rule needs beside. */
const MEMBERS: Readonly<Record<RuleKind, Readonly<Record<string, Check>>>> = {
  ignore: {
    hidesList: optional((value) => (value === true ? undefined : 'must be true where it is set')),
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

/** More are not reported at once. */
const MOST_PROBLEMS = 50;

/** Rules of a file: a list of mappings, each with its action. @throws Error naming every problem */
export function parseRules(value: unknown): readonly ProposedRule[] {
  if (!Array.isArray(value) || value.length === 0)
    throw new Error('The rules must be a list of at least one');
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
    ...unknown.map((name) => `${name} is no member of a rule of kind ${kind}`),
    ...(kind === 'ignore' ? hidden(members) : []),
  ];
}

/** A member of an element: `memories[].timestamp`. */
const IN_ELEMENT = /\[\]\.[^.[\]]/;

/** What an ignored place would hide: a comparison that sees none of the items passes for proof of them. */
function hidden({ path, hidesList }: Facts): string[] {
  if (path === '') return ['path must name a member: a whole answer that is ignored proves nothing'];
  if (typeof path !== 'string' || IN_ELEMENT.test(path) || hidesList !== undefined) return [];
  return [
    `path ${JSON.stringify(path)} names no member of a list's element: all items may lie below it, and comparisons that see none would ` +
      'pass for proof. Name a member, as in memories[].timestamp, or add hidesList: true where nothing that matters lies there',
  ];
}
