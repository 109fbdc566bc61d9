import type { Status } from '../../api/status.ts';
import type { LiveSample } from '../../api/history.ts';
import { facts, link, remark, section } from '../../views/document.ts';
import { comparedSection, evidenceSection } from '../../views/evidence.ts';
import { activeFlagsTable, blockedActions, blockedFlags } from '../../views/flags.ts';
import { wayBackFacts } from '../../views/status.ts';
import { spoken } from '../../views/figures.ts';
import { when, html, type Html, type Shown } from '../../views/html.ts';
import { count, ladder, milliseconds, percent } from '../figures.ts';
import { term } from '../glossary.ts';
import { consistencyOf, consistencyReading } from '../consistency.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { troubleOf } from '../../views/incidents.ts';
import { latchOf } from './latch.ts';
import type { Page } from './layout.ts';
import { livePanel, tablePanel } from './table-panel.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { AuditEntry } from '../../api/audit.ts';

export type ServiceStatus = Status['services'][number];

/** The service of a page. @throws ApiRefusal if there is no such service */
export async function serviceOf(visit: Visit, name: string): Promise<ServiceStatus> {
  const status = visit.status ?? (await visit.api.ask(ENDPOINTS.showStatus, {}));
  const service = status.services.find((one) => one.service === name);
  if (service === undefined) throw new ApiRefusal(404, 'service_not_found', `There is no service “${name}”.`);
  return service;
}

/** One service, in the order in which an operator asks: is it healthy, how far is it, is it ready, what happens now. */
export async function servicePage(
  visit: Visit,
  { params, query }: Asked<{ service: string }>,
): Promise<Page> {
  const service = await serviceOf(visit, params.service);
  const { samples } = await visit.api.ask(ENDPOINTS.showLive, {
    params: { service: service.service },
  });
  const consistency = await consistencyOf(visit);
  return {
    title: service.service,
    lead: html`<a href="/services/${service.service}/differences">Differences</a> ·
      <a href="/services/${service.service}/end">End of the migration</a> ·
      <a href="/lanes?service=${service.service}">Lanes</a> · <a href="/flags">Flags</a>`,
    body: html`<div class="columns">
        ${reads(visit, service, troubleOf(service, consistency?.services[service.service]?.last_hour.differ))}
        <section class="panel" aria-labelledby="stage">
          <h2 id="stage">Stage</h2>
          <div data-live="ladder">${ladder(service)}</div>
          <dl class="readings" data-live="consistency">
            ${consistencyReading(service.service, consistency?.services[service.service])}
          </dl>
        </section>
      </div>
      ${livePanel('flags-asked', section('Flags', activeFlagsTable(service), ...blockedFlags(service)))}
      ${livePanel('compared', comparedSection(service))}
      ${service.actions !== undefined && livePanel('actions', section('Evidence by action', ...evidenceSection(service).blocks, ...blockedActions(service), EVIDENCE_READ))}
      ${wayBack(service)} ${await chartsPanel(visit, service.service, query['window'])}
      <div class="columns">
        <div class="column">${decisions(samples)}${answers(service)}</div>
        <div class="column">${latencies(service)}${contents(service)}</div>
      </div>
      ${left(service)} ${afterFlip(service)}`,
    styles: ['/assets/uplot/uPlot.min.css'],
    scripts: ['/assets/uplot/uPlot.iife.min.js', '/assets/charts.js'],
  };
}

/** How to read the evidence. */
const EVIDENCE_READ = remark(
  'Comparisons on all replicas since the last change of definition or rules. The upper bound of the mismatch rate (95 % confidence) must be below 0.1 %. Comparisons of whole lanes count for every action until one of its own answers was wrong.',
);

/** First on the page: whether the guard keeps the reads on legacy, since when, and how to release them. */
function reads(visit: Visit, { service, guard }: ServiceStatus, trouble: string | undefined): Html {
  return html`<section class="panel" aria-labelledby="reads">
    <h2 id="reads">Reads from the orchestrator</h2>
    <div data-live="latch-${service}">
      ${guard === undefined ? html`<p>unknown yet</p>` : latchOf(visit, { service, guarded: guard, trouble })}
    </div>
    <p class="note"><a href="/guard#g-${service}">All triggers of the guard</a></p>
  </section>`;
}

/** What going back to legacy would cost at this moment. Absent while no lane's writes have moved. */
function wayBack(service: ServiceStatus): Shown {
  const back = wayBackFacts(service);
  const page = link('Return lanes to legacy', `/rollbacks?service=${service.service}`);
  return (
    back.length > 0 &&
    livePanel(
      'way-back',
      section('The way back', remark('If every lane returned to legacy now. ', page), facts(...back)),
    )
  );
}

