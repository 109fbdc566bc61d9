import { flagName, SERVICE_FLAGS, type ServiceFlag } from '../../../domain/flags.ts';
import { stageOf } from '../../../domain/stage.ts';
import { flagReason } from '../../flag-reasons.ts';
import type { FlagStatus } from '../../flags-in-effect.ts';
import type { ShownFlag, ShownFlags } from '../../routes/flag-routes.ts';
import type { Status } from '../../status.ts';
import { percent, spoken } from '../figures.ts';
import { html, type Html, type Shown } from '../html.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { changeForm } from './change-form.ts';
import { faderState } from './fader.ts';
import type { Page } from './layout.ts';
import { raisePanels } from './raise.ts';
import { table, text, unseen } from './table-panel.ts';

type ServiceStatus = Status['services'][number];

/** The purpose of each flag. */
const MEANINGS: Readonly<Record<ShownFlag['flag'], string>> = {
  'dual-write': 'Writes are journaled, sent to legacy, and then delivered to the orchestrator.',
  'shadow-read': 'Share of the reads that are sent to both backends and compared.',
  'read-cutover': 'Share of the lanes whose reads the orchestrator answers.',
  'write-cutover': 'Share of the lanes whose writes go to the orchestrator first.',
  'legacy-read-only': 'Legacy takes no more writes.',
  'kill-switch': 'While it is on, legacy answers every read of every service. Dual writes continue.',
};

/** All flags, requested and active. */
export async function flagsPage(visit: Visit): Promise<Page> {
  const flags = await visit.api.get<ShownFlags>('/v1/flags');
  const services = visit.status?.services.map((service) => serviceTable(service, flags.editable));
  return {
    title: 'Flags',
    lead: whereFrom(flags),
    body: html`${killSwitch(flags)} ${services ?? requestedOnly(flags)}`,
  };
}

/** Shown while the journal does not answer. What is active is unknown then, but flags can still be changed. */
function requestedOnly({ flags, editable }: ShownFlags): Html {
  return html`<section class="panel" aria-labelledby="requested">
    <h2 id="requested">Requested</h2>
    <p class="notice warn">◆ The journal does not answer, so the active shares are unknown.</p>
    ${table('requested', {
      heads: ['Flag', 'Requested', ...(editable ? [unseen('Change')] : [])],
      rows: flags
        .filter(({ flag }) => flag !== 'kill-switch')
        .map(({ name, asked }) => [
          html`<code>${name}</code>`,
          percent(asked),
          ...(editable
            ? [html`<a href="/flags/${name}">Change<span class="unseen"> ${name}</span></a>`]
            : []),
        ]),
    })}
  </section>`;
}

function whereFrom({ source, editable, server }: ShownFlags): Html {
  if (server !== null)
    return html`Unleash keeps the flags: <a href="${server}" rel="noreferrer">${server}</a>. Change them
      there.`;
  return html`From ${source}.
  ${editable && 'A change is written to the file and takes effect within a second.'}`;
}

/** The switch that an operator may need at once. */
export function killSwitch({ flags, editable, server }: ShownFlags): Html | false {
  const found = flags.find(({ flag }) => flag === 'kill-switch');
  if (found === undefined) return false;
  const { name, asked } = found;
  const isOn = asked > 0;
  return html`<section class="panel kill ${isOn && 'on'}" aria-labelledby="kill">
    <h2 id="kill">Kill switch</h2>
    <p data-live="kill">
      <strong class="state ${isOn ? 'bad' : 'good'}">${isOn ? '▲ on' : '● off'}</strong>
      ${MEANINGS['kill-switch']}
    </p>
    ${editable && html`<a class="button ${isOn ? '' : 'grave'}" href="/flags/${name}?share=${isOn ? 0 : 100}">${isOn ? 'Switch off…' : 'Switch on…'}</a>`}
    ${server !== null && html`<a class="button" href="${server}" rel="noreferrer">Switch it in Unleash</a>`}
  </section>`;
}

function serviceTable(service: ServiceStatus, editable: boolean): Html {
  return html`<section class="panel flags-of" aria-labelledby="flags-${service.service}">
    <h2 id="flags-${service.service}">
      <a href="/services/${service.service}">${service.service}</a>
      <span class="of">${spoken(service.stage)}</span>
    </h2>
    <div data-live="flags-${service.service}">
      ${table(`flags-${service.service}`, {
        heads: ['Flag', 'Requested', 'Active', text('Why'), ...(editable ? [unseen('Change')] : [])],
        rows: SERVICE_FLAGS.map((flag) => flagRow(service, flag, editable)),
      })}
    </div>
  </section>`;
}

function flagRow({ service, flags }: ServiceStatus, flag: ServiceFlag, editable: boolean): readonly Shown[] {
  const status = flags[flag];
  const state = faderState(status);
  const isFixed = status.reason === 'not_available';
  const change = html`<a href="/flags/${flagName(service, flag)}"
    >Change<span class="unseen"> ${flag} of ${service}</span></a
  >`;
  return [
    html`<code>${flag}</code>`,
    percent(status.asked),
    percent(status.in_effect),
    html`<span class="state ${state === 'as_asked' ? '' : state === 'held' ? 'warn' : 'bad'}"
        >${flagReason(status)}</span
      >${interlocks(status)}`,
    ...(editable ? [!isFixed && change] : []),
  ];
}

