import { ENDPOINTS } from '../api/endpoints.ts';
import type { Consistency, ShownConsistency } from '../api/history.ts';
import { consistency, count } from './figures.ts';
import { html, type Html } from '../views/html.ts';
import { ApiRefusal } from './operator-api.ts';
import type { Visit } from './visit.ts';

/** The comparisons of the last hour and of today. */
export type Windows = ShownConsistency['services'][string];

/** Undefined while the journal does not answer. */
export async function consistencyOf({ api }: Pick<Visit, 'api'>): Promise<ShownConsistency | undefined> {
  try {
    return await api.ask(ENDPOINTS.showConsistency, {});
  } catch (error) {
    if (error instanceof ApiRefusal) return undefined;
    throw error;
  }
}

/** Always names the window and the number of comparisons in it. */
export function consistencyReading(service: string, windows: Windows | undefined): Html {
  if (windows === undefined)
    return html`<div class="main-reading">
      <dt>Consistency</dt>
      <dd>unknown: the journal does not answer</dd>
    </div>`;
  return html`${reading(service, 'last hour', windows.last_hour)}${reading(service, 'today', windows.today)}`;
}

function reading(service: string, name: string, { compared, differ, from }: Consistency): Html {
  return html`<div class="main-reading">
    <dt title="All replicas, since ${from}">Consistency, ${name}</dt>
    <dd>
      <strong class="${differ > 0 && 'warn'}">${consistency(differ, compared)}</strong
      ><span class="note"
        >${
          compared === 0
            ? 'nothing compared'
            : html`${count(compared)} compared,
                <a href="/services/${service}/differences">${count(differ)} differ</a>`
        }</span
      >
    </dd>
  </div>`;
}
