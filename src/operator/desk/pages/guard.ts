import type { BundleHead, WatchedService as Watched } from '../../api/guard.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { TriggerLevel } from '../../../engine/guard/triggers.ts';
import { groupedFindings, type FindingGroup } from '../../words.ts';
import { count, percent } from '../figures.ts';
import { counted } from '../../views/figures.ts';
import { section, spoken } from '../../views/document.ts';
import { bundlesTable } from '../../views/guard.ts';
import { html, type Html } from '../../views/html.ts';
import type { Asked, Visit } from '../visit.ts';
import { latchOf } from './latch.ts';
import type { Page } from './layout.ts';
import { sectionPanel } from './table-panel.ts';

/** What each trigger watches, and what trips it. */
const MEANINGS: Readonly<Record<TriggerLevel['trigger'], string>> = {
  inconsistency: 'answers that differ',
  errors: 'failures of the orchestrator, or of the proxy',
  latency: 'slow minutes in the last five',
  deleted_item_seen: 'deleted items that were shown again',
  dead_letters: 'lanes with a dead letter for five minutes',
  lost: 'lanes with items that legacy lost (blocks further increases)',
  stores: 'items and lanes in which a reconciliation found differences',
  not_comparable: 'reads that could not be compared (alert only)',
  not_compared: 'moved reads that are no longer compared (blocks further increases)',
  external: 'signals from outside',
};

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
      ${groupedFindings(watched.findings).map(finding)}
      <ul class="triggers">
        ${watched.triggers.map(level)}
      </ul>
    </div>
  </section>`;
}

function finding({ trigger, actions, details, numbers, steps }: FindingGroup): Html {
  const where = [actions.join(', '), details.length === 0 ? '' : `(${details.join(', ')})`]
    .filter(Boolean)
    .join(' ');
  return html`<p class="notice warn">
    <strong>◆ ${spoken(trigger)}</strong>${where !== '' && ` ${where}`}${said(numbers)}. Action taken:
    ${steps.map(spoken).join(', ')}.
  </p>`;
}

function level({ trigger, reached, numbers, action, detail }: TriggerLevel): Html {
  const share = Math.round(100 * reached);
  const state = share >= 100 ? 'bad' : share >= 50 ? 'warn' : '';
  return html`<li>
    <div class="trigger-head">
      <strong>${spoken(trigger)}</strong
      ><span class="state ${state}"
        >${share >= 100 ? '▲ ' : share >= 50 ? '◆ ' : ''}${percent(share)}
        <span class="unseen">of the way to the trip</span></span
      >
    </div>
    <svg class="gauge ${state}" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="rest" width="100" height="4" />
      <rect class="reached" width="${share}" height="4" />
    </svg>
    <p class="note">
      ${MEANINGS[trigger]}${said(numbers)}${action !== undefined && ` · ${action}`}${detail !== undefined && ` · ${detail}`}
    </p>
  </li>`;
}

type Numbers = Readonly<Partial<Record<string, number>>>;

function said(numbers: Numbers): string {
  const { hits, found, limit, lanes, of_items: ofItems } = numbers;
  if (ofItems !== undefined) return `: ${storesSaid(numbers)}`;
  if (found !== undefined) return `: ${count(found)} of ${count(limit)}`;
  if (lanes !== undefined) return `: ${counted(lanes, 'lane')}`;
  return hits === undefined ? ': none' : `: ${rateSaid(hits, numbers)}`;
}

function rateSaid(
  hits: number,
  { of, limit = 0, lower_bound: bound = 0, least_hits: least }: Numbers,
): string {
  const rate = of === undefined || of === 0 ? '' : `${percent((100 * hits) / of)}; `;
  return `${count(hits)} of ${count(of)} (${rate}lower bound ${percent(100 * bound)}, limit ${percent(100 * limit)}${least === undefined ? '' : `, at least ${count(least)} needed`})`;
}

function storesSaid({
  items = 0,
  lanes = 0,
  of_items: ofItems,
  of_lanes: ofLanes,
  limit = 0,
}: Numbers): string {
  return `${counted(items, 'item')} of ${count(ofItems)}, in ${counted(lanes, 'lane')} of ${count(ofLanes)}, limit ${percent(100 * limit)}`;
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
