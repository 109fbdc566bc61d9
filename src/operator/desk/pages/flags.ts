import type { Criterion, RaiseCheck } from '../../api/history.ts';
import type { Status } from '../../api/status.ts';
import { flagName, SERVICE_FLAGS, type ServiceFlag } from '../../../domain/flags.ts';
import { stageOf } from '../../../domain/stage.ts';
import { flagReason } from '../../views/flags.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import type { ShownFlag, ShownFlags } from '../../api/flags.ts';
import { counted, spoken, printedFigure } from '../../views/figures.ts';
import { activeFlagsTable, blockedFlags, requestedTable, sourceCell } from '../../views/flags.ts';
import { html, type Html, type Shown } from '../../views/html.ts';
import { count, percent } from '../figures.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { notMovedWords } from '../../words.ts';
import { flippedOf } from '../../views/incidents.ts';
import { CRITERION_WORDS, type CriterionName } from '../../report/criterion-words.ts';
import { changeForm, foldedChange } from './change-form.ts';
import type { Page } from './layout.ts';
import { blocksHtml, shown, tablePanel, text, viewTable } from './table-panel.ts';
import { flipPanels } from './flips.ts';

type ServiceStatus = Status['services'][number];

/** The purpose of each flag. */
const MEANINGS: Readonly<Record<ShownFlag['flag'], string>> = {
  'dual-write': 'Writes are journaled, sent to legacy, and then delivered to the orchestrator.',
  'shadow-read': 'Share of the reads that are sent to both backends and compared.',
  'read-cutover': 'Share of the lanes whose reads the orchestrator answers.',
  'write-cutover': 'Share of the lanes whose writes go to the orchestrator first.',
  'legacy-read-only': 'Legacy takes no more writes.',
  'kill-switch':
    'While it is on, legacy answers the reads of all lanes that are not flipped. Dual writes continue.',
};

/** All flags, requested and active. */
export async function flagsPage(visit: Visit): Promise<Page> {
  const flags = await visit.api.ask(ENDPOINTS.listFlags, {});
  const services = visit.status?.services.map((service) => serviceTable(service, flags.editable));
  return {
    title: 'Flags',
    lead: shown(sourceCell(flags)),
    body: html`${killSwitch(flags, visit.status)} ${services ?? requestedOnly(flags)}`,
  };
}

/** Shown while the journal does not answer. What is active is unknown then, but flags can still be changed. */
function requestedOnly({ flags, editable }: ShownFlags): Html {
  const ofServices = flags.filter(({ flag }) => flag !== 'kill-switch');
  return html`<section class="panel" aria-labelledby="requested">
    <h2 id="requested">Requested</h2>
    <p class="notice warn">◆ The journal does not answer, so the active shares are unknown.</p>
    ${viewTable('requested', requestedTable(ofServices), editable ? changeColumn(ofServices) : undefined)}
  </section>`;
}

/** The switch that an operator may need at once. */
export function killSwitch(
  { flags, editable, server }: ShownFlags,
  status: Pick<Status, 'services'> | undefined,
): Html | false {
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
    ${notMoved(status)}
    ${editable && html`<a class="button ${isOn ? '' : 'grave'}" href="/flags/${name}?share=${isOn ? 0 : 100}">${isOn ? 'Switch off…' : 'Switch on…'}</a>`}
    ${server !== null && html`<a class="button" href="${server}" rel="noreferrer">Switch it in Unleash</a>`}
  </section>`;
}

function serviceTable(service: ServiceStatus, editable: boolean): Html {
  const { service: name, flags } = service;
  const changed = SERVICE_FLAGS.map((flag) => ({ name: flagName(name, flag) }));
  return html`<section class="panel flags-of" aria-labelledby="flags-${name}">
    <h2 id="flags-${name}">
      <a href="/services/${name}">${name}</a>
      <span class="of">${spoken(service.stage)}</span>
    </h2>
    <div data-live="flags-${name}">
      ${viewTable(`flags-${name}`, activeFlagsTable({ flags }), editable ? changeColumn(changed) : undefined)}
      ${blocksHtml(`flags-${name}`, blockedFlags({ flags }))}
    </div>
  </section>`;
}

/** A link for each flag to its change. */
function changeColumn(flags: readonly Pick<ShownFlag, 'name'>[]): Parameters<typeof viewTable>[2] {
  return {
    name: 'Change',
    cells: flags.map(
      ({ name }) => html`<a href="/flags/${name}">Change<span class="unseen"> ${name}</span></a>`,
    ),
  };
}

/** One flag and its change: its value now, the value after the change, and the reason. */
export async function flagPage(visit: Visit, { params, query }: Asked<{ flag: string }>): Promise<Page> {
  const flags = await visit.api.ask(ENDPOINTS.listFlags, {});
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
      ${flag.flag === 'kill-switch' && notMoved(visit.status)} ${await raisePanels(visit, flag, share)}`,
  };
}

