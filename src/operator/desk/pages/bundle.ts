import type { FoundDifference } from '../../api/comparisons.ts';
import type { FlagStatus } from '../../api/status.ts';
import type { ShownSignature } from '../../api/comparisons.ts';
import { hintWords } from '../../words.ts';
import { laneLink } from '../../views/document.ts';
import { counted, spoken } from '../../views/figures.ts';
import { when, html, type Html, type Shown } from '../../views/html.ts';
import { count, percent } from '../figures.ts';
import { causeOf } from '../../views/incidents.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { AuditEntry } from '../../api/audit.ts';
import { emptyState, type Page } from './layout.ts';
import { nowrap, shown, tablePanel, words } from './table-panel.ts';

interface TripFinding {
  readonly trigger: string;
  readonly action?: string;
  readonly detail?: string;
  readonly numbers: Readonly<Record<string, number>>;
}

/** A bundle as stored. A section that could not be gathered is an object with the reason. A section that was too long is null. */
interface Bundle {
  readonly bundle: number;
  readonly service: string;
  readonly latch: {
    readonly trippedAtMs: number;
    readonly coolDownUntilMs: number;
    readonly replica?: string;
    readonly finding: TripFinding;
  };
  readonly status?: { readonly service?: { readonly flags?: Readonly<Record<string, FlagStatus>> } } | null;
  readonly minutes?: unknown;
  readonly signatures?: unknown;
  readonly differences?: unknown;
  readonly audit?: unknown;
  readonly versions?: unknown;
  readonly settings?: unknown;
  readonly cut?: Readonly<Record<string, string>>;
  /** The trip is known only from its latch. */
  readonly isMissing?: true;
}

interface Minute {
  readonly minute: string;
  readonly counts: Readonly<Record<string, number>>;
}

const MINUTES_SHOWN = 30;
const SIGNATURES_SHOWN = 20;
const LANES_SHOWN = 50;
/** The most that the API returns. */
const DIFFERENCES_READ = '1000';

/** One trip of the guard as a page: its trigger, the order of events, and where to look. */
export async function bundlePage(visit: Visit, { params }: Asked<{ bundle: string }>): Promise<Page> {
  const bundle = await bundleOf(visit, params.bundle);
  const { service, latch } = bundle;
  const [{ entries }, { differences }] = await Promise.all([
    visit.api.ask(ENDPOINTS.listAudit, { query: { service, limit: '200' } }),
    visit.api.ask(ENDPOINTS.listDifferences, { params: { service }, query: { limit: DIFFERENCES_READ } }),
  ]);
  const download = `/guard/bundles/${bundle.bundle}/json`;
  return {
    title: `Trip ${bundle.bundle} of ${service}`,
    lead: html`${when(new Date(latch.trippedAtMs).toISOString())}: ${causeOf(latch.finding)}.
      <a href="/services/${service}">${service}</a> ·
      <a href="/services/${service}/differences">Differences</a> · <a href="/guard">Guard</a>${
        bundle.isMissing !== true && html` · <a href="${download}" download>Download as JSON</a>`
      }`,
    body: html`${bundle.isMissing === true && html`<p class="notice warn">◆ The bundle of this trip is not stored. This page shows what is in the journal.</p>`}
      <div class="columns">${trigger(latch)}${flagsThen(bundle)}</div>
      ${timeline(bundle, entries)}${signatures(bundle)}
      ${lanes(bundle, differences)}${minutes(bundle)}${changesBefore(bundle)}${rest(bundle)}`,
  };
}

/** @throws ApiRefusal if neither a bundle nor an open latch has this number */
async function bundleOf(visit: Visit, id: string): Promise<Bundle> {
  try {
    return JSON.parse(await visit.api.ask(ENDPOINTS.showBundle, { params: { bundle: id } })) as Bundle;
  } catch (error) {
    const found = visit.status?.services.find(({ guard }) => String(guard?.latch?.id) === id);
    const latch = found?.guard?.latch;
    if (!(error instanceof ApiRefusal) || error.status !== 404 || found === undefined || latch === undefined)
      throw error;
    return {
      bundle: latch.id,
      service: found.service,
      isMissing: true,
      latch: {
        trippedAtMs: Date.parse(latch.tripped_at),
        coolDownUntilMs: Date.parse(latch.cool_down_until),
        finding: latch.finding,
      },
    };
  }
}

function listOf<Row>(section: unknown): readonly Row[] {
  return Array.isArray(section) ? (section as readonly Row[]) : [];
}

