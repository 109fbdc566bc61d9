import type { Comparison, ComparisonRule, Difference, RuleKind } from '../../domain/comparison.ts';
import { readText } from '../../domain/request.ts';
import type { StoredDifference } from './comparison-stores.ts';
import { compareReplies, type JudgedWith } from './compare-replies.ts';
import { isExpired } from './compiled-rules.ts';
import { shapeOf } from './reply-values.ts';
import { signatureOf } from './signature-book.ts';

/**
 * Whether a rule would have accepted a difference. `explained`: no rule does, but the service's retention explains the rest.
 * `unknown`: the stored data does not show it.
 */
type Answer = 'accepted' | 'counts' | 'explained' | 'unknown';

/** The result for the stored differences of one signature. */
interface TriedSignature {
  readonly path: string;
  readonly class: string;
  readonly shape: string;
  readonly hint: string | undefined;
  readonly accepted: number;
  readonly counts: number;
  readonly explained: number;
  readonly unknown: number;
}

export interface TriedRules {
  /** Stored comparisons that were judged again. */
  readonly comparisons: number;
  /** Of these, judged from their texts. The others were judged from shapes, digests and distances. */
  readonly fromSamples: number;
  readonly wouldMatch: number;
  readonly stillMismatch: number;
  /** The rest would not be comparable: expired, or too large. */
  readonly notComparable: number;
  /** Undecided, because the stored data is not enough. */
  readonly undecided: number;
  /** Not counted as comparisons: differences of whole lanes, and those of an earlier version, whose rules are unknown. */
  readonly notJudged: number;
  /** Most frequent first. */
  readonly signatures: readonly TriedSignature[];
}

interface TriedAgainst {
  readonly inForce: readonly ComparisonRule[];
  readonly proposed: readonly ComparisonRule[];
}

/**
 * Judges stored mismatches of one action again, under proposed rules together with those in force. Only mismatches are stored,
 * because what the rules in force accept is not.
 */
