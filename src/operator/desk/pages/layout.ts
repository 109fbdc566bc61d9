import { counted, spoken } from '../../views/figures.ts';
import { when, html, type Html, type Shown } from '../../views/html.ts';
import { type Incident, incidentsOf } from '../../views/incidents.ts';
import type { Notice, Visit } from '../visit.ts';

/** Pages on which something may wait for a person. */
type LedgerPath = '/dead-letters' | '/unknown-outcomes' | '/reverse' | '/guard' | '/lost' | '/restored';

type Place = { readonly name: string } & (
  | { readonly path: LedgerPath; readonly waiting: (visit: Visit) => number }
  | { readonly path: string; readonly waiting?: undefined }
);

const PLACES: readonly Place[] = [
  { path: '/', name: 'Desk' },
  {
    path: '/guard',
    name: 'Guard',
    waiting: ({ status }) =>
      status?.services.filter(({ guard }) => (guard?.held_by ?? null) !== null).length ?? 0,
  },
  { path: '/lanes', name: 'Lanes' },
  {
    path: '/dead-letters',
    name: 'Dead letters',
    waiting: ({ status }) => sumOf(status?.services.map((service) => service.dead_letters)),
  },
  {
    path: '/unknown-outcomes',
    name: 'Unknown outcomes',
    waiting: ({ status }) => sumOf(status?.services.map((service) => service.unknown_outcomes.open)),
  },
  {
    path: '/reverse',
    name: 'Reverse delivery',
    waiting: ({ status }) => sumOf(status?.services.map(({ reverse }) => reverse?.halted_lanes ?? null)),
  },
  { path: '/runs', name: 'Runs' },
  {
    path: '/lost',
    name: 'Lost items',
    waiting: ({ status }) => sumOf(status?.services.map((service) => service.lost_items)),
  },
  { path: '/rollbacks', name: 'Way back' },
  {
    path: '/restored',
    name: 'Restored',
    waiting: ({ status }) => sumOf(status?.services.map((service) => service.restored_lanes)),
  },
  { path: '/flags', name: 'Flags' },
  { path: '/reports', name: 'Reports' },
  { path: '/agents', name: 'Agents' },
  { path: '/audit', name: 'Audit' },
];

function sumOf(counts: readonly (number | null)[] = []): number {
  return counts.reduce<number>((sum, each) => sum + (each ?? 0), 0);
}

export interface Page {
  readonly title: string;
  /** Below the title, in one sentence. */
  readonly lead?: Shown;
  readonly body: Html;
  /**
   * Numbers that the body itself shows as waiting, by page. They were read after the status, and the navigation must show the
   * same numbers.
   */
  readonly waiting?: Readonly<Partial<Record<LedgerPath, number | undefined>>>;
  /** Paths of further scripts. */
  readonly scripts?: readonly string[];
  readonly styles?: readonly string[];
}

