import { ENDPOINTS } from '../../api/endpoints.ts';
import { counted } from '../../views/figures.ts';
import { when } from '../../views/cell-html.ts';
import { html } from '../../views/html.ts';
import type { Visit } from '../visit.ts';
import { emptyState, type Page } from './layout.ts';

/** The stored daily reports, and the day so far. */
export async function reportsPage(visit: Visit): Promise<Page> {
  const { zone, reports } = await visit.api.ask(ENDPOINTS.listReports, {});
  return {
    title: 'Reports',
    lead: html`One per day, in ${zone}. <a href="/reports/today.html">The day so far</a>`,
    body:
      reports.length === 0
        ? emptyState(
            'No report is stored yet',
            html`The first report is made tomorrow morning.
              <a href="/reports/today.html">Look at the day so far</a>.`,
          )
        : html`<section class="panel" aria-labelledby="reports">
            <h2 id="reports">Stored</h2>
            <div class="table-frame" tabindex="0" role="group" aria-labelledby="reports">
              <table>
                <thead>
                  <tr>
                    <th scope="col">Day</th>
                    <th scope="col">Criteria of the stage</th>
                    <th scope="col">Made</th>
                    <th scope="col">Also as</th>
                  </tr>
                </thead>
                <tbody>
                  ${reports.map(({ date, made_at: madeAt, failed_criteria: failed }) => {
                    return html`<tr>
                      <th scope="row"><a href="/reports/${date}.html">${date}</a></th>
                      <td>
                        <span class="state ${failed === 0 ? 'good' : 'bad'}"
                          >${failed === 0 ? '● all pass' : `▲ ${counted(failed, 'criterion', 'criteria')} failed`}</span
                        >
                      </td>
                      <td class="nowrap">${when(madeAt)}</td>
                      <td>
                        <a href="/reports/${date}.md">Markdown</a>, <a href="/reports/${date}.json">JSON</a>
                      </td>
                    </tr>`;
                  })}
                </tbody>
              </table>
            </div>
          </section>`,
  };
}