function interlocks({ interlocks: reasons = [] }: FlagStatus): Html | false {
  return reasons.length > 0 && html`<span class="note">${reasons.map(({ says }) => says).join('; ')}</span>`;
}

/** One flag and its change: its value now, the value after the change, and the reason. */
export async function flagPage(visit: Visit, { params, query }: Asked<{ flag: string }>): Promise<Page> {
  const flags = await visit.api.get<ShownFlags>('/v1/flags');
  const flag = flags.flags.find(({ name }) => name === params.flag);
  if (flag === undefined) throw new ApiRefusal(404, 'flag_not_found', `There is no flag “${params.flag}”.`);
  const service = visit.status?.services.find((one) => one.service === flag.service);
  const share = shareOf(query['share'], flag);
  return {
    title:
      flag.flag === 'kill-switch' ? 'Kill switch' : `${capital(spoken(flag.flag))} of ${flag.service ?? ''}`,
    lead: MEANINGS[flag.flag],
    body: html`<div class="columns">
        <section class="panel" aria-labelledby="now">
          <h2 id="now">Now</h2>
          ${standing(flag, service)}
        </section>
        <section class="panel" aria-labelledby="change">
          <h2 id="change">Change</h2>
          ${changeOf(visit, { flag, flags, service, share })}
        </section>
      </div>
      ${await raisePanels(visit, flag, share)}`,
  };
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function standing(flag: ShownFlag, service: ServiceStatus | undefined): Html {
  const status = flag.flag === 'kill-switch' ? undefined : service?.flags[flag.flag];
  if (status === undefined && flag.flag !== 'kill-switch')
    return html`<p>
      ${percent(flag.asked)} is requested. The journal does not answer, so the active share is unknown.
    </p>`;
  if (status === undefined)
    return html`<p>
      <strong class="state ${flag.asked > 0 ? 'bad' : 'good'}">${flag.asked > 0 ? '▲ on' : '● off'}</strong>
    </p>`;
  return html`<dl class="figures">
      <div>
        <dt>requested</dt>
        <dd>${percent(status.asked)}</dd>
      </div>
      <div>
        <dt>active</dt>
        <dd>${percent(status.in_effect)}</dd>
      </div>
      <div>
        <dt>why</dt>
        <dd>${flagReason(status)}</dd>
      </div>
    </dl>
    ${
      status.reason === 'not_available' &&
      html`<p class="help">In this version all writes stay on legacy, so a requested share has no effect.</p>`
    }`;
}

/** The share in the query, or else the requested share. @throws ApiRefusal if it is not a share */
function shareOf(given: string | undefined, flag: ShownFlag): number {
  if (given === undefined || given === '')
    return flag.kind === 'share' ? Math.round(flag.asked) : flag.asked > 0 ? 0 : 100;
  const share = Number(given);
  const isShare = /^\d{1,3}$/.test(given) && share <= 100 && (flag.kind === 'share' || share % 100 === 0);
  if (isShare) return share;
  const allowed = flag.kind === 'share' ? 'a whole number from 0 to 100' : '0 or 100';
  throw new ApiRefusal(
    400,
    'invalid_request',
    `“${given}” is not a share of ${flag.name}: it must be ${allowed}.`,
  );
}

interface Wanted {
  readonly flag: ShownFlag;
  readonly flags: ShownFlags;
  readonly service: ServiceStatus | undefined;
  readonly share: number;
}

function changeOf(visit: Visit, { flag, flags, service, share }: Wanted): Html {
  if (!flags.editable)
    return html`<p>
      Unleash keeps this flag.
      <a class="button" href="${flags.server ?? ''}" rel="noreferrer">Open Unleash</a>
    </p>`;
  const isRaised = share > flag.asked;
  return html`${preview({ flag, flags, service, share })}
  ${changeForm(visit, {
    action: `/flags/${flag.name}`,
    label: labelOf(flag, share),
    role: 'operator',
    fields: { was: flag.asked, ...(flag.kind === 'switch' && { share }) },
    back: flag.service === null ? '/flags' : '/',
    isGrave: flag.flag === 'kill-switch' && isRaised,
    controls: flag.kind === 'share' && shareField(flag, share),
  })}`;
}

function labelOf(flag: ShownFlag, share: number): string {
  if (flag.kind === 'share') return 'Set';
  return share > 0 ? 'Switch on' : 'Switch off';
}

function shareField(flag: ShownFlag, share: number): Html {
  return html`<div class="field">
    <label for="share">Requested share, percent</label>
    <input
      id="share"
      name="share"
      type="number"
      min="0"
      max="100"
      step="1"
      required
      value="${share}"
      inputmode="numeric"
      data-was="${flag.asked}"
    />
  </div>`;
}

/** The effect of the change on the stage. */
function preview({ flag, service, share }: Wanted): Html | false {
  if (service === undefined || flag.flag === 'kill-switch') return false;
  const asked = Object.fromEntries(SERVICE_FLAGS.map((each) => [each, service.flags[each].asked])) as Record<
    ServiceFlag,
    number
  >;
  const after = stageOf({ ...asked, [flag.flag]: share });
  const said = after === service.requested_stage ? 'stays' : 'becomes';
  return html`<p class="preview">
    <span class="from">${percent(flag.asked)}</span> <span aria-hidden="true">→</span
    ><span class="unseen"> to </span> <strong>${percent(share)}</strong
    ><span class="note">the requested stage ${said} ${spoken(after)}</span>
  </p>`;
}