/** A whole HTML document. */
export function documentOf(page: Page, inner: Html, zone = 'UTC'): string {
  const { title, scripts = [], styles = [] } = page;
  const text = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Crossfade</title>
        <link rel="icon" href="/assets/mark.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/inter/wght.css" />
        ${styles.map((path) => html`<link rel="stylesheet" href="${path}" />`)}
        <link rel="stylesheet" href="/assets/desk.css" />
        <script src="/assets/desk.js" defer></script>
        ${scripts.map((path) => html`<script src="${path}" defer></script>`)}
      </head>
      <body>
        ${inner}
      </body>
    </html> `.toString();
  return inZone(text, zone);
}

/** A page for a visitor who may look. */
export function shell(visit: Visit, page: Page): string {
  const { title, lead, body } = page;
  return documentOf(
    page,
    html`<a class="skip" href="#main">Skip to the content</a>
      ${header(visit, page)}
      <main id="main" tabindex="-1">
        ${visit.pages !== 'reports' && incidentBanner(incidentsOf(visit.status, visit.killedSince))}
        ${visit.notice !== undefined && noticeBar(visit.notice)}
        <div class="page-head">
          <h1>${title}</h1>
          ${lead !== undefined && html`<p class="lead">${lead}</p>`}
        </div>
        ${body}
      </main>
      ${footer(visit)}`,
    visit.zone,
  );
}

/** First on every page. An operator who was woken at night reads this first. */
function incidentBanner(incidents: readonly Incident[]): Html {
  return html`<div data-live="incidents" class="incidents">${incidents.map(oneIncident)}</div>`;
}

function oneIncident({ tone, what, since, agents, next }: Incident): Html {
  return html`<section class="incident ${tone}" role="${tone === 'bad' ? 'alert' : 'status'}">
    <p class="incident-what">
      <strong>${tone === 'bad' ? '▲' : '◆'} ${what}.</strong>
      ${since !== undefined && html`<span class="incident-since">Since ${when(since)}.</span>`}
    </p>
    <p>${agents}</p>
    ${next.length > 0 && html`<p class="incident-next">${next.map(deed)}</p>`}
  </section>`;
}

function deed({ to, label }: Incident['next'][number]): Shown {
  return html`<a class="button" href="${to}">${label}</a>`;
}

export const wordmark = html`<span class="wordmark"
  ><svg viewBox="0 0 24 24" aria-hidden="true">
    <path d="M2 5h5c5 0 5 14 10 14h5M2 19h5c2.2 0 3.4-2.6 4.4-5.4M13 10c.9-2.8 2-5 4-5h5" /></svg
  >Crossfade</span
>`;

function header(visit: Visit, page: Page): Html {
  return html`<header class="top">
    <a class="home" href="/">${wordmark}</a>
    <nav aria-label="Pages">
      <ul data-live="places">
        ${placesOf(visit).map((place) => placeItem(visit, place, waitingAt(visit, place, page)))}
      </ul>
    </nav>
    ${whoever(visit)}
  </header>`;
}

/** Where only reports are served, the other pages do not exist. */
function placesOf({ pages }: Visit): readonly Place[] {
  return pages === 'reports' ? PLACES.filter(({ path }) => path === '/reports') : PLACES;
}

function waitingAt(visit: Visit, place: Place, { waiting = {} }: Page): number {
  if (place.waiting === undefined) return 0;
  return waiting[place.path] ?? place.waiting(visit);
}

function placeItem(visit: Visit, { path, name }: Place, open: number): Html {
  const at = visit.path.split('?')[0] ?? '';
  const isHere = path === '/' ? at === '/' : at === path || at.startsWith(`${path}/`);
  return html`<li class="${path === '/guard' ? 'pinned' : open > 0 && 'urgent'}">
    <a href="${path}" ${isHere && html`aria-current="page"`}
      >${name}${open > 0 && html` <span class="badge">${open}<span class="unseen"> waiting</span></span>`}</a
    >
  </li>`;
}

function whoever({ visitor, csrf }: Visit): Html {
  if (visitor.name === undefined) return html`<p class="who"><span class="role">this machine</span></p>`;
  return html`<form class="who" method="post" action="/sign-out">
    <input type="hidden" name="_csrf" value="${csrf}" />
    <span>${visitor.name} <span class="role">${visitor.role}</span></span>
    <button class="quiet">Sign out</button>
  </form>`;
}

const TONES: Readonly<Record<Notice['tone'], string>> = { good: 'Done', bad: 'Not done' };

export function noticeBar({ tone, text, link }: Notice): Html {
  return html`<p class="notice ${tone}" role="${tone === 'bad' ? 'alert' : 'status'}">
    <strong>${TONES[tone]}.</strong>
    <span class="told">${text}</span>${link !== undefined && html` <a href="${link.to}">${link.label}</a>`}
  </p>`;
}

function footer({ status, zone = 'UTC', pages }: Visit): Html {
  return html`<footer class="foot">
    <p>
      ${status !== undefined && runningNow(status)}Times are in <span data-zone>${zone}</span>. Hover over a
      time for UTC.${pages !== 'reports' && html` <a href="/glossary">Glossary</a>`}
    </p>
  </footer>`;
}

function runningNow({ proxy, replicas }: NonNullable<Visit['status']>): Html {
  return html`Crossfade ${proxy.version} · this process started ${when(proxy.started_at)} ·
  ${counted(replicas.live, 'replica')} · journal ${spoken(proxy.journal)} · flags from ${proxy.flags.source} · `;
}

/** Shown where a list is empty. */
export function emptyState(title: string, text: Shown): Html {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    <p>${text}</p>
  </div>`;
}

/** Making a formatter takes a hundred times as long as using it. */
const formats = new Map<string, Formats>();

interface Formats {
  readonly text: Intl.DateTimeFormat;
  readonly zone: Intl.DateTimeFormat;
}

function formatsOf(zone: string): Formats {
  let known = formats.get(zone);
  if (known === undefined) {
    known = {
      // This locale spells dates as 2026-11-22.
      text: new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }),
      zone: new Intl.DateTimeFormat('en-GB', { timeZone: zone, timeZoneName: 'short' }),
    };
    formats.set(zone, known);
  }
  return known;
}

/**
 * Fills in every instant of a page in one zone, with UTC as its title. The zone is the configured one; assets/desk.js replaces it
 * by the browser's own.
 */
export function inZone(page: string, zone: string): string {
  const { text, zone: named } = formatsOf(zone);
  return page.replaceAll(/<time datetime="([^"]+)"><\/time>/g, (_, iso: string) => {
    const at = Date.parse(iso);
    if (Number.isNaN(at)) return iso;
    const name = named.formatToParts(at).find(({ type }) => type === 'timeZoneName')?.value ?? zone;
    const utc = `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
    return `<time datetime="${iso}" title="${utc}">${text.format(at)} <span class="zone">${name}</span></time>`;
  });
}
