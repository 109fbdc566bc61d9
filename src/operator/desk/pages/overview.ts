import { flagName, type ServiceFlag } from '../../../domain/flags.ts';
import type { ShownFlags } from '../../routes/flag-routes.ts';
import type { Status } from '../../status.ts';
import { age, consistency, count, counted, milliseconds, percent, spoken } from '../figures.ts';
import { html, type Html } from '../html.ts';
import type { Visit } from '../visit.ts';
import { fader } from './fader.ts';
import { emptyState, type Page } from './layout.ts';
import { ladder } from './stage.ts';

type ServiceStatus = Status['services'][number];

/** The mixing desk: a strip for each service. */
export async function overviewPage(visit: Visit): Promise<Page> {
  const flags = await visit.api.get<ShownFlags>('/v1/flags');
  const status = visit.status ?? (await visit.api.get<Status>('/v1/status'));
  const isKilled = flags.flags.some(({ flag, asked }) => flag === 'kill-switch' && asked > 0);
  return {
    title: 'Desk',
    lead: 'One strip a service. The cap is what its flag asks for, the lit column what is in effect.',
    body: html`${isKilled && killBar()}${freshness(status)}${spilling(status)}
      <div class="desk">${status.services.map((service) => strip(service, flags))}</div>
      ${status.services.length === 0 && emptyState('No service', 'The configuration names none.')}
      <section class="panel backlog" aria-labelledby="backlog">
        <h2 id="backlog">Waiting in this process</h2>
        <dl class="figures" data-live="backlog">
          ${Object.entries(status.backlog).map(
            ([what, waiting]) =>
              html`<div>
                <dt>${spoken(what)}</dt>
                <dd>${count(waiting)}</dd>
              </div>`,
          )}
          <div>
            <dt>memory</dt>
            <dd>${count(status.proxy.memory_rss_mb)}<span class="unit"> MiB</span></dd>
          </div>
        </dl>
      </section>`,
  };
}

function killBar(): Html {
  return html`<p class="notice bad" role="alert">
    <strong>▲ The kill switch is on.</strong> Legacy answers every read of every service.
    <a href="/flags">Flags</a>
  </p>`;
}

function freshness({ proxy: { flags } }: Status): Html | false {
  if (flags.fresh) return false;
  return html`<p class="notice warn" role="status">
    <strong>◆ The flags cannot be read.</strong> What was last known stays in effect. ${flags.last_error}
  </p>`;
}

function spilling({ spill }: Status): Html | false {
  if (spill?.spilling !== true) return false;
  return html`<p class="notice warn" role="status">
    <strong>◆ The journal is away.</strong> ${counted(spill.writes, 'write')} noted down on disk, to be
    replayed. Reads come from legacy.
  </p>`;
}

function strip(service: ServiceStatus, flags: ShownFlags): Html {
  const { service: name, stage } = service;
  return html`<article class="strip" aria-labelledby="strip-${name}">
    <header>
      <h2 id="strip-${name}"><a href="/services/${name}">${name}</a></h2>
      <div data-live="latch-${name}">${latch(service)}</div>
    </header>
    <div data-live="stage-${name}">${ladder(stage)}</div>
    <dl class="inputs" data-live="inputs-${name}">
      ${input(service, 'dual-write', 'Dual writes')}${input(service, 'shadow-read', 'Shadow reads')}
    </dl>
    <div class="faders">
      ${fader({
        id: `reads-${name}`,
        name: 'Reads',
        flag: flagName(name, 'read-cutover'),
        status: service.flags['read-cutover'],
        ...fixedBy(flags),
      })}
      ${fader({
        id: `writes-${name}`,
        name: 'Writes',
        flag: flagName(name, 'write-cutover'),
        status: service.flags['write-cutover'],
        fixed: 'Writes stay on legacy in this version.',
      })}
    </div>
    <dl class="readings" data-live="readings-${name}">${readings(service)}</dl>
  </article>`;
}

function fixedBy({ editable }: ShownFlags): { fixed?: string } {
  return editable ? {} : { fixed: 'Moved in Unleash.' };
}

function latch({ guard }: ServiceStatus): Html {
  const heldBy = guard?.held_by ?? null;
  if (heldBy === null) return html`<p class="lamp good"><span aria-hidden="true">●</span> free</p>`;
  return html`<p class="lamp bad">
    <a href="/guard"><span aria-hidden="true">▲</span> latched: ${spoken(heldBy)}</a>
  </p>`;
}

