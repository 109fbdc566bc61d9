import { isTrip, type Finding, type Trigger } from '../engine/ports/finding.ts';

type Numbers = Readonly<Record<string, number>>;

/** The verb for the hits, as in "21 of 25 differ". */
const VERBS: Partial<Record<Trigger, string>> = {
  inconsistency: 'differ',
  errors: 'failed',
  not_comparable: 'could not be compared',
};

/** What a trigger counted, with its limit. With too few hits to trip, it adds the least number of hits. */
export function countedWords(trigger: Trigger, numbers: Numbers): string {
  const { hits, of = 0, found, limit } = numbers;
  if (found !== undefined) return `${found} of ${limit ?? '?'}`;
  if (hits !== undefined) return rateWords(VERBS[trigger] ?? 'counted', hits, { ...numbers, of });
  const words = Object.entries(numbers).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`);
  return words.length === 0 ? 'nothing' : words.join(', ');
}

function rateWords(verb: string, hits: number, numbers: Numbers & { readonly of: number }): string {
  const { of, lower_bound: bound = 0, limit = 0, least_hits: least = 0 } = numbers;
  if (hits === 0) return `0 of ${of} ${verb}`;
  const rate = `${hits} of ${of} ${verb} (${percent(hits / of)}; lower bound ${percent(bound)}, limit ${percent(limit)})`;
  return hits < least ? `${rate}; needs at least ${least} to trip` : rate;
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

/** Events that stay found until the release. They do not describe the present. */
const EVENTS: ReadonlySet<Trigger> = new Set(['external', 'deleted_item_seen']);
const PAST_WINDOW = /(?:15m|6h)$/;

/** Findings that would trip the guard by the counts of the last minutes. */
export function standingFindings(findings: readonly Finding[]): Finding[] {
  return findings.filter(
    (finding) => isTrip(finding) && !EVENTS.has(finding.trigger) && !PAST_WINDOW.test(finding.detail ?? ''),
  );
}

/** The triggers that are still found, and what each counted. */
export function standingWords(findings: readonly Finding[]): string {
  const words = findings.map(({ trigger, action, numbers }) => {
    const where = action === undefined ? '' : ` of ${action}`;
    return `${trigger.replaceAll('_', ' ')}${where}: ${countedWords(trigger, numbers)}`;
  });
  return [...new Set(words)].join('; ');
}
