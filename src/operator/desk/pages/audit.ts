import { shownValue, spoken, when } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { Visit } from '../visit.ts';
import { emptyState, type Page } from './layout.ts';

interface AuditAnswer {
  readonly entries: readonly {
    readonly at: string;
    readonly person: string;
    readonly command: string;
    readonly service: string;
    readonly reason: string;
    readonly details: Readonly<Record<string, unknown>>;
  }[];
}

/** Who changed what, and why. */
export async function auditPage(visit: Visit): Promise<Page> {
  const { entries } = await visit.api.get<AuditAnswer>('/v1/audit');
  return {
    title: 'Audit',
    lead: 'The last hundred changes, by people and by the guard. The newest first.',
    body:
      entries.length === 0
        ? emptyState(
            'Nobody changed anything yet',
            'Whatever is changed here, by command line or by the guard is written down with its reason.',
          )
        : html`<section class="panel">
            <div class="table-frame" tabindex="0" role="group" aria-label="Audit">
              <table class="cards">
                <thead>
                  <tr>
                    <th scope="col">When</th>
                    <th scope="col">Who</th>
                    <th scope="col">What</th>
                    <th scope="col">Service</th>
                    <th scope="col">Reason</th>
                    <th scope="col">Details</th>
                  </tr>
                </thead>
                <tbody>
                  ${entries.map(row)}
                </tbody>
              </table>
            </div>
          </section>`,
  };
}

function row({ at, person, command, service, reason, details }: AuditAnswer['entries'][number]): Html {
  return html`<tr>
    <td class="nowrap" data-head="When">${when(at)}</td>
    <td data-head="Who">${person}</td>
    <th scope="row" data-head="What">${command}</th>
    <td data-head="Service">${service}</td>
    <td class="words" data-head="Reason">${reason}</td>
    <td class="words" data-head="Details">
      <span
        >${Object.entries(details).map(([name, value]) => html`<span class="pair"><span class="caption">${spoken(name)}</span> ${shownValue(value)}</span> `)}</span
      >
    </td>
  </tr>`;
}