function input({ service, flags }: ServiceStatus, flag: ServiceFlag, label: string): Html {
  const { asked, in_effect: inEffect } = flags[flag];
  const isSwitch = flag === 'dual-write';
  const said = isSwitch ? (inEffect > 0 ? 'on' : 'off') : percent(inEffect);
  const differs = asked !== inEffect && !(isSwitch && asked > 0 === inEffect > 0);
  return html`<div>
    <dt>${label}</dt>
    <dd>
      <a href="/flags/${flagName(service, flag)}">${said}</a>${
        differs &&
        html` <span class="state warn"
          >◆ asked ${isSwitch ? (asked > 0 ? 'on' : 'off') : percent(asked)}</span
        >`
      }
    </dd>
  </div>`;
}

function readings(service: ServiceStatus): Html {
  const { comparisons, lanes, latency_ms: latency, added_ms: added } = service;
  const judged = comparisons.match + comparisons.mismatch;
  return html`<div class="main-reading">
      <dt>Consistency</dt>
      <dd>
        <strong class="${comparisons.mismatch > 0 && 'warn'}"
          >${consistency(comparisons.mismatch, judged)}</strong
        ><span class="note"
          >${
            judged === 0
              ? 'nothing compared yet'
              : html`${count(judged)} compared,
                  <a href="/services/${service.service}/differences"
                    >${count(comparisons.mismatch)} differ</a
                  >`
          }</span
        >
      </dd>
    </div>
    <div>
      <dt>Deliveries waiting</dt>
      <dd>${count(service.pending)}</dd>
    </div>
    <div>
      <dt>Replication lag</dt>
      <dd>${lagReading(service)}</dd>
    </div>
    <div>
      <dt>Lanes</dt>
      <dd>
        ${lanes === null ? 'not known' : html`${count(lanes.total)}<span class="note">${laneNote(lanes)}</span>`}
      </dd>
    </div>
    <div>
      <dt>Latency p95</dt>
      <dd>
        ${milliseconds(latency.legacy.p95)} <span class="note">legacy</span
        ><br />${milliseconds(latency.orchestrator.p95)} <span class="note">orchestrator</span>
      </dd>
    </div>
    <div>
      <dt>Added p95</dt>
      <dd>${milliseconds(added.p95)}</dd>
    </div>
    ${waiting(service)}`;
}

function lagReading({ lag }: ServiceStatus): Html {
  if (lag === null) return html`not known`;
  if (lag.oldest_seconds === null) return html`none`;
  return html`${age(lag.oldest_seconds)}<span class="note">${counted(lag.writes, 'write')} behind</span>`;
}

function laneNote(lanes: NonNullable<ServiceStatus['lanes']>): string {
  const { seeded, dirty, copying, stopped, excepted } = lanes;
  const unwell = Object.entries({ dirty, copying, stopped, excepted }).filter(
    ([, lanesThere]) => lanesThere > 0,
  );
  return [
    `${count(seeded)} seeded`,
    ...unwell.map(([what, lanesThere]) => `${count(lanesThere)} ${what}`),
  ].join(', ');
}

/** What a person must decide, and what the guard holds the ramp or alerts for. */
function waiting(service: ServiceStatus): Html {
  const { service: name, dead_letters: letters, unknown_outcomes: unknown, lost_items: lost } = service;
  const row = (path: string, what: string, open: number | null): Html | false =>
    open !== null &&
    open > 0 &&
    html`<div>
      <dt>${what}</dt>
      <dd><a class="state warn" href="${path}?service=${name}">◆ ${count(open)} open</a></dd>
    </div>`;
  return html`${row('/dead-letters', 'Dead letters', letters)}${row('/unknown-outcomes', 'Unknown outcomes', unknown.open)}${row('/lost', 'Lost items', lost)}${found(service)}`;
}

function found({ guard }: ServiceStatus): Html | false {
  const triggers = [...new Set((guard?.findings ?? []).map(({ trigger }) => spoken(trigger)))];
  return (
    triggers.length > 0 &&
    html`<div>
      <dt>Found now</dt>
      <dd><a class="state warn" href="/guard">◆ ${triggers.join(', ')}</a></dd>
    </div>`
  );
}
