import type { DaySpan } from '../../engine/report/report-ports.ts';
import { momentOf } from './calendar-day.ts';
import { count, linked, rate, type Section } from '../views/document.ts';
import { spoken } from '../views/figures.ts';
import type { ServiceReport } from './report.ts';

/** How a report shows times and links. */
export interface Shown {
  readonly zone: string;
  /** Address of the desk; null without one. */
  readonly desk: string | null;
  readonly day: DaySpan;
}

/** One sentence for managers, and who did what and when for engineers. */
export function todaySection({ service, today }: ServiceReport, { zone, desk }: Shown): Section {
  return {
    title: 'What happened',
    blocks: [
      { kind: 'note', tone: 'plain', cell: [today.sentence] },
      {
        kind: 'table',
        columns: [{ head: 'when' }, { head: 'who' }, { head: 'what' }, { head: 'why' }],
        rows: today.events.map(({ at, person, what, reason }) => [
          [`${momentOf(at, zone)} (${zone})`],
          [person],
          [what],
          [reason],
        ]),
        empty: 'No changes by people or by the guard.',
      },
      {
        kind: 'remark',
        cell: [linked(desk, `/services/${encodeURIComponent(service)}`, 'The service on the desk')],
      },
    ].filter(({ kind }) => desk !== null || kind !== 'remark') as Section['blocks'],
  };
}

/** The last two weeks, and when the evidence will be complete. */
export function progressSection({ trend, evidence_expected: expected }: ServiceReport): Section {
  const { complete, date } = expected;
  const when = complete ? 'complete' : (date ?? 'unknown: too little traffic to estimate');
  return {
    title: 'Progress, last 14 days',
    blocks: [
      { kind: 'facts', facts: [{ label: 'enough comparisons to move reads, expected', cell: [when] }] },
      {
        kind: 'table',
        columns: [
          { head: 'day' },
          { head: 'stage' },
          { head: 'reads moved', isNumber: true },
          { head: 'operations', isNumber: true },
          { head: 'mismatches', isNumber: true },
          { head: 'criteria failing', isNumber: true },
        ],
        rows: trend.map((day) => [
          [day.date],
          [spoken(day.phase)],
          [{ value: day.reads_moved, unit: 'percentage' }],
          [count(day.operations)],
          [rate(day.mismatch_rate)],
          [count(day.failed_criteria)],
        ]),
        empty: 'No earlier day has a report.',
      },
    ],
  };
}
