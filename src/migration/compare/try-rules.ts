import type { ComparisonRule, Difference } from '../../domain/comparison.ts';
import type { StoredDifference } from '../shadow/difference-store.ts';
import { compareReplies } from './compare-replies.ts';
import { shapeOf } from './shape.ts';
import { signatureOf } from './signature-book.ts';

/** Whether a rule would have accepted a difference. `unknown`: what is stored of it does not say. */
type Answer = 'accepted' | 'counts' | 'unknown';

/** What would have become of the stored differences of one signature. */
export interface TriedSignature {
  readonly path: string;
  readonly class: string;
  readonly shape: string;
  readonly hint: string | undefined;
  readonly accepted: number;
  readonly counts: number;
  readonly unknown: number;
}

export interface TriedRules {
  /** Stored comparisons that were judged again. */
  readonly comparisons: number;
  /** Of these, judged from their texts; the others from shapes, digests and distances. */
  readonly fromSamples: number;
  readonly wouldMatch: number;
  readonly stillMismatch: number;
  readonly undecided: number;
  /** Most frequent first. */
  readonly signatures: readonly TriedSignature[];
}

interface TriedAgainst {
  readonly inForce: readonly ComparisonRule[];
  readonly proposed: readonly ComparisonRule[];
}

/**
 * Judges stored mismatches of one action again under proposed rules, beside those in force. Mismatches only: what the rules in
 * force already accept is not stored.
 */
export class RuleTrial {
  readonly #proposed: readonly ComparisonRule[];
  readonly #all: readonly ComparisonRule[];
  readonly #signatures = new Map<string, Mutable<TriedSignature>>();
  readonly #counts = { comparisons: 0, wouldMatch: 0, stillMismatch: 0, undecided: 0, fromSamples: 0 };

  constructor({ inForce, proposed }: TriedAgainst) {
    this.#proposed = proposed;
    this.#all = [...inForce, ...proposed];
  }

  judge(difference: StoredDifference): void {
    const answers = answersFor(difference, this.#all, this.#proposed);
    for (const [found, answer] of answers)
      note(this.#signatures, signatureFor(difference, found), { found, answer });
    const counts = this.#counts;
    counts.comparisons += 1;
    if (difference.sample !== undefined) counts.fromSamples += 1;
    const said = answers.map(([, answer]) => answer);
    if (said.includes('counts')) counts.stillMismatch += 1;
    else if (said.includes('unknown')) counts.undecided += 1;
    else counts.wouldMatch += 1;
  }

  get result(): TriedRules {
    const signatures = [...this.#signatures.values()].toSorted((a, b) => total(b) - total(a));
    return { ...this.#counts, signatures };
  }
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

function answersFor(
  { comparison, sample, atMs }: StoredDifference,
  all: readonly ComparisonRule[],
  proposed: readonly ComparisonRule[],
): (readonly [Difference, Answer])[] {
  if (sample === undefined)
    return comparison.differences.map((found) => [found, redactedAnswer(found, proposed)] as const);
  const { legacy, orchestrator } = sample;
  const again = compareReplies({ legacy, orchestrator, rules: all, nowIso: new Date(atMs).toISOString() });
  const remaining = new Set(again.comparison.differences.map(placeOf));
  const before = new Set(comparison.differences.map(placeOf));
  // Under other rules the elements of a list may find other partners, and differ elsewhere.
  const appeared = again.comparison.differences.filter((found) => !before.has(placeOf(found)));
  return [
    ...comparison.differences.map(
      (found) => [found, remaining.has(placeOf(found)) ? 'counts' : 'accepted'] as const,
    ),
    ...appeared.map((found) => [found, 'counts'] as const),
  ];
}

function placeOf({ class: kind, path }: Difference): string {
  return `${kind} ${path}`;
}

function redactedAnswer(found: Difference, proposed: readonly ComparisonRule[]): Answer {
  const answers = proposed.filter((rule) => covers(rule, found.path)).map((rule) => answerOf(rule, found));
  if (answers.includes('accepted')) return 'accepted';
  return answers.includes('unknown') ? 'unknown' : 'counts';
}

/** Only an ignored place takes what lies below it along; a ranking is about its elements too. */
function covers({ kind, path }: ComparisonRule, place: string): boolean {
  if (path === place) return true;
  const isBelow = place.startsWith(`${path}.`) || place.startsWith(`${path}[`) || path === '';
  return isBelow && (kind === 'ignore' || kind === 'ranking' || kind === 'keyed');
}

type Judge<Kind extends ComparisonRule['kind']> = (
  rule: Extract<ComparisonRule, { readonly kind: Kind }>,
  found: Difference,
) => Answer;

const said = (isAccepted: boolean): Answer => (isAccepted ? 'accepted' : 'counts');

/** What shapes, digests and distances tell of each kind of rule. */
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
  tolerance_seconds: ({ seconds }, found) => distanceAnswer(found, seconds),
};

function distanceAnswer({ class: kind, apart }: Difference, within: number): Answer {
  return said(kind === 'value' && apart !== undefined && Math.abs(apart) <= within);
}

function answerOf(rule: ComparisonRule, found: Difference): Answer {
  const judge = ANSWERS[rule.kind] as Judge<ComparisonRule['kind']>;
  return judge(rule, found);
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
  const known = signatures.get(text) ?? { ...key, hint: found.hint, accepted: 0, counts: 0, unknown: 0 };
  known[answer] += 1;
  signatures.set(text, known);
}

function total({ accepted, counts, unknown }: TriedSignature): number {
  return accepted + counts + unknown;
}