const isoOf = (ms: number): string => new Date(ms).toISOString();

function figure(name: string, value: Shown): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}</dd>
  </div>`;
}

const RATES: ReadonlySet<string> = new Set(['lower_bound', 'limit', 'upper_bound']);

function trigger({ finding }: Bundle['latch']): Html {
  const { trigger: what, action, detail, numbers } = finding;
  const { hits, of, ...others } = numbers;
  const isRate = hits !== undefined;
  return html`<section class="panel" aria-labelledby="trigger">
    <h2 id="trigger">What tripped the guard</h2>
    <dl class="figures">
      ${figure('trigger', spoken(what))}${figure('action', action ?? 'all actions together')}
      ${detail !== undefined && figure('window or source', detail)}
      ${isRate && figure('found', `${count(hits)} of ${count(of)}`)}
      ${Object.entries(others).map(([name, value]) =>
        figure(spoken(name), isRate && RATES.has(name) ? percent(100 * value) : count(value)),
      )}
    </dl>
  </section>`;
}

function flagsThen({ status }: Bundle): Html | false {
  const flags = status?.service?.flags;
  if (flags === undefined) return false;
  return tablePanel({
    id: 'flags-then',
    title: 'Flags right after the trip',
    heads: ['Flag', 'Requested', 'Active'],
    rows: Object.entries(flags).map(([flag, { asked, in_effect: active }]) => [
      spoken(flag),
      percent(asked),
      percent(active),
    ]),
  });
}

interface Moment {
  readonly atMs: number;
  readonly what: Shown;
  readonly isTrip?: boolean;
}

/** Events before the trip, the trip, and what people did after it. */
function timeline(bundle: Bundle, since: readonly AuditEntry[]): Html {
  const { latch } = bundle;
  const moments: Moment[] = [
    ...listOf<StoredEntry>(bundle.audit).map((entry) => ({ atMs: entry.atMs, what: changeOf(entry) })),
    ...listOf<ShownSignature>(bundle.signatures).map(({ first_at: at, action, path, class: kind }) => ({
      atMs: Date.parse(at),
      what: html`first seen: <code>${action}</code> ${spoken(kind)} at
        <code>${path || '(whole answer)'}</code>`,
    })),
    {
      atMs: latch.trippedAtMs,
      what: html`<strong>the guard tripped: ${causeOf(latch.finding)}</strong>`,
      isTrip: true,
    },
    { atMs: latch.coolDownUntilMs, what: 'the latch can be released from here' },
    ...since
      .map((entry) => ({ ...entry, atMs: Date.parse(entry.at) }))
      .filter(({ atMs, command }) => atMs > latch.trippedAtMs && command !== 'guard trip')
      .map((entry) => ({ atMs: entry.atMs, what: changeOf(entry) })),
  ];
  return html`<section class="panel" aria-labelledby="timeline">
    <h2 id="timeline">Time line</h2>
    <ol class="timeline">
      ${near(moments, latch.trippedAtMs).map(
        ({ atMs, what, isTrip = false }) =>
          html`<li class="${isTrip && 'state bad'}">
            <span class="sequence">${isTrip && '▲ '}${when(isoOf(atMs))}</span>
            <div>${what}</div>
          </li>`,
      )}
    </ol>
  </section>`;
}

const MOMENTS_SHOWN = 60;

/** In order of time. If there are many, those around the trip. */
function near(moments: readonly Moment[], tripMs: number): Moment[] {
  return moments
    .toSorted((a, b) => Math.abs(a.atMs - tripMs) - Math.abs(b.atMs - tripMs))
    .slice(0, MOMENTS_SHOWN)
    .toSorted((a, b) => a.atMs - b.atMs);
}

type StoredEntry = Omit<AuditEntry, 'at'> & { readonly atMs: number };

/** A change of a flag with its values. Other commands show their name and reason. */
function changeOf({ person, command, reason, details }: Omit<AuditEntry, 'at'>): Html {
  const { flag, from, to, run } = details as Readonly<Record<string, string | number | undefined>>;
  const what =
    flag !== undefined && to !== undefined
      ? html`set <code>${flag}</code> from ${percent(Number(from))} to ${percent(Number(to))}`
      : html`${command}${run !== undefined && html` (<a href="/runs/${run}">run ${run}</a>)`}`;
  return html`${person}: ${what} <span class="note-inline">${reason}</span>`;
}

function signatures(bundle: Bundle): Html {
  const found = listOf<ShownSignature>(bundle.signatures);
  if (found.length === 0)
    return emptyState(
      'No signatures',
      'No stored difference belongs to this trip. See the trigger above for what was counted.',
    );
  return tablePanel({
    id: 'signatures',
    title: `Signatures (${found.length > SIGNATURES_SHOWN ? `the first ${SIGNATURES_SHOWN} of ${count(found.length)}` : count(found.length)})`,
    note: 'Groups of similar differences, most frequent first.',
    heads: ['Where', words('What'), 'Times', 'Lanes', nowrap('First seen'), nowrap('Last seen')],
    rows: found
      .slice(0, SIGNATURES_SHOWN)
      .map((each) => [
        html`<code>${each.path || '(whole answer)'}</code><span class="note">${each.action}</span>`,
        html`${spoken(each.class)}<span class="note"
            >${each.shape}${each.hint !== null && `; likely: ${hintWords(each.hint)}`}</span
          >`,
        count(each.count),
        count(each.lanes),
        when(each.first_at),
        when(each.last_at),
      ]),
  });
}

/** A bundle names no owner. The stored differences give the lane of an operation until they are removed. */
function lanes(bundle: Bundle, known: readonly FoundDifference[]): Html | false {
  const laneOf = new Map(known.map(({ operation_id: operation, lane }) => [operation, lane]));
  const stored = listOf<FoundDifference>(bundle.differences);
  if (stored.length === 0) return false;
  const times = new Map<string, number>();
  for (const { operation_id: operation } of stored) {
    const lane = laneOf.get(operation);
    if (lane !== undefined) times.set(lane, (times.get(lane) ?? 0) + 1);
  }
  if (times.size === 0)
    return html`<section class="panel">
      <h2>Lanes</h2>
      <p class="help">
        The differences of this trip are no longer stored, so their lanes are unknown. The JSON lists the
        operations.
      </p>
    </section>`;
  return tablePanel({
    id: 'lanes',
    title: `Lanes (${count(times.size)})`,
    note: `From the last ${counted(stored.length, 'difference')} before the trip was stored.`,
    heads: ['Lane', 'Differences'],
    rows: [...times]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, LANES_SHOWN)
      .map(([lane, found]) => [shown([laneLink(lane)]), count(found)]),
  });
}

/** All actions and replicas together. */
function minutes(bundle: Bundle): Html | false {
  const sums = new Map<string, Record<string, number>>();
  for (const { minute, counts } of listOf<Minute>(bundle.minutes)) {
    const sum = sums.get(minute) ?? {};
    for (const name of COUNTED) sum[name] = (sum[name] ?? 0) + (counts[name] ?? 0);
    sums.set(minute, sum);
  }
  if (sums.size === 0) return false;
  return tablePanel({
    id: 'minutes',
    title: 'Minute by minute',
    note: 'All actions and replicas, newest first.',
    heads: [
      nowrap('Minute'),
      'Requests',
      'Compared',
      'Differ',
      'Orchestrator reads',
      'Failed',
      'Proxy failures',
    ],
    rows: [...sums]
      .toSorted(([a], [b]) => b.localeCompare(a))
      .slice(0, MINUTES_SHOWN)
      .map(([minute, sum]) => [when(minute), ...COUNTED.map((name) => count(sum[name]))]),
  });
}

const COUNTED = [
  'operations',
  'comparable',
  'mismatches',
  'orchestrator_reads',
  'orchestrator_failures',
  'proxy_failures',
] as const;

function changesBefore(bundle: Bundle): Html | false {
  const entries = listOf<StoredEntry>(bundle.audit).filter(({ command }) => command !== 'guard trip');
  if (entries.length === 0) return false;
  return html`<section class="panel" aria-labelledby="changes">
    <h2 id="changes">Changes before the trip</h2>
    <ul class="plain">
      ${entries.map((entry) => html`<li>${when(isoOf(entry.atMs))} ${changeOf(entry)}</li>`)}
    </ul>
  </section>`;
}

function rest({ versions, settings, cut }: Bundle): Html | false {
  if (versions === undefined && settings === undefined) return false;
  return html`<details class="panel fold">
    <summary>Versions and settings</summary>
    ${cut !== undefined && html`<p class="help">Shortened: ${Object.entries(cut).map(([section, how]) => `${section} (${how}) `)}</p>`}
    <pre class="words">${JSON.stringify({ versions, settings }, null, 2)}</pre>
  </details>`;
}
