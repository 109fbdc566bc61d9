import type { ListedReport } from '../api/reports.ts';
import { column, link, mark, type Table, tableOf, times } from './document.ts';
import { counted } from './figures.ts';

/** The stored daily reports, newest first. */
export function reportsTable(reports: readonly ListedReport[]): Table {
  return tableOf(
    reports,
    [
      column('day', ({ date }) => link(date, `/reports/${date}.html`)),
      column('criteria of the stage', ({ failed_criteria: failed }) =>
        failed === 0
          ? mark('all pass', 'good')
          : mark(`${counted(failed, 'criterion', 'criteria')} failed`, 'bad'),
      ),
      times('made', ({ made_at: at }) => at),
    ],
    {
      empty: 'No reports yet',
      advice: 'The first is made after the end of the day. crossfade report shows the day so far.',
    },
  );
}
