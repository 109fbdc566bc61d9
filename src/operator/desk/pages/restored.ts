import { ENDPOINTS } from '../../api/endpoints.ts';
import type { RestoredLane } from '../../api/restored.ts';
import { restoredTable } from '../../views/restored.ts';
import { html, type Shown } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { emptyState, type Page } from './layout.ts';
import { cards } from './table-panel.ts';

const SHOWN = 200;

/** Lanes that give errors, because a restored database lacks something of them. */
export async function restoredPage(visit: Visit, { query }: Asked): Promise<Page> {
  const service = visit.status?.services.find((one) => one.service === query['service'])?.service;
  const { lanes } = await visit.api.ask(ENDPOINTS.listRestored, {
    query: { limit: String(SHOWN), ...(service !== undefined && { service }) },
  });
  const table = restoredTable(lanes);
  return {
    title: 'Restored databases',
    waiting: { '/restored': service === undefined && lanes.length < SHOWN ? lanes.length : undefined },
    lead: 'The journal or the orchestrator lacks something of these lanes, as after a restored backup. They give retryable errors until a person decides.',
    body:
      lanes.length === 0
        ? emptyState(table.empty, table.advice)
        : html`${[...new Set(lanes.map((lane) => lane.service))].map((name) => allForm(visit, name))}
          ${cards(
            table,
            lanes.map((lane) => laneForm(visit, lane)),
          )}`,
  };
}

function allForm(visit: Visit, service: string): Shown {
  return html`<article class="panel">
    <h2>${service}</h2>
    <div class="deeds">
      ${foldedChange(visit, {
        action: `/restored/${service}/accept`,
        label: 'Let every listed lane answer again',
        role: 'approver',
        isGrave: true,
        id: `restored-${service}`,
      })}
    </div>
  </article>`;
}

function laneForm(visit: Visit, { lane, service, state, older }: RestoredLane): Shown {
  if (older === 'orchestrator' && state === 'waits') return false;
  return foldedChange(visit, {
    action: `/restored/${service}/accept`,
    label: 'Let this lane answer again',
    role: 'approver',
    fields: { owner: lane.slice(service.length + 1) },
    isGrave: state === 'incomplete',
    id: `restored-${lane}`,
  });
}
