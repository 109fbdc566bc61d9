import type { DaySpan } from '../../engine/report/report-ports.ts';
import { momentOf } from './calendar-day.ts';
import {
  column,
  counts,
  fact,
  facts,
  linked,
  numbers,
  rate,
  remark,
  section,
  type Section,
  tableOf,
} from '../views/document.ts';
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
      tableOf(
        today.events,
        [
          column('when', ({ at }) => `${momentOf(at, zone)} (${zone})`),
          column('who', ({ person }) => person),
          column('what', ({ what }) => what),
          column('why', ({ reason }) => reason),
        ],
        { empty: 'No changes by people or by the guard.' },
      ),
      remark(linked(desk, `/services/${encodeURIComponent(service)}`, 'The service on the desk')),
    ].filter(({ kind }) => desk !== null || kind !== 'remark') as Section['blocks'],
  };
}

/** The last two weeks, and when the evidence will be complete. */
export function progressSection({ trend, evidence_expected: expected }: ServiceReport): Section {
  const { complete, date } = expected;
  const when = complete ? 'complete' : (date ?? 'unknown: too little traffic to estimate');
  return section(
    'Progress, last 14 days',
    facts(fact('enough comparisons to move reads, expected', when)),
    tableOf(
      trend,
      [
        column('day', ({ date }) => date),
        column('stage', ({ phase }) => spoken(phase)),
        numbers('reads moved', ({ reads_moved: value }) => ({ value, unit: 'percentage' })),
        counts('operations', ({ operations }) => operations),
        numbers('mismatches', ({ mismatch_rate: value }) => rate(value)),
        counts('criteria failing', ({ failed_criteria: failed }) => failed),
      ],
      { empty: 'No earlier day has a report.' },
    ),
  );
}
