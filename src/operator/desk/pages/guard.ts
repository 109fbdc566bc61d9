import type { BundleHead, WatchedService as Watched } from '../../api/guard.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { section } from '../../views/document.ts';
import { html, type Html } from '../../views/html.ts';
import { bundlesTable, foundBlocks, triggersTable } from '../../views/guard.ts';
import type { Asked, Visit } from '../visit.ts';
import { latchOf } from './latch.ts';
import type { Page } from './layout.ts';
import { blocksHtml, sectionPanel, shown } from './table-panel.ts';

/** What the guard watches, how close each trigger is to a trip, and how to release a latch. */
export async function guardPage(visit: Visit, { query }: Asked): Promise<Page> {
  const [{ services }, { bundles }] = await Promise.all([
    visit.api.ask(ENDPOINTS.showGuard, {}),
    visit.api.ask(ENDPOINTS.listBundles, {}),
  ]);
  const held = Object.values(services).filter(({ held_by: heldBy }) => heldBy !== null);
  return {
    title: 'Guard',
    waiting: { '/guard': held.length },
    lead: 'The guard moves reads back to legacy when too many answers differ, fail or are slow. A person releases the latch.',
    body: html`<div class="columns guards">
        ${Object.entries(services).map(([service, watched]) => watchedPanel(visit, { service, watched, isReleasing: query['release'] === service }))}
      </div>
      ${bundlesPanel(bundles)}`,
  };
}

interface WatchedService {
  readonly service: string;
  readonly watched: Watched;
  readonly isReleasing: boolean;
}

function watchedPanel(visit: Visit, { service, watched, isReleasing }: WatchedService): Html {
  return html`<section class="panel" aria-labelledby="g-${service}">
    <h2 id="g-${service}"><a href="/services/${service}">${service}</a></h2>
    <div data-live="latch-${service}">${latchOf(visit, { service, guarded: watched, isReleasing })}</div>
    <div data-live="triggers-${service}">
      ${blocksHtml(`g-${service}`, foundBlocks(watched.findings))}
      <ul class="triggers">
        ${gauges(watched.triggers)}
      </ul>
    </div>
  </section>`;
}

/** The rows of a view, each with a gauge. */
function gauges(triggers: Watched['triggers']): Html[] {
  return triggersTable(triggers).rows.map(
    ([trigger = [], reached = [], watches = [], counted = []], index) => {
      const share = Math.round(100 * (triggers[index]?.reached ?? 0));
      return html`<li>
        <div class="trigger-head">
          <strong>${shown(trigger)}</strong
          ><span>${shown(reached)} <span class="unseen">of the way to the trip</span></span>
        </div>
        <svg
          class="gauge ${share >= 100 ? 'bad' : share >= 50 && 'warn'}"
          viewBox="0 0 100 4"
          preserveAspectRatio="none"
          aria-hidden="true"
        >
          <rect class="rest" width="100" height="4" />
          <rect class="reached" width="${share}" height="4" />
        </svg>
        <p class="note">${shown(watches)}: ${shown(counted)}</p>
      </li>`;
    },
  );
}

function bundlesPanel(bundles: readonly BundleHead[]): Html {
  return sectionPanel('bundles', section('Bundles of past trips', bundlesTable(bundles)), {
    name: 'JSON',
    cells: bundles.map(
      ({ bundle }) =>
        html`<a href="/guard/bundles/${bundle}/json" download
          >JSON<span class="unseen"> of trip ${bundle}</span></a
        >`,
    ),
  });
}
