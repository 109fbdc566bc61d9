import type { Status } from '../../api/status.ts';
import { flagName, type ServiceFlag } from '../../../domain/flags.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { ShownFlags } from '../../api/flags.ts';
import { journalFacts, waitingForPerson } from '../../views/status.ts';
import { consistencyOf, consistencyReading, type Windows } from '../consistency.ts';
import { spoken } from '../../views/figures.ts';
import { html, type Html } from '../../views/html.ts';
import { count, ladder, milliseconds, percent } from '../figures.ts';
import type { Visit } from '../visit.ts';
import { troubleOf } from '../../views/incidents.ts';
import { fader } from './fader.ts';
import { killSwitch } from './flags.ts';
import { lamp } from './latch.ts';
import { emptyState, type Page } from './layout.ts';
import { capital, factHtml } from './table-panel.ts';

type ServiceStatus = Status['services'][number];

/** The overview: one strip per service, like a mixing desk. */
export async function overviewPage(visit: Visit): Promise<Page> {
  const flags = await visit.api.ask(ENDPOINTS.listFlags, {});
  const status = visit.status ?? (await visit.api.ask(ENDPOINTS.showStatus, {}));
  const consistency = await consistencyOf(visit);
  return {
    title: 'Desk',
    lead: 'One strip per service. Handle = requested, bar = active.',
    body: html`${killSwitch(flags, status)}
      <div class="desk">
        ${status.services.map((service) =>
          strip(service, {
            flags,
            compared: consistency?.services[service.service],
            isKilled: status.proxy.flags.kill_switch,
          }),
        )}
      </div>
      ${status.services.length === 0 && emptyState('No service', 'The configuration defines no service.')}
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

interface StripFacts {
  readonly flags: ShownFlags;
  readonly compared: Windows | undefined;
  readonly isKilled: boolean;
}

function strip(service: ServiceStatus, { flags, compared, isKilled }: StripFacts): Html {
  const { service: name } = service;
  return html`<article class="strip" aria-labelledby="strip-${name}">
    <header>
      <h2 id="strip-${name}"><a href="/services/${name}">${name}</a></h2>
      <div data-live="latch-${name}">${lampLink(service, compared, isKilled)}</div>
    </header>
    <div data-live="stage-${name}">${ladder(service)}</div>
    <dl class="inputs" data-live="inputs-${name}">
      ${input(service, 'dual-write', 'Dual writes')}${input(service, 'shadow-read', 'Shadow reads')}
      <div>
        <dt>Writes</dt>
        <dd>${writesAt(service)}</dd>
      </div>
    </dl>
    <div class="faders">
      ${fader({
        id: `reads-${name}`,
        name: 'Reads',
        flag: flagName(name, 'read-cutover'),
        status: service.flags['read-cutover'],
        ...fixedBy(flags),
      })}
      ${fader({ id: `writes-${name}`, name: 'Writes', flag: flagName(name, 'write-cutover'), status: service.flags['write-cutover'], lanes: service.flips?.lanes, ...fixedBy(flags) })}
    </div>
    <dl class="readings" data-live="readings-${name}">${readings(service, compared)}</dl>
  </article>`;
}

function fixedBy({ editable }: ShownFlags): { fixed?: string } {
  return editable ? {} : { fixed: 'Change it in Unleash.' };
}

function writesAt(service: ServiceStatus): string {
  const { in_effect: active } = service.flags['write-cutover'];
  return active === 0 ? 'legacy first' : `${percent(active)} orchestrator first`;
}

function lampLink(service: ServiceStatus, compared: Windows | undefined, isKilled: boolean): Html {
  const heldBy = isKilled ? 'kill_switch' : (service.guard?.held_by ?? null);
  const trouble = troubleOf(service, compared?.last_hour.differ);
  const shown = lamp({ held_by: heldBy }, trouble);
  return heldBy === null && trouble === undefined
    ? shown
    : html`<a class="lamp-link" href="/services/${service.service}">${shown}</a>`;
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
          >◆ requested ${isSwitch ? (asked > 0 ? 'on' : 'off') : percent(asked)}</span
        >`
      }
    </dd>
  </div>`;
}

function readings(service: ServiceStatus, compared: Windows | undefined): Html {
  const { latency_ms: latency, added_ms: added } = service;
  const recent = service.guard?.added;
  return html`${consistencyReading(service.service, compared)} ${journalFacts(service).map(factHtml)}
    <div>
      <dt>Latency p95, this process</dt>
      <dd>
        ${milliseconds(latency.legacy.p95)} <span class="note">legacy</span
        ><br />${milliseconds(latency.orchestrator.p95)} <span class="note">orchestrator</span>
      </dd>
    </div>
    <div>
      <dt>Added p95, ${recent === undefined ? 'this process' : `last ${recent.minutes} minutes`}</dt>
      <dd>${milliseconds(recent === undefined ? added.p95 : recent.p95_ms)}</dd>
    </div>
    ${waiting(service)}`;
}

/** What waits for a person, and what the guard alerts about or blocks increases for. */
function waiting(service: ServiceStatus): Html {
  const open = waitingForPerson(service).filter((one) => (one.open ?? 0) > 0);
  return html`${open.map(
    ({ what, open: there, page }) =>
      html`<div>
        <dt>${capital(what)}</dt>
        <dd><a class="state warn" href="${page}?service=${service.service}">◆ ${count(there)} open</a></dd>
      </div>`,
  )}${found(service)}`;
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
