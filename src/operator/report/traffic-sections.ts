import { timeOf } from './calendar-day.ts';
import {
  MARK_SIGNS,
  change,
  code,
  count,
  mark,
  ms,
  rate,
  type Block,
  type Cell,
  type Chart,
  type ChartMark,
  type Fact,
  type Section,
  type Table,
} from '../views/document.ts';
import { spoken } from '../views/figures.ts';
import { SIGNATURES_KEPT } from '../../engine/compare/comparison-stores.ts';
import { hintWords } from '../words.ts';
import type { Shown } from './progress-sections.ts';
import type { ActionEvidence, HourNumbers, RateNumbers, ServiceReport } from './report.ts';

export function trafficSection(service: ServiceReport, shown: Shown): Section {
  const { traffic, errors, added_latency: added } = service;
  const marks = marksOf(service, shown);
  return {
    title: 'Traffic, latency and errors',
    blocks: [
      { kind: 'charts', charts: chartsOf(traffic).map((chart) => ({ ...chart, marks })) },
      ...(marks.length === 0 ? [] : [MARKS_EXPLAINED]),
      {
        kind: 'facts',
        facts: [
          {
            label: 'operations',
            cell: [count(traffic.operations), ' (', change(traffic.operations_change), ')'],
          },
          { label: 'reads', cell: [count(traffic.reads)] },
          { label: 'of these answered by the orchestrator', cell: [count(traffic.reads_from_orchestrator)] },
          { label: 'writes', cell: [count(traffic.writes)] },
          { label: 'others, passed through', cell: [count(traffic.other)] },
          {
            label: 'added latency p50, p95, p99',
            cell: [ms(added.p50_ms), ' · ', ms(added.p95_ms), ' · ', ms(added.p99_ms)],
          },
          { label: 'p95 since the day before', cell: [{ value: added.p95_change_ms, unit: 'change_ms' }] },
          {
            label: 'slower by more than 100 ms',
            cell: [count(added.slower_than_100_ms), ' of ', count(added.measured)],
          },
          ...rateFacts('failed by the proxy', errors.proxy),
          ...rateFacts('reads that the orchestrator failed', errors.orchestrator),
        ],
      },
      actionTable(traffic.actions),
      { kind: 'more', title: 'Hour by hour', blocks: [hourTable(traffic.hours)] },
    ],
  };
}

const { trip, flag, release } = MARK_SIGNS;
const MARKS_EXPLAINED: Block = {
  kind: 'remark',
  cell: [
    `In the charts: ${trip} the guard moved reads back, ${flag} a flag was changed, ${release} a latch was released.`,
  ],
};

/** Trips of the guard and changes by people on the day. */
function marksOf({ guard, today }: ServiceReport, { zone, day }: Shown): ChartMark[] {
  const { fromMs, toMs } = day;
  const markAt = (kind: ChartMark['kind'], at: string, what: string): ChartMark[] => {
    const atMs = Date.parse(at);
    if (atMs < fromMs || atMs >= toMs) return [];
    return [{ kind, place: (atMs - fromMs) / (toMs - fromMs), what: `${timeOf(atMs, zone)} ${what}` }];
  };
  return [
    ...today.events.flatMap(({ at, person, what }) =>
      what.startsWith('flags set')
        ? markAt('flag', at, `${person}: ${what}`)
        : what === 'guard release'
          ? markAt('release', at, `${person} released the latch`)
          : [],
    ),
    ...guard.trips.flatMap(({ at, trigger }) =>
      markAt('trip', at, `the guard moved reads back: ${spoken(trigger)}`),
    ),
  ];
}

function chartsOf({ hours, operations }: ServiceReport['traffic']): Omit<Chart, 'marks'>[] {
  const labels = hours.map(({ hour }) => hour);
  const mismatches = hours.reduce((sum, hour) => sum + (hour.mismatches ?? 0), 0);
  return [
    {
      title: 'Operations per hour',
      total: [count(operations)],
      tone: 'accent',
      unit: 'count',
      labels,
      values: hours.map((hour) => hour.operations),
      empty: 'No operation on this day',
    },
    {
      title: 'Mismatches per hour',
      total: [count(mismatches)],
      tone: 'bad',
      unit: 'count',
      labels,
      values: hours.map((hour) => hour.mismatches),
      empty: 'No mismatch on this day',
    },
    {
      title: 'Added latency, p95',
      total: [],
      tone: 'soft',
      unit: 'ms',
      labels,
      values: hours.map((hour) => hour.added_p95_ms),
      empty: 'Nothing was measured on this day',
    },
  ];
}

function actionTable(actions: ServiceReport['traffic']['actions']): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'action' },
      { head: 'kind' },
      { head: 'operations', isNumber: true },
      { head: 'compared', isNumber: true },
      { head: 'mismatches', isNumber: true },
      { head: 'added p95', isNumber: true },
    ],
    rows: actions.map((one) => [
      [code(one.action)],
      [one.kind],
      [count(one.operations)],
      [count(one.comparable)],
      [count(one.mismatches)],
      [ms(one.added_p95_ms)],
    ]),
    empty: 'No agent sent a request on this day.',
  };
}

