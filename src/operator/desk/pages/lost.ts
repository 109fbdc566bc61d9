import type { LostItem } from '../../api/repairs.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { count } from '../figures.ts';
import { laneLink } from '../../views/document.ts';
import { lostTable } from '../../views/lost.ts';
import { html, type Html } from '../../views/html.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { emptyState, type Page } from './layout.ts';
import { cards, shown } from './table-panel.ts';

const SHOWN = 100;
/** The most that the API lists. */
const LISTED = 1_000;

/** Items that legacy lost, one by one. Only a person decides about them. */
export async function lostPage(visit: Visit): Promise<Page> {
  const { items } = await visit.api.ask(ENDPOINTS.listLost, {});
  const shownItems = items.slice(0, SHOWN);
  const table = lostTable(shownItems);
  return {
    title: 'Lost items',
    // The list is limited. Only the status gives the total.
    waiting: items.length < LISTED ? { '/lost': items.length } : {},
    lead: 'Legacy no longer shows these items, and no write deleted them. The orchestrator keeps them until a person decides. No repair changes them.',
    body:
      items.length === 0
        ? emptyState(table.empty, table.advice)
        : html`${items.length > SHOWN && html`<p class="note">The first ${SHOWN} of ${count(items.length)}.</p>`}
          ${lanesOf(items).map((ofLane) => lanePanel(visit, ofLane))}
          ${cards(
            table,
            shownItems.map((item) => lostForms(visit, item)),
          )}`,
  };
}

/** Lanes with more than one lost item. */
function lanesOf(items: readonly LostItem[]): (readonly [LostItem, ...LostItem[]])[] {
  const lanes = Map.groupBy(items, ({ service, owner }) => `${service}/${owner}`);
  return [...lanes.values()].flatMap(([first, ...others]) =>
    first === undefined || others.length === 0 ? [] : [[first, ...others] as const],
  );
}

/** A conversation is restored as a whole, because each restored item becomes the last one of its lane. */
function lanePanel(visit: Visit, [{ service, owner }, ...others]: readonly [LostItem, ...LostItem[]]): Html {
  const lane = `${service}/${owner}`;
  return html`<article class="panel">
    <h2>${shown([laneLink(lane)])}</h2>
    <p class="state warn">◆ ${count(others.length + 1)} lost items</p>
    <div class="deeds">
      ${foldedChange(visit, {
        action: `/lost/${service}/restore-lane`,
        label: 'Store all items of this lane on legacy again, in their old order',
        role: 'approver',
        fields: { owner },
        id: `restore-lane-${lane}`,
      })}
    </div>
  </article>`;
}

function lostForms(visit: Visit, { service, owner, memory_id: memory }: LostItem): Html {
  const fields = { owner, memory_id: memory };
  return html`${foldedChange(visit, {
    action: `/lost/${service}/restore`,
    label: 'Store it on legacy again',
    role: 'approver',
    fields,
    id: `restore-${memory}`,
  })}
  ${foldedChange(visit, {
    action: `/lost/${service}/accept`,
    label: 'Accept the loss',
    role: 'approver',
    fields,
    isGrave: true,
    id: `accept-${memory}`,
  })}`;
}
