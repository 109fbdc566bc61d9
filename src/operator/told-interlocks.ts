import type { ActionFacts } from '../engine/guard/interlock-facts.ts';
import type { InterlockReason, InterlockWord } from '../engine/guard/reason.ts';
import type { ToldInterlock } from './api/guard.ts';
import { CRITERION_WORDS, type CriterionName } from './report/criterion-words.ts';
import { printedFigure } from './views/figures.ts';
import { ADVICE } from './report/next-step.ts';

/** What the reasons belong to: a service, or one action of it with its evidence. */
export interface HeldBack {
  readonly service: string;
  readonly action?: string;
  readonly confidence?: Pick<ActionFacts['confidence'], 'days' | 'mismatches'>;
}

/** Reasons that a person may override by name. */
const EVIDENCE: ReadonlySet<InterlockWord> = new Set([
  'too_few_comparisons',
  'too_few_without_error',
  'mismatch_rate_not_proven',
]);

export function toldInterlocks(reasons: readonly InterlockReason[], of: HeldBack): ToldInterlock[] {
  return reasons.map((reason) => ({ ...reason, says: standing(reason), ...advice(reason, of) }));
}

/** A missing reconciliation fails the same criterion as one that is too old. */
const nameOf = (word: InterlockWord): CriterionName =>
  word === 'never_reconciled' ? 'reconciliation_too_old' : word;

/** A failure is described as it is, instead of as the criterion requires. */
const FAILED: Partial<Record<InterlockWord, string>> = {
  latched: 'The guard has stopped reads',
  kill_switch: 'The kill switch is on',
  ramp_held: 'The guard blocks further increases',
  not_covered: 'Writes are not journaled yet',
  legacy_does_not_answer: 'Legacy does not answer a probe',
  orchestrator_does_not_answer: 'The orchestrator does not answer a probe',
};

function standing({ word, have, need, of }: InterlockReason): string {
  const { title, unit, sign } = CRITERION_WORDS[nameOf(word)];
  if (unit === 'yes_no') return `${FAILED[word] ?? `${title}: no`}${of === undefined ? '' : ` (${of})`}`;
  const figure = (value: number | undefined): string => printedFigure({ value: value ?? null, unit });
  const is = word === 'never_reconciled' ? 'never' : figure(have);
  return `${title}: ${is}, needed ${sign} ${figure(need)}`;
}

const NO_EVIDENCE = { days: null, mismatches: 0 };

function advice(
  { word, of }: InterlockReason,
  { service, action, confidence = NO_EVIDENCE }: HeldBack,
): Pick<ToldInterlock, 'next' | 'command'> {
  const { days, mismatches } = confidence;
  const { text, command } = ADVICE[nameOf(word)](
    { action: action ?? null },
    {
      service,
      daysMissing: days,
      findingsRun: word === 'lanes_differ' && of !== undefined ? Number(of) : null,
      mismatches: action === undefined ? {} : { [action]: mismatches },
    },
  );
  // A mismatch needs its cause removed, before anyone overrides the evidence.
  if (action === undefined || mismatches > 0 || !EVIDENCE.has(word)) return { next: text, command };
  return {
    next: `${text} Or override it under your name.`,
    command: `crossfade guard accept ${service} action:${action} --person NAME --reason TEXT`,
  };
}
