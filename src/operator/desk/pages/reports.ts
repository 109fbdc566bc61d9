import { ENDPOINTS } from '../../api/endpoints.ts';
import { section } from '../../views/document.ts';
import { html } from '../../views/html.ts';
import { reportsTable } from '../../views/reports.ts';
import type { Visit } from '../visit.ts';
import type { Page } from './layout.ts';
import { sectionPanel } from './table-panel.ts';

/** The stored daily reports, and the day so far. */
export async function reportsPage(visit: Visit): Promise<Page> {
  const { zone, reports } = await visit.api.ask(ENDPOINTS.listReports, {});
  return {
    title: 'Reports',
    lead: html`One per day, in ${zone}. <a href="/reports/today.html">The day so far</a>`,
    body: sectionPanel('reports', section('Stored', reportsTable(reports)), {
      name: 'Also as',
      cells: reports.map(
        ({ date }) =>
          html`<a href="/reports/${date}.md">Markdown</a>, <a href="/reports/${date}.json">JSON</a>`,
      ),
    }),
  };
}