export class RuleTrial {
  readonly #proposed: readonly ComparisonRule[];
  readonly #all: readonly ComparisonRule[];
  readonly #signatures = new Map<string, Mutable<TriedSignature>>();
  readonly #counts = {
    comparisons: 0,
    fromSamples: 0,
    wouldMatch: 0,
    stillMismatch: 0,
    notComparable: 0,
    undecided: 0,
    notJudged: 0,
  };

  constructor({ inForce, proposed }: TriedAgainst) {
    this.#proposed = proposed;
    this.#all = [...inForce, ...proposed];
  }

  judge(difference: StoredDifference): void {
    const { judgedWith } = difference;
    const counts = this.#counts;
    if (judgedWith === undefined) {
      counts.notJudged += 1;
      return;
    }
    const answers =
      difference.sample === undefined
        ? redactedAnswers(difference.comparison, this.#proposed, judgedWith)
        : sampledAnswers({ ...difference, sample: difference.sample, judgedWith }, this.#all);
    for (const [found, answer] of answers)
      note(this.#signatures, signatureFor(difference, found), { found, answer });
    counts.comparisons += 1;
    if (difference.sample !== undefined) counts.fromSamples += 1;
    counts[outcomeOf(answers)] += 1;
  }

  get result(): TriedRules {
    const signatures = [...this.#signatures.values()].toSorted((a, b) => total(b) - total(a));
    return { ...this.#counts, signatures };
  }
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

type Answers = readonly (readonly [Difference, Answer])[];

function outcomeOf(answers: Answers): 'stillMismatch' | 'undecided' | 'notComparable' | 'wouldMatch' {
  const said = new Set(answers.map(([, answer]) => answer));
  if (said.has('counts')) return 'stillMismatch';
  if (said.has('unknown')) return 'undecided';
  return said.has('explained') ? 'notComparable' : 'wouldMatch';
}

function redactedAnswers(
  { differences }: Comparison,
  proposed: readonly ComparisonRule[],
  judgedWith: JudgedWith,
): Answers {
  return differences.map((found) => [found, redactedAnswer(found, proposed, judgedWith)] as const);
}

/** Judged with everything as it was except the rules. Noise stays noise. */
function sampledAnswers(
  { comparison, sample, judgedWith }: Pick<StoredDifference, 'comparison'> & Sampled,
  rules: readonly ComparisonRule[],
): Answers {
  const { legacy, orchestrator, request } = sample;
  const again = compareReplies({
    legacy,
    orchestrator,
    rules,
    request: readText(request).fields,
    ...judgedWith,
  }).comparison;
  const { differences, explained = [] } = comparison;
  if (again.reason === 'too_large') return differences.map((found) => [found, 'explained'] as const);
  const places = (found: readonly Difference[]) => new Set(found.map(placeOf));
  const remaining = places(again.differences);
  const expired = places((again.explained ?? []).map(({ difference }) => difference));
  const known = places([...differences, ...explained.map(({ difference }) => difference)]);
  const answerAt = (place: string): Answer => {
    if (remaining.has(place)) return 'counts';
    return expired.has(place) ? 'explained' : 'accepted';
  };
  // Under other rules the elements of a list may get other partners, and differ elsewhere.
  const appeared = again.differences.filter((found) => !known.has(placeOf(found)));
  return [
    ...differences.map((found) => [found, answerAt(placeOf(found))] as const),
    ...appeared.map((found) => [found, 'counts'] as const),
  ];
}

type Sampled = Required<Pick<StoredDifference, 'sample' | 'judgedWith'>>;

function placeOf({ class: kind, path }: Difference): string {
  return `${kind} ${path}`;
}

function redactedAnswer(
  found: Difference,
  proposed: readonly ComparisonRule[],
  judgedWith: JudgedWith,
): Answer {
  const answers = proposed
    .filter((rule) => covers(rule, found.path) && !isExpired(rule, judgedWith.nowIso))
    .map((rule) => answerOf(rule, found, judgedWith));
  if (answers.includes('accepted')) return 'accepted';
  return answers.includes('unknown') ? 'unknown' : 'counts';
}

/** Only a rule that ignores a path covers what is below it. A ranking also covers its elements. */
function covers({ kind, path }: ComparisonRule, place: string): boolean {
  if (path === place) return true;
  const isBelow = place.startsWith(`${path}.`) || place.startsWith(`${path}[`) || path === '';
  return isBelow && (kind === 'ignore' || kind === 'ranking' || kind === 'keyed');
}

type Judge<Kind extends ComparisonRule['kind']> = (
  rule: Extract<ComparisonRule, { readonly kind: Kind }>,
  found: Difference,
  judgedWith: JudgedWith,
) => Answer;

const said = (isAccepted: boolean): Answer => (isAccepted ? 'accepted' : 'counts');

/** What shapes, digests and distances show for each kind of rule. */
const ANSWERS: { readonly [Kind in ComparisonRule['kind']]: Judge<Kind> } = {
  ignore: () => 'accepted',
  set: (_rule, found) => said(found.class === 'order'),
  keyed: (_rule, found) => (found.class === 'order' ? 'accepted' : 'unknown'),
  ranking: () => 'unknown',
  prefix: (_rule, found) => said(found.hint === 'cut_text'),
  equal_if_missing: (_rule, { legacy, orchestrator }) =>
    said([legacy, orchestrator].every((shape) => shape === 'absent' || shape === 'null')),
  default: ({ value }, { legacy, orchestrator }) => {
    const present = [legacy, orchestrator].filter((shape) => shape !== 'absent');
    const shape = shapeOf(value);
    if (present.length !== 1 || present[0] !== shape) return 'counts';
    return shape === 'number' || shape === 'boolean' ? 'unknown' : 'accepted';
  },
  tolerance: ({ within }, found) => distanceAnswer(found, within),
  tolerance_seconds: ({ seconds }, found, { clockOffsetSeconds }) =>
    distanceAnswer(found, seconds, clockOffsetSeconds),
};

function distanceAnswer({ class: kind, apart }: Difference, within: number, offset = 0): Answer {
  return said(kind === 'value' && apart !== undefined && Math.abs(apart - offset) <= within);
}

function answerOf(rule: ComparisonRule, found: Difference, judgedWith: JudgedWith): Answer {
  const judge = ANSWERS[rule.kind] as Judge<ComparisonRule['kind']>;
  return judge(rule, found, judgedWith);
}

function signatureFor(
  { service, action }: StoredDifference,
  found: Difference,
): { readonly path: string; readonly class: string; readonly shape: string } {
  const { path, class: kind, shape } = signatureOf({ service, action }, found);
  return { path, class: kind, shape };
}

function note(
  signatures: Map<string, Mutable<TriedSignature>>,
  key: { readonly path: string; readonly class: string; readonly shape: string },
  { found, answer }: { readonly found: Difference; readonly answer: Answer },
): void {
  const text = `${key.class} ${key.path} ${key.shape}`;
  const known = signatures.get(text) ?? {
    ...key,
    hint: found.hint,
    accepted: 0,
    counts: 0,
    explained: 0,
    unknown: 0,
  };
  known[answer] += 1;
  signatures.set(text, known);
}

function total({ accepted, counts, explained, unknown }: TriedSignature): number {
  return accepted + counts + explained + unknown;
}

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
