import type { ShownInterval } from '../api/status.ts';
import type { ActionAb } from '../report/report.ts';
import {
  type Block,
  type Cell,
  code,
  column,
  count,
  counts,
  type Figure,
  ms,
  numbers,
  rate,
  remark,
  type Table,
  tableOf,
} from './document.ts';

/** Defines a failure, for an agent and for one backend of a pair. */
const FAILURE_WORDS =
  'An agent failure is a timeout or an error the backend could not answer. Fallbacks to legacy do not count, nor do error replies of the ' +
  'service itself. A backend fails in a pair when it gives no answer, or an error reply where the other backend gives none.';

/** Latency and failures of both backends, then the definition of a failure. */
export function armBlocks(ab: readonly ActionAb[]): readonly Block[] {
  return [
    armTable(ab),
    differenceTable(ab),
    remark(FAILURE_WORDS, ' Intervals treat the reads of one lane as correlated.'),
  ];
}

function armTable(ab: readonly ActionAb[]): Table {
  const arms = ab.flatMap(({ action, orchestrator, legacy }) => [
    { ...orchestrator, action, name: 'orchestrator' },
    { ...legacy, action, name: 'legacy', fallbacks: undefined },
  ]);
  return tableOf(
    arms,
    [
      column('reads of lanes on', ({ action, name }) => [code(action), ` ${name}`]),
      counts('reads', ({ reads }) => reads),
      numbers('answered by legacy', ({ fallbacks }) => (fallbacks === undefined ? '' : count(fallbacks))),
      numbers('failed, 95 % interval', ({ failure_rate: failed }) => spread(failed, rate)),
      numbers('p50', ({ p50_ms: p50 }) => ms(p50)),
      numbers('p95', ({ p95_ms: p95 }) => ms(p95)),
    ],
    { empty: 'No read that either backend could answer.' },
  );
}

function differenceTable(ab: readonly ActionAb[]): Table {
  const comparisons = ab.flatMap(({ action, paired, ...between }) => [
    { ...between, action, name: 'between lanes', pairs: undefined },
    { ...paired, action, name: 'the same read on both' },
  ]);
  return tableOf(
    comparisons,
    [
      column('orchestrator compared to legacy', ({ action, name }) => [code(action), ` ${name}`]),
      numbers('pairs', ({ pairs }) => (pairs === undefined ? '' : count(pairs))),
      numbers('latency, 95 % interval', ({ latency_ratio: latency }) => spread(latency, ratio)),
      numbers('failures, 95 % interval', ({ failure_difference: failures }) => spread(failures, rateChange)),
    ],
    { empty: 'No reads.' },
  );
}

const ratio = (value: number | null): Figure => ({ value, unit: 'ratio' });
const rateChange = (value: number | null): Figure => ({ value, unit: 'change_rate' });

/** A value with both ends of its interval. Reports too few lanes if there is no interval. */
function spread(interval: ShownInterval, figure: (value: number | null) => Figure): Cell {
  if (interval === null) return ['too few lanes'];
  const [value, lower, upper] = interval;
  return [figure(value), ' (', figure(lower), ' – ', figure(upper), ')'];
}
