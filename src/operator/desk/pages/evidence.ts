import type { Status } from '../../api/status.ts';
import { spoken } from '../../views/figures.ts';
import { html, type Html } from '../../views/html.ts';
import { count, percent } from '../figures.ts';
import { noProofWords } from '../../words.ts';
import { ownInterlocks } from '../../told-interlocks.ts';
import { tablePanel } from './table-panel.ts';

type ServiceStatus = Status['services'][number];

/** What is compared, answers and whole lanes separately, and what that proves of each action. */
export function evidencePanels(service: ServiceStatus): Html {
  return html`${compared(service)}${actions(service)}`;
}

/** The two ways to compare. They are never added up without being named. */
function compared(service: ServiceStatus): Html {
  const { comparisons, lane_comparisons: lanes, not_comparable_by: apart, proofs, no_proof_by: by } = service;
  const rows = [
    ['its own answers', answersCompared(noProofWords(by)), comparisons, count(proofs)] as const,
    ['whole lanes', sampled(service), lanes, ''] as const,
  ].map(([what, how, { match, mismatch, not_comparable: incomparable }, proven]) => [
    html`${what}<span class="note">${how}</span>`,
    count(match + mismatch),
    proven,
    count(mismatch),
    count(incomparable),
  ]);
  const why = Object.entries(apart).map(([word, times]) => `${count(times)} ${spoken(word)}`);
  return tablePanel({
    id: 'compared',
    title: 'Compared',
    note: `Counted by this process since its start. The consistency above covers all replicas. Reads with side effects on legacy cannot be repeated, so their whole lanes are compared.${
      why.length === 0 ? '' : ` Not comparable: ${why.join(', ')}.`
    }`,
    heads: ['What', 'With a verdict', 'Proofs', 'Differ', 'Not comparable'],
    rows,
  });
}

function answersCompared(noProof: readonly string[]): string {
  const what = 'the two answers of each shadow read';
  return noProof.length === 0 ? what : `${what}; no proof: ${noProof.join(', ')}`;
}

/** How many reads get a comparison of their whole lane: `shadow.lanePercentage`. */
function sampled({ lane_percentage: share }: ServiceStatus): string {
  if (share === 0) return 'none: shadow.lanePercentage is 0';
  return `for ${percent(share)} of the reads with side effects on legacy (shadow.lanePercentage), at least one per second, the whole lane is read from both stores`;
}

/** The evidence for each action, as read-cutover needs it. */
function actions({ actions: judged = {}, flags }: ServiceStatus): Html | false {
  const rows = Object.entries(judged).map(([action, each]) => [
    html`<code>${action}</code
      ><span class="note"
        >${ownInterlocks(each.interlocks, flags['read-cutover'].interlocks)
          .map(({ says }) => says)
          .join('; ')}</span
      >`,
    percent(each.asked),
    percent(each.in_effect),
    count(each.comparable - each.whole_lanes),
    count(each.whole_lanes),
    count(each.mismatches),
    each.comparable === 0 ? 'none yet' : `≤ ${percent(100 * each.mismatch_upper_bound)}`,
    each.comparisons_missing === 0 ? 'enough' : missing(each),
  ]);
  if (rows.length === 0) return false;
  return tablePanel({
    id: 'actions',
    title: 'Evidence by action',
    note:
      'Comparisons on all replicas since the last change of definition or rules. The upper bound of the mismatch rate (95 % confidence) must ' +
      'be below 0.1 %. Comparisons of whole lanes count for every action until one of its own answers was wrong.',
    heads: ['Action', 'Requested', 'Active', 'Own answers', 'Whole lanes', 'Differ', 'Rate', 'Missing'],
    rows,
  });
}

function missing({
  comparisons_missing: more,
  days_missing: days,
}: NonNullable<ServiceStatus['actions']>[string]): Html {
  const time =
    days === null ? 'too little traffic to estimate' : `${days < 1 ? '< 1' : count(Math.ceil(days))} d of it`;
  return html`${count(more)}<span class="note">${time}</span>`;
}
