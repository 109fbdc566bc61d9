import { CRITERION_WORDS, type CriterionName } from '../../report/criterion-words.ts';
import { printedFigure } from '../../report/figures.ts';
import type { Criterion } from '../../report/report.ts';
import type { ShownFlag } from '../../routes/flag-routes.ts';
import type { RaiseCheck } from '../../routes/raise-routes.ts';
import { count, counted, percent } from '../figures.ts';
import { html, type Html, type Shown } from '../html.ts';
import { ApiRefusal } from '../operator-api.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import { tablePanel, text } from './table-panel.ts';

/** What each mode does with a criterion that fails. */
const MODES: Readonly<Record<RaiseCheck['mode'], string>> = {
  enforce: 'A raised share becomes active when every criterion passes. Until then it does not change.',
  warn: 'This service only warns (interlocks: warn). A raised share becomes active even if a criterion fails.',
  off: 'The interlocks of this service are off. A raised share becomes active even if criteria fail.',
};

/** Before an increase: each criterion with its present and its required value, and what the change affects. */
export async function raisePanels(visit: Visit, flag: ShownFlag, share: number): Promise<Html | false> {
  if (flag.service === null || flag.flag === 'kill-switch') return false;
  if (flag.flag === 'write-cutover' || flag.flag === 'legacy-read-only') return false;
  const check = await checkOf(visit, `/v1/services/${flag.service}/raise/${flag.flag}`);
  if (typeof check === 'string') return html`<p class="notice warn">◆ The criteria are unknown: ${check}</p>`;
  return html`${affected(flag, share, check)}${criteriaPanel(check)}${acceptances(visit, check)}`;
}

/** The reason, if the criteria are unknown. */
async function checkOf({ api }: Visit, path: string): Promise<RaiseCheck | string> {
  try {
    return await api.get<RaiseCheck>(path);
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
  const moved =
    flag === 'shadow-read'
      ? html`${counted(reads, 'read')} per hour ${share >= asked ? 'more' : 'fewer'} are sent to both backends`
      : html`about ${counted(Math.round(check.lanes * part), 'lane')} of ${count(check.lanes)} and
        ${counted(reads, 'read')} an hour move to ${share >= asked ? 'the orchestrator' : 'legacy'}`;
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