function hourTable(hours: readonly HourNumbers[]): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'from' },
      { head: 'operations', isNumber: true },
      { head: 'compared', isNumber: true },
      { head: 'mismatches', isNumber: true },
      { head: 'added p95', isNumber: true },
    ],
    rows: hours.map((one) => [
      [one.hour],
      [count(one.operations)],
      [count(one.comparable)],
      [count(one.mismatches)],
      [ms(one.added_p95_ms)],
    ]),
    empty: '',
  };
}

export function consistencySection({ consistency }: ServiceReport): Section {
  return {
    title: 'Consistency',
    blocks: [
      {
        kind: 'facts',
        facts: [
          ...rateFacts('mismatches of the day', consistency),
          { label: 'since the day before', cell: [change(consistency.mismatches_change)] },
          {
            label: 'not comparable',
            cell: [count(consistency.not_comparable), ' (', rate(consistency.not_comparable_share), ')'],
          },
          { label: 'comparisons of two errors', cell: [count(consistency.both_errors)] },
        ],
      },
      evidenceTable(consistency.evidence),
    ],
  };
}

function evidenceTable(evidence: readonly ActionEvidence[]): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'since definition and rules last changed' },
      { head: 'mismatches', isNumber: true },
      { head: 'rate, 95 % interval', isNumber: true },
      { head: 'upper bound', isNumber: true },
      { head: 'still needed', isNumber: true },
    ],
    rows: evidence.map((one) => [
      [code(one.action), one.accepted ? ' accepted by name' : ''],
      [count(one.hits), ' of ', count(one.of)],
      intervalCell(one),
      [rate(one.upper_bound)],
      one.missing === 0
        ? [count(one.missing)]
        : [count(one.missing), ', ', { value: one.days_missing, unit: 'days' }],
    ]),
    empty: 'No action of this service can be compared.',
  };
}

/** Hits of tries with their rate, and the confidence interval on a line of its own. */
function rateFacts(label: string, numbers: RateNumbers): Fact[] {
  const { hits, of, rate: value, interval } = numbers;
  const counted: Cell = [count(hits), ' of ', count(of)];
  if (value === null || interval === null) return [{ label, cell: counted }];
  return [
    { label, cell: [...counted, ', ', rate(value)] },
    { label: 'its 95 % interval', cell: [rate(interval[0]), ' – ', rate(interval[1])] },
  ];
}

function intervalCell({ rate: value, interval }: RateNumbers): Cell {
  if (interval === null) return [rate(value)];
  return [rate(value), ' (', rate(interval[0]), ' – ', rate(interval[1]), ')'];
}

export function signaturesSection({ signatures }: ServiceReport): Section {
  const { top, known, new: fresh, looked_at: lookedAt } = signatures;
  return {
    title: 'What differs',
    blocks: [
      {
        kind: 'facts',
        facts: [
          {
            label: 'signatures known',
            cell: [count(known), known >= SIGNATURES_KEPT ? ' (the limit: the oldest were removed)' : ''],
          },
          { label: 'most frequent ones in this report', cell: [count(lookedAt)] },
          { label: 'first seen on this day', cell: [count(fresh)] },
        ],
      },
      {
        kind: 'table',
        columns: [
          { head: 'signature' },
          { head: 'likely cause' },
          { head: 'lanes', isNumber: true },
          { head: 'differences', isNumber: true },
          { head: 'change', isNumber: true },
        ],
        rows: top.map((one) => [
          [
            code(`${one.action} ${one.path}`),
            ` ${one.class}, ${one.shape} `,
            ...(one.new ? [mark('new', 'warn')] : []),
          ],
          [one.hint === null ? '' : hintWords(one.hint)],
          [count(one.lanes)],
          [count(one.count)],
          [change(one.change)],
        ]),
        empty: 'No difference has ever been found.',
      },
    ],
  };
}

export function rulesSection({ rules }: ServiceReport): Section {
  return {
    title: 'Rules that hide differences',
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'rules in force', cell: [count(rules.in_force)] },
          { label: 'differences accepted since the day before', cell: [change(rules.hits_change)] },
        ],
      },
      {
        kind: 'table',
        columns: [
          { head: 'rule' },
          { head: 'why' },
          { head: 'accepted', isNumber: true },
          { head: 'change', isNumber: true },
        ],
        rows: rules.hiding.map((one) => [
          [code(`${one.action}: ${one.rule}`)],
          [`${one.reason} (${one.owner}${one.expires === null ? '' : `, until ${one.expires}`})`],
          [count(one.hits)],
          [change(one.change)],
        ]),
        empty: 'No rule has accepted a difference.',
      },
    ],
  };
}