/** The meaning of each reason of a decision. */
const REASONS: Readonly<Record<string, string>> = {
  passthrough: 'no definition matches the request, so it is relayed unchanged',
  not_covered: 'dual writes are not active',
  covered: 'a write: journaled, then sent to legacy',
  legacy_only: 'only legacy can answer it',
  flag_off: 'its lane is outside the share',
  flag_on: 'its lane is within the share of the orchestrator',
  kill_switch: 'the kill switch is on',
  interlock: 'an interlock lowers the share',
  latched: 'the guard keeps the reads on legacy',
  flipped: 'the orchestrator is primary for the writes of its lane',
};

function decisions(samples: readonly LiveSample[]): Html {
  const sums = new Map<string, number>();
  for (const { reasons } of samples)
    for (const [reason, times] of Object.entries(reasons)) sums.set(reason, (sums.get(reason) ?? 0) + times);
  const all = [...sums.values()].reduce((sum, times) => sum + times, 0);
  const rows = [...sums]
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, times]) => [
      html`${reason === 'covered' ? term('covered') : spoken(reason)}<span class="note"
          >${REASONS[reason] ?? ''}</span
        >`,
      count(times),
      percent((100 * times) / all),
    ]);
  return tablePanel({
    id: 'decisions',
    title: 'Decisions by reason',
    note: rows.length === 0 ? 'No request in the last 15 minutes.' : 'The last 15 minutes.',
    heads: ['Reason', 'Operations', 'Share'],
    rows,
  });
}

function latencies({ latency_ms: latency, added_ms: added }: ServiceStatus): Html {
  const row = (name: string, { p50, p95, p99, count: calls }: typeof added): readonly Shown[] => [
    name,
    milliseconds(p50),
    milliseconds(p95),
    milliseconds(p99),
    count(calls),
  ];
  return tablePanel({
    id: 'latencies',
    title: 'Latency',
    note: 'Measured by this process since its start: answers of each backend, and the time the proxy added.',
    heads: ['Of', 'p50', 'p95', 'p99', 'Calls'],
    rows: [row('legacy', latency.legacy), row('orchestrator', latency.orchestrator), row('added', added)],
  });
}

function answers({ reads_by: reads, fallbacks, writes, repeats, named_writes: named }: ServiceStatus): Html {
  const words = (what: string, counts: Readonly<Record<string, number>>): readonly Shown[][] =>
    Object.entries(counts).map(([word, times]) => [
      html`${what} <span class="note-inline">${spoken(word)}</span>`,
      count(times),
    ]);
  return tablePanel({
    id: 'answers',
    title: 'Answers',
    note: 'This process, since its start.',
    heads: ['What', 'Times'],
    rows: [
      ...words('reads answered by', reads),
      ...words('fell back to legacy:', fallbacks),
      ...words('writes', writes),
      ...words('repeated writes', repeats),
      ...words('writes that name items:', named),
    ],
  });
}

function contents(service: ServiceStatus): Html {
  const { lanes, pending, forgotten, lost_items: lost, copied_lanes: copied } = service;
  return tablePanel({
    id: 'contents',
    title: 'Both sides',
    note: 'Lanes and lost items come from the journal. This process has counted the rest since its start.',
    heads: ['What', 'Now'],
    rows: [
      ...Object.entries(lanes ?? {}).map(([what, there]) => [
        html`${term('lane', 'lanes')} ${laneState(what)}`,
        count(there),
      ]),
      ['deliveries waiting', count(pending)],
      ['lanes copied', count(copied)],
      ['items forgotten by legacy', count(forgotten)],
      ['items lost by legacy, undecided', count(lost)],
    ],
  });
}

const LANE_STATES = {
  flipped: 'flipped',
  seeded: 'seeded',
  dirty: 'dirty',
  stopped: 'stopped',
  excepted: 'exception',
} as const;

function laneState(what: string): Shown {
  const name = LANE_STATES[what as keyof typeof LANE_STATES];
  return name === undefined ? spoken(what) : term(name, what);
}

function left({ legacy_only: legacyOnly, passthrough, unmapped }: ServiceStatus): Html {
  const list = (
    what: string,
    entries: readonly { readonly action: string; readonly reason: string }[],
  ): Html[] =>
    entries.map(
      ({ action, reason }) =>
        html`<li><code>${action}</code> ${what}: <span class="note-inline">${reason}</span></li>`,
    );
  return html`<details class="panel fold">
    <summary>What stays on legacy</summary>
    <ul class="plain">
      ${list('is answered by legacy only', legacyOnly)}${list('passes through', passthrough)}
      ${unmapped.map(({ what, reason }) => html`<li>${what} is not mapped: <span class="note-inline">${reason}</span></li>`)}
    </ul>
  </details>`;
}

function afterFlip({ not_flippable: kept, after_flip: noticed }: ServiceStatus): Html {
  return html`<details class="panel fold">
    <summary>When its writes move</summary>
    <ul class="plain">
      ${kept.map(({ action, reason }) => html`<li><code>${action}</code> keeps the writes of all lanes on legacy: <span class="note-inline">${reason}</span></li>`)}
      ${noticed.map((what) => html`<li>${what}</li>`)}
    </ul>
  </details>`;
}

