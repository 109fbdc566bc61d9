import { count, percent, when } from '../figures.ts';
import { html, type Html } from '../html.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Visit } from '../visit.ts';
import type { AuditEntry } from './audit.ts';

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
export async function chartsPanel(visit: Visit, service: string, asked: string | undefined): Promise<Html> {
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

const AUDIT_READ = 200;

/** Changes in the audit. Where Unleash keeps the flags, the audit does not hold their changes. */
async function marksOf({ api }: Visit, service: string, hours: number): Promise<readonly Mark[]> {
  try {
    const { entries } = await api.get<{ entries: readonly AuditEntry[] }>(
      `/v1/audit?service=${encodeURIComponent(service)}&limit=${AUDIT_READ}`,
    );
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
