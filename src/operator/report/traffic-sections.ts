import { timeOf } from './calendar-day.ts';
import {
  type Block,
  type Cell,
  change,
  type Chart,
  type ChartMark,
  code,
  column,
  count,
  counts,
  fact,
  type Fact,
  facts,
  mark,
  ms,
  numbers,
  rate,
  remark,
  section,
  type Section,
  type Table,
  tableOf,
  MARK_SIGNS,
} from '../views/document.ts';
import { spoken } from '../views/figures.ts';
import { SIGNATURES_KEPT } from '../../engine/compare/comparison-stores.ts';
import { hintWords } from '../words.ts';
import type { Shown } from './progress-sections.ts';
import type { ActionEvidence, HourNumbers, RateNumbers, ServiceReport } from './report.ts';

export function trafficSection(service: ServiceReport, shown: Shown): Section {
  const { traffic, errors, added_latency: added } = service;
  const marks = marksOf(service, shown);
  return section(
    'Traffic, latency and errors',
    { kind: 'charts', charts: chartsOf(traffic).map((chart) => ({ ...chart, marks })) },
    ...(marks.length === 0 ? [] : [MARKS_EXPLAINED]),
    facts(
      fact('operations', count(traffic.operations), ' (', change(traffic.operations_change), ')'),
      fact('reads', count(traffic.reads)),
      fact('of these answered by the orchestrator', count(traffic.reads_from_orchestrator)),
      fact('writes', count(traffic.writes)),
      fact('others, passed through', count(traffic.other)),
      fact('added latency p50, p95, p99', ms(added.p50_ms), ' · ', ms(added.p95_ms), ' · ', ms(added.p99_ms)),
      fact('p95 since the day before', { value: added.p95_change_ms, unit: 'change_ms' }),
      fact('slower by more than 100 ms', count(added.slower_than_100_ms), ' of ', count(added.measured)),
      ...rateFacts('failed by the proxy', errors.proxy),
      ...rateFacts('reads that the orchestrator failed', errors.orchestrator),
    ),
    actionTable(traffic.actions),
    { kind: 'more', title: 'Hour by hour', blocks: [hourTable(traffic.hours)] },
  );
}

const { trip, flag, release } = MARK_SIGNS;
const MARKS_EXPLAINED: Block = remark(
  `In the charts: ${trip} the guard moved reads back, ${flag} a flag was changed, ${release} a latch was released.`,
);

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
  return tableOf(
    actions,
    [
      column('action', ({ action }) => code(action)),
      column('kind', ({ kind }) => kind),
      counts('operations', ({ operations }) => operations),
      counts('compared', ({ comparable }) => comparable),
      counts('mismatches', ({ mismatches }) => mismatches),
      numbers('added p95', ({ added_p95_ms: added }) => ms(added)),
    ],
    { empty: 'No agent sent a request on this day.' },
  );
}

function hourTable(hours: readonly HourNumbers[]): Table {
  return tableOf(
    hours,
    [
      column('from', ({ hour }) => hour),
      counts('operations', ({ operations }) => operations),
      counts('compared', ({ comparable }) => comparable),
      counts('mismatches', ({ mismatches }) => mismatches),
      numbers('added p95', ({ added_p95_ms: added }) => ms(added)),
    ],
    { empty: '' },
  );
}

export function consistencySection({ consistency }: ServiceReport): Section {
  return section(
    'Consistency',
    facts(
      ...rateFacts('mismatches of the day', consistency),
      fact('since the day before', change(consistency.mismatches_change)),
      fact(
        'not comparable',
        count(consistency.not_comparable),
        ' (',
        rate(consistency.not_comparable_share),
        ')',
      ),
      fact('comparisons of two errors', count(consistency.both_errors)),
    ),
    evidenceTable(consistency.evidence),
  );
}

function evidenceTable(evidence: readonly ActionEvidence[]): Table {
  return tableOf(
    evidence,
    [
      column('since definition and rules last changed', ({ action, accepted }) => [
        code(action),
        accepted ? ' accepted by name' : '',
      ]),
      numbers('mismatches', ({ hits, of }) => [count(hits), ' of ', count(of)]),
      numbers('rate, 95 % interval', intervalCell),
      numbers('upper bound', ({ upper_bound: bound }) => rate(bound)),
      numbers('still needed', ({ missing, days_missing: days }) =>
        missing === 0 ? count(missing) : [count(missing), ', ', { value: days, unit: 'days' }],
      ),
    ],
    { empty: 'No action of this service can be compared.' },
  );
}

/** Hits of tries with their rate, and the confidence interval on a line of its own. */
function rateFacts(label: string, numbers: RateNumbers): Fact[] {
  const { hits, of, rate: value, interval } = numbers;
  const counted: Cell = [count(hits), ' of ', count(of)];
  if (value === null || interval === null) return [{ label, cell: counted }];
  return [
    { label, cell: [...counted, ', ', rate(value)] },
    fact('its 95 % interval', rate(interval[0]), ' – ', rate(interval[1])),
  ];
}

function intervalCell({ rate: value, interval }: RateNumbers): Cell {
  if (interval === null) return [rate(value)];
  return [rate(value), ' (', rate(interval[0]), ' – ', rate(interval[1]), ')'];
}

export function signaturesSection({ signatures }: ServiceReport): Section {
  const { top, known, new: fresh, looked_at: lookedAt } = signatures;
  return section(
    'What differs',
    facts(
      fact(
        'signatures known',
        count(known),
        known >= SIGNATURES_KEPT ? ' (the limit: the oldest were removed)' : '',
      ),
      fact('most frequent ones in this report', count(lookedAt)),
      fact('first seen on this day', count(fresh)),
    ),
    tableOf(
      top,
      [
        column('signature', (one) => [
          code(`${one.action} ${one.path}`),
          ` ${one.class}, ${one.shape} `,
          one.new ? mark('new', 'warn') : '',
        ]),
        column('likely cause', ({ hint }) => (hint === null ? '' : hintWords(hint))),
        counts('lanes', ({ lanes }) => lanes),
        counts('differences', (one) => one.count),
        numbers('change', (one) => change(one.change)),
      ],
      { empty: 'No difference has ever been found.' },
    ),
  );
}

export function rulesSection({ rules }: ServiceReport): Section {
  return section(
    'Rules that hide differences',
    facts(
      fact('rules in force', count(rules.in_force)),
      fact('differences accepted since the day before', change(rules.hits_change)),
    ),
    tableOf(
      rules.hiding,
      [
        column('rule', ({ action, rule }) => code(`${action}: ${rule}`)),
        column(
          'why',
          ({ reason, owner, expires }) =>
            `${reason} (${owner}${expires === null ? '' : `, until ${expires}`})`,
        ),
        counts('accepted', ({ hits }) => hits),
        numbers('change', (one) => change(one.change)),
      ],
      { empty: 'No rule has accepted a difference.' },
    ),
  );
}
