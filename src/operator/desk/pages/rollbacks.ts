import type { Rollback, RollbackPlan } from '../../api/rollbacks.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { section } from '../../views/document.ts';
import {
  lostWritesTable,
  planSentences,
  progressWords,
  rollbacksTable,
  stuckLanesTable,
} from '../../views/rollbacks.ts';
import { html, type Html, type Shown } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { holdPanel } from './flips.ts';
import type { Page } from './layout.ts';
import type { ServiceStatus } from './service.ts';
import { sectionPanel } from './table-panel.ts';

/** The return of lanes to legacy: what it would lose, how to begin it, and its progress. */
export async function rollbacksPage(visit: Visit, { query }: Asked): Promise<Page> {
  const services = visit.status?.services ?? [];
  const moved = services.filter(({ way_back: ready }) => (ready?.lanes.orchestrator ?? 0) > 0);
  const asked = moved.filter(({ service }) => query['service'] === undefined || service === query['service']);
  const plans = await Promise.all(
    asked.map(({ service }) => visit.api.ask(ENDPOINTS.planRollback, { query: { service } })),
  );
  const { rollbacks } = await visit.api.ask(ENDPOINTS.listRollbacks, {});
  return {
    title: 'The way back',
    lead: 'Lanes whose writes have moved can return to legacy. The list says what that would lose, before anything is done.',
    body: html`${rollbacks.filter(({ state }) => state === 'running').map((one) => runningPanel(visit, one))}
    ${await heldPanels(visit, services)} ${plans.map((plan) => planPanel(visit, plan))}
    ${sectionPanel('rollbacks', section('Rollbacks', rollbacksTable(rollbacks)))}`,
  };
}

/** A return holds further flips of its service until a person permits them again. */
function heldPanels(visit: Visit, services: readonly ServiceStatus[]): Promise<Html[]> {
  const held = services.filter(({ flips }) => flips?.blocked_by.includes('held') === true);
  return Promise.all(
    held.map(async ({ service }) => {
      const shown = await visit.api.ask(ENDPOINTS.showFlips, { params: { service } });
      return holdPanel(visit, service, shown.held);
    }),
  );
}

function runningPanel(visit: Visit, rollback: Rollback): Html {
  const { rollback: id, service, lanes, returned } = rollback;
  return html`<article class="panel" aria-labelledby="rollback-${id}">
    <h2 id="rollback-${id}">Rollback ${id} of ${service}</h2>
    <div data-live="rollback-${id}">
      <p class="state warn">◆ ${progressWords(rollback)}</p>
      <progress max="${lanes}" value="${returned}" aria-labelledby="rollback-${id}"></progress>
    </div>
    ${rollback.waiting.length > 0 && sectionPanel(`stuck-${id}`, section('Lanes that wait', stuckLanesTable(rollback)))}
    <div class="deeds">
      ${foldedChange(visit, { action: `/rollbacks/${id}/stop`, label: 'Stop it', role: 'operator' })}
    </div>
  </article>`;
}

function planPanel(visit: Visit, plan: RollbackPlan): Html {
  const { service } = plan;
  return html`<article class="panel" id="plan-${service}">
    <h2>${service}</h2>
    <ul>
      ${planSentences(plan).map((sentence) => html`<li>${sentence}</li>`)}
    </ul>
    ${plan.lost.length > 0 && sectionPanel(`lost-${service}`, section('Would be lost', lostWritesTable(plan)))}
    <div class="deeds">
      ${foldedChange(visit, {
        action: `/rollbacks/${service}/begin`,
        label: 'Return lanes to legacy',
        role: 'approver',
        controls: html`${choice(service)}${acceptance(plan)}`,
        isGrave: true,
        id: `rollback-${service}`,
      })}
    </div>
  </article>`;
}

function choice(service: string): Html {
  return html`<div class="field">
      <label for="owner-${service}">Only the lane of this owner (empty: every lane)</label
      ><input id="owner-${service}" name="owner" maxlength="512" autocomplete="off" />
    </div>
    <div class="field">
      <label for="percent-${service}">Only lanes beyond this percentage (empty: every lane)</label
      ><input id="percent-${service}" name="percent" type="number" min="0" max="99" />
    </div>`;
}

function acceptance({
  service,
  would_be_lost: lost,
  forgotten_by_retention: forgotten,
}: RollbackPlan): Shown {
  return (
    lost + forgotten > 0 &&
    html`<div class="field">
      <label for="accept-${service}"
        ><input id="accept-${service}" name="accept" type="checkbox" value="yes" /> I have read the list:
        legacy lacks what it says</label
      >
    </div>`
  );
}