/** The windows: 15 minutes of this process live, longer ones of all replicas from the journal. */
const WINDOWS = {
  '15m': { name: '15 min', hours: 0, what: 'this process, one point per 10 s' },
  '1h': { name: '1 h', hours: 1, what: 'all replicas, one point per minute' },
  '24h': { name: '24 h', hours: 24, what: 'all replicas, one point per 10 minutes' },
} as const;

type Window = keyof typeof WINDOWS;

/** `live`: the journal does not store it. */
const CHARTS = [
  ['reads', 'Reads and writes', 'per second, by the backend that answered', ''],
  ['differing', 'Comparisons', 'with a verdict, per minute', ''],
  ['added', 'Added by the proxy', 'p95', ''],
  ['latency', 'Latency', 'p95 of each backend’s own answers', 'live'],
  ['lag', 'Delivery lag', 'from the reply of legacy to the write on the orchestrator', 'live'],
] as const;

/** Charts of a service, with marks where a flag was changed or the guard tripped. */
async function chartsPanel(visit: Visit, service: string, asked: string | undefined): Promise<Html> {
  const window: Window = asked === '1h' || asked === '24h' ? asked : '15m';
  const { hours, what } = WINDOWS[window];
  const marks = await marksOf(visit, service, hours === 0 ? 0.25 : hours);
  const shown = CHARTS.filter(([, , , where]) => hours === 0 || where !== 'live');
  return html`<section
    class="panel charts"
    aria-labelledby="charts"
    data-service="${service}"
    data-hours="${hours}"
    data-marks="${JSON.stringify(marks.map(({ at, ink }) => ({ at, ink })))}"
  >
    <h2 id="charts">
      Charts <span class="of">${what}; times in <span data-zone>${visit.zone ?? 'UTC'}</span></span>
      <span class="of" role="status" data-stream></span>
    </h2>
    <nav class="tabs" aria-label="Window">
      ${Object.entries(WINDOWS).map(
        ([name, { name: label }]) =>
          html`<a
            href="/services/${service}?window=${name}#charts"
            ${name === window && html`aria-current="page"`}
            >${label}</a
          >`,
      )}
    </nav>
    <div class="chart-grid">
      ${shown.map(
        ([name, title, meaning]) =>
          html`<figure data-chart="${name}">
            <figcaption><strong>${title}</strong> <span class="note">${meaning}</span></figcaption>
            <div class="plot"></div>
          </figure>`,
      )}
    </div>
    ${hours > 0 && html`<p class="help">Delivery lag and the latency of each backend are kept for 15 minutes only.</p>`}
    <noscript><p class="help">The charts need JavaScript. The figures on this page do not.</p></noscript>
    ${marks.length > 0 && markList(marks)}
  </section>`;
}

interface Mark {
  readonly at: string;
  readonly ink: 'bad' | 'warn' | 'good';
  readonly what: string;
}

const AUDIT_READ = '200';

/** Changes in the audit. Where Unleash keeps the flags, the audit does not hold their changes. */
async function marksOf({ api }: Visit, service: string, hours: number): Promise<readonly Mark[]> {
  try {
    const { entries } = await api.ask(ENDPOINTS.listAudit, { query: { service, limit: AUDIT_READ } });
    const from = Date.now() - hours * 3_600_000;
    return entries.filter(({ at }) => Date.parse(at) >= from).flatMap(markOf);
  } catch (error) {
    if (error instanceof ApiRefusal) return [];
    throw error;
  }
}

function markOf({ at, command, person, reason, details }: AuditEntry): Mark[] {
  const { flag, from, to } = details as Readonly<Record<string, string | number | undefined>>;
  if (command === 'guard trip') return [{ at, ink: 'bad', what: `the guard tripped: ${reason}` }];
  if (command === 'guard release')
    return [{ at, ink: 'good', what: `${person} released the latch: ${reason}` }];
  if (command !== 'flags set') return [];
  return [
    {
      at,
      ink: 'warn',
      what: `${person} set ${String(flag)} from ${percent(Number(from))} to ${percent(Number(to))}: ${reason}`,
    },
  ];
}

const SIGNS: Readonly<Record<Mark['ink'], string>> = { bad: '▲', warn: '◆', good: '●' };

function markList(marks: readonly Mark[]): Html {
  return html`<details class="fold" ${marks.length <= 5 && html`open`}>
    <summary>Marks in the charts (${count(marks.length)})</summary>
    <ul class="plain marks">
      ${marks.map(
        ({ at, ink, what }) =>
          html`<li><span class="state ${ink}">${SIGNS[ink]}</span> ${when(at)} ${what}</li>`,
      )}
    </ul>
  </details>`;
}
