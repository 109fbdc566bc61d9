import { FAILURE_WORDS, type AbNumbers, type ShownInterval } from '../ab-status.ts';
import { code, count, ms, rate, type Cell, type Figure, type Section, type Table } from './document.ts';
import type { ActionAb, ServiceReport } from './report.ts';

export function abSection({ ab }: ServiceReport): Section {
  return {
    title: 'Orchestrator and legacy compared',
    blocks: [
      armTable(ab),
      differenceTable(ab),
      {
        kind: 'remark',
        cell: [FAILURE_WORDS, ' Intervals treat the reads of one lane as correlated.'],
      },
    ],
  };
}

function armTable(ab: readonly ActionAb[]): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'reads of lanes on' },
      { head: 'reads', isNumber: true },
      { head: 'answered by legacy', isNumber: true },
      { head: 'failed, 95 % interval', isNumber: true },
      { head: 'p50', isNumber: true },
      { head: 'p95', isNumber: true },
    ],
    rows: ab.flatMap(({ action, orchestrator, legacy }) => [
      [[code(action), ' orchestrator'], ...armCells(orchestrator, [count(orchestrator.fallbacks)])],
      [[code(action), ' legacy'], ...armCells(legacy, [])],
    ]),
    empty: 'No read on this day that either backend could answer.',
  };
}

function armCells(arm: AbNumbers['legacy'], fallbacks: Cell): Cell[] {
  const { reads, failure_rate: failed, p50_ms: p50, p95_ms: p95 } = arm;
  return [[count(reads)], fallbacks, spread(failed, rate), [ms(p50)], [ms(p95)]];
}

function differenceTable(ab: readonly ActionAb[]): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'orchestrator compared to legacy' },
      { head: 'pairs', isNumber: true },
      { head: 'latency, 95 % interval', isNumber: true },
      { head: 'failures, 95 % interval', isNumber: true },
    ],
    rows: ab.flatMap(({ action, paired, ...between }) => [
      [[code(action), ' between lanes'], [], ...differenceCells(between)],
      [[code(action), ' the same read on both'], [count(paired.pairs)], ...differenceCells(paired)],
    ]),
    empty: 'No reads.',
  };
}

function differenceCells({
  latency_ratio: latency,
  failure_difference: failures,
}: Pick<AbNumbers, 'latency_ratio' | 'failure_difference'>): Cell[] {
  return [spread(latency, ratio), spread(failures, rateChange)];
}

const ratio = (value: number | null): Figure => ({ value, unit: 'ratio' });
const rateChange = (value: number | null): Figure => ({ value, unit: 'change_rate' });

/** A value with both ends of its interval. Reports too few lanes if there is no interval. */
function spread(interval: ShownInterval, figure: (value: number | null) => Figure): Cell {
  if (interval === null) return ['too few lanes'];
  const [value, lower, upper] = interval;
  return [figure(value), ' (', figure(lower), ' – ', figure(upper), ')'];
}
