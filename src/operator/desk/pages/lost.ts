import type { LostItem } from '../../api/repairs.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { count } from '../figures.ts';
import { when } from '../../views/cell-html.ts';
import { html, type Html } from '../../views/html.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { emptyState, type Page } from './layout.ts';
import { laneLink } from './ledgers.ts';

const SHOWN = 100;
/** The most that the API lists. */
const LISTED = 1_000;

/** Items that legacy lost, one by one. Only a person decides about them. */
export async function lostPage(visit: Visit): Promise<Page> {
  const { items } = await visit.api.ask(ENDPOINTS.listLost, {});
  return {
    title: 'Lost items',
    // The list is limited. Only the status gives the total.
    waiting: items.length < LISTED ? { '/lost': items.length } : {},
    lead: 'Legacy no longer shows these items, and no write deleted them. The orchestrator keeps them until a person decides. No repair changes them.',
    body:
      items.length === 0
        ? emptyState('No lost items', 'Items that legacy lost without an explanation are listed here.')
        : html`${items.length > SHOWN && html`<p class="note">The first ${SHOWN} of ${count(items.length)}.</p>`}
            ${lanesOf(items).map((ofLane) => lanePanel(visit, ofLane))}
            <div class="cards">${items.slice(0, SHOWN).map((item) => lostCard(visit, item))}</div>`,
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
    <h2>${laneLink(lane)}</h2>
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

function lostCard(
  visit: Visit,
  { service, owner, memory_id: memory, digest, stored_at: storedAt, shape, found_at: foundAt }: LostItem,
): Html {
  const fields = { owner, memory_id: memory };
  return html`<article class="panel card" aria-labelledby="m-${memory}">
    <h2 id="m-${memory}">${laneLink(`${service}/${owner}`)}</h2>
    <p class="state warn">◆ lost <span class="note-inline">· found ${when(foundAt)}</span></p>
    <p class="note">${storedAt !== null && html`stored ${when(storedAt)} · `}${shape ?? 'shape unknown'}</p>
    <p class="note"><code>${memory}</code> · digest <code>${digest.slice(0, 12)}</code></p>
    <div class="deeds">
      ${foldedChange(visit, {
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
      })}
    </div>
  </article>`;
}
