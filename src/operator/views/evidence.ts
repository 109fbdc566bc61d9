import type { ServiceStatus } from '../api/status.ts';
import { noProofWords } from '../words.ts';
import {
  aside,
  type Cell,
  code,
  column,
  count,
  counts,
  numbers,
  percentage,
  rate,
  remark,
  section,
  type Section,
  tableOf,
} from './document.ts';
import { counted, printedFigure, spoken } from './figures.ts';
import { ownInterlocks } from './flags.ts';

/** The two ways to compare, answers and whole lanes. They are never added up without being named. */
export function comparedSection(service: ServiceStatus): Section {
  const {
    comparisons,
    lane_comparisons: lanes,
    not_comparable_by: obstacles,
    proofs,
    no_proof_by: by,
  } = service;
  const apart = Object.entries(obstacles).map(([word, times]) => `${times} ${spoken(word)}`);
  const noProof = Object.values(by).reduce((sum, times) => sum + times, 0);
  return section(
    'Compared',
    tableOf(
      [
        { ...comparisons, what: 'own answers', proofs },
        { ...lanes, what: 'whole lanes', proofs: null },
      ],
      [
        column('what', ({ what }) => what),
        counts('with a verdict', ({ match, mismatch }) => match + mismatch),
        numbers('proofs', (one) => (one.proofs === null ? '' : count(one.proofs))),
        counts('differ', ({ mismatch }) => mismatch),
        counts('not comparable', (one) => one.not_comparable),
      ],
      { empty: 'Nothing was compared' },
    ),
    ...(noProof === 0
      ? []
      : [remark(`${counted(noProof, 'read')} gave no proof: ${noProofWords(by).join(', ')}.`)]),
    ...(apart.length === 0 ? [] : [remark(`Not comparable: ${apart.join(', ')}.`)]),
    remark(sampledWords(service)),
  );
}

/** How many reads get a comparison of their whole lane: `shadow.lanePercentage`. */
function sampledWords({ lane_percentage: share }: ServiceStatus): string {
  if (share === 0) return 'Whole lanes are not compared: shadow.lanePercentage is 0.';
  return `Whole lanes are compared for ${printedFigure(percentage(share))} of the reads with side effects on legacy (shadow.lanePercentage), at least one per second.`;
}

type Judged = readonly [action: string, NonNullable<ServiceStatus['actions']>[string]];

/** What is proven of each action, as read-cutover needs it. */
export function evidenceSection({ actions = {}, flags }: Pick<ServiceStatus, 'actions' | 'flags'>): Section {
  return section(
    'Evidence by action',
    tableOf<Judged>(
      Object.entries(actions),
      [
        column('action', ([action, { interlocks }]) => [
          code(action),
          ...blockedAside(ownInterlocks(interlocks, flags['read-cutover'].interlocks).length),
        ]),
        numbers('requested', ([, { asked }]) => percentage(asked)),
        numbers('active', ([, { in_effect: active }]) => percentage(active)),
        counts('own answers', ([, { comparable, whole_lanes: lanes }]) => comparable - lanes),
        counts('whole lanes', ([, { whole_lanes: lanes }]) => lanes),
        counts('differ', ([, { mismatches }]) => mismatches),
        numbers('rate', ([, { comparable, mismatch_upper_bound: bound }]) =>
          comparable === 0 ? 'none yet' : ['≤ ', rate(bound)],
        ),
        numbers('missing', ([, { comparisons_missing: missing }]) =>
          missing === 0 ? 'none' : count(missing),
        ),
        column('enough', ([, judged]) => expectedWords(judged)),
      ],
      { empty: 'No action is judged yet' },
    ),
  );
}

const blockedAside = (reasons: number): Cell =>
  reasons === 0 ? [] : [aside(`blocked by ${counted(reasons, 'interlock')}`)];

/** How long the missing comparisons take at the traffic of the last day, if all of them match. */
function expectedWords({ comparisons_missing: missing, days_missing: days }: Judged[1]): string {
  if (missing === 0) return '';
  if (days === null) return 'unknown: too little traffic';
  return days < 1 ? 'in less than a day' : `in about ${counted(Math.ceil(days), 'day')}`;
}