/** The lanes that the kill switch leaves on the orchestrator. */
function notMoved(status: Pick<Status, 'services'> | undefined): Html | false {
  const words = notMovedWords(flippedOf(status));
  return words !== undefined && html`<p class="note">${words}.</p>`;
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
  </dl>`;
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

/** What each mode does with a criterion that fails. */
const MODES: Readonly<Record<RaiseCheck['mode'], string>> = {
  enforce: 'A raised share becomes active when every criterion passes. Until then it does not change.',
  warn: 'This service only warns (interlocks: warn). A raised share becomes active even if a criterion fails.',
  off: 'The interlocks of this service are off. A raised share becomes active even if criteria fail.',
};

/** Before an increase: each criterion with its present and its required value, and what the change affects. */
export async function raisePanels(visit: Visit, flag: ShownFlag, share: number): Promise<Html | false> {
  if (flag.service === null || flag.flag === 'kill-switch') return false;
  const check = await checkOf(visit, { service: flag.service, flag: flag.flag });
  if (typeof check === 'string') return html`<p class="notice warn">◆ The criteria are unknown: ${check}</p>`;
  const panels = html`${affected(flag, share, check)}${criteriaPanel(check)}${acceptances(visit, check)}`;
  return flag.flag === 'write-cutover' ? html`${await flipPanels(visit, flag.service)}${panels}` : panels;
}

/** The reason, if the criteria are unknown. */
async function checkOf(
  { api }: Visit,
  params: { readonly service: string; readonly flag: string },
): Promise<RaiseCheck | string> {
  try {
    return await api.ask(ENDPOINTS.checkRaise, { params });
  } catch (error) {
    if (error instanceof ApiRefusal) return error.message;
    throw error;
  }
}

/** Shares are of lanes or of reads. The same lanes always move first. */
function affected({ flag, asked }: ShownFlag, share: number, check: RaiseCheck): Html | false {
  if (flag === 'dual-write') return false;
  const part = Math.abs(share - asked) / 100;
  const reads = Math.round(check.reads_last_hour * part);
  const moved = movedWords(flag, {
    isRaised: share >= asked,
    reads,
    lanes: Math.round(check.lanes * part),
    check,
  });
  return html`<section class="panel" aria-labelledby="affected">
    <h2 id="affected">What the change affects</h2>
    <p>
      ${
        share === asked
          ? html`Nothing: ${percent(asked)} is requested already. All of it is ${counted(check.lanes, 'lane')}
            and ${counted(check.reads_last_hour, 'read')} an hour.`
          : html`From ${percent(asked)} to ${percent(share)}: ${moved}.`
      }
      <span class="note">Reads are those of the last hour, of all replicas.</span>
    </p>
  </section>`;
}

interface Moved {
  readonly isRaised: boolean;
  readonly lanes: number;
  readonly reads: number;
  readonly check: RaiseCheck;
}

function movedWords(flag: ShownFlag['flag'], { isRaised, lanes, reads, check }: Moved): Html {
  if (flag === 'shadow-read')
    return html`${counted(reads, 'read')} per hour ${isRaised ? 'more' : 'fewer'} are sent to both backends`;
  const many = html`about ${counted(lanes, 'lane')} of ${count(check.lanes)}`;
  if (flag === 'write-cutover')
    return isRaised
      ? html`the writes of ${many} move to the orchestrator`
      : html`no further lane is flipped. Lanes that have moved stay;
          <a href="/rollbacks">the way back</a> returns them`;
  return html`${many} and ${counted(reads, 'read')} an hour move to
  ${isRaised ? 'the orchestrator' : 'legacy'}`;
}

function criteriaPanel(check: RaiseCheck): Html {
  const failed = check.criteria.filter(({ verdict }) => verdict === 'fail').length;
  return tablePanel({
    id: 'criteria',
    title: html`Criteria for an increase
      <span class="of"
        >${failed === 0 ? 'all pass' : `${count(failed)} of ${count(check.criteria.length)} fail`}</span
      >`,
    note: MODES[check.mode],
    heads: ['Criterion', 'Have', 'Need', text('Verdict')],
    rows: check.criteria.map((criterion) => row(check.service, criterion)),
  });
}

const VERDICTS: Readonly<Record<Criterion['verdict'], Html>> = {
  pass: html`<span class="state good"><span aria-hidden="true">●</span> pass</span>`,
  fail: html`<span class="state bad"><span aria-hidden="true">▲</span> fail</span>`,
  not_judged: html`<span class="state">not judged yet</span>`,
};

function row(service: string, { name, action, have, limit, verdict, note }: Criterion): readonly Shown[] {
  const { title, unit, sign } = CRITERION_WORDS[name];
  const need = printedFigure({ value: limit, unit });
  const place = verdict === 'fail' ? PLACES[name]?.(service) : undefined;
  return [
    html`${title}${action !== null && html`<span class="note"><code>${action}</code></span>`}`,
    name === 'reconciliation_too_old' && have === null ? 'never' : printedFigure({ value: have, unit }),
    unit === 'yes_no' ? 'yes' : `${sign} ${need}`,
    html`${VERDICTS[verdict]}${note !== null && html`<span class="note">${note}</span>`}${
      place !== undefined && html`<span class="note"><a href="${place[0]}">${place[1]}</a></span>`
    }`,
  ];
}

type Place = (service: string) => readonly [path: string, label: string];

const runs: Place = () => ['/runs', 'Begin a run'];
const service: Place = (name) => [`/services/${name}`, 'See the service'];
const guard: Place = (name) => [`/guard#g-${name}`, 'See the guard'];
const differences: Place = (name) => [`/services/${name}/differences`, 'See the differences'];

/** Where on the desk an operator can act on a criterion. */
const PLACES: Partial<Record<CriterionName, Place>> = {
  not_covered: (name) => [`/flags/crossfade.${name}.dual-write`, 'See dual-write'],
  backfill_not_finished: runs,
  reconciliation_too_old: runs,
  too_many_unwell_lanes: (name) => [`/lanes?service=${name}&unwell=true`, 'See these lanes'],
  deliveries_behind: service,
  too_slow: service,
  latched: (name) => [`/guard?release=${name}#g-${name}`, 'See the latch'],
  kill_switch: () => ['/flags/crossfade.kill-switch?share=0', 'Switch it off'],
  ramp_held: guard,
  mismatch_rate_not_proven: differences,
};

const OF_EVIDENCE: ReadonlySet<CriterionName> = new Set([
  'too_few_comparisons',
  'too_few_without_error',
  'mismatch_rate_not_proven',
]);

/** A person may accept an action in place of evidence. */
function acceptances(visit: Visit, { service: name, criteria }: RaiseCheck): Html | false {
  const actions = new Set(
    criteria.flatMap(({ action, verdict, name: word }) =>
      action !== null && verdict === 'fail' && OF_EVIDENCE.has(word) ? [action] : [],
    ),
  );
  if (actions.size === 0) return false;
  return html`<section class="panel" aria-labelledby="override">
    <h2 id="override">Override missing evidence</h2>
    <p class="help">The override is recorded under your name. The guard still stops reads that differ.</p>
    ${[...actions].map((action) =>
      foldedChange(visit, {
        action: `/guard/${name}/accept`,
        label: `Accept ${action} without evidence`,
        role: 'approver',
        isGrave: true,
        fields: { subject: `action:${action}` },
        id: `accept-${action}`,
      }),
    )}
  </section>`;
}
