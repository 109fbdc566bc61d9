import type { ListedRun, ShownRun } from '../../api/runs.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { section } from '../../views/document.ts';
import { counted, spoken } from '../../views/figures.ts';
import { html, type Html } from '../../views/html.ts';
import { count, percent } from '../figures.ts';
import { runsTable } from '../../views/runs.ts';
import type { Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import type { Page } from './layout.ts';
import { sectionPanel } from './table-panel.ts';

export function isOpen({ state }: Pick<ListedRun, 'state'>): boolean {
  return state === 'listing' || state === 'running';
}

/** The progress of a running run. */
export function runProgress({ lanes, lanes_done: done, brake, state }: ShownRun): Html {
  const share = lanes === 0 ? 0 : Math.floor((100 * done) / lanes);
  return html`<svg class="gauge" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="rest" width="100" height="4" />
      <rect class="reached" width="${share}" height="4" />
    </svg>
    <p class="note">
      ${state === 'listing' ? 'listing its lanes' : html`${count(done)} of ${counted(lanes, 'lane')}, ${percent(share)}`}${
        brake !== null && html` · slowed: ${spoken(brake)}`
      }
    </p>`;
}

/** Backfills, reconciliations and repairs: running ones, past ones, and forms to start one. */
export async function runsPage(visit: Visit): Promise<Page> {
  const { runs } = await visit.api.ask(ENDPOINTS.listRuns, {});
  const open = await Promise.all(
    runs.filter(isOpen).map(({ run }) => visit.api.ask(ENDPOINTS.showRun, { params: { run: String(run) } })),
  );
  return {
    title: 'Runs',
    lead: html`Work over many lanes, shared by the replicas and resumed after a crash.
      <a href="/lost">Items that legacy lost</a> wait for a person.`,
    body: html`<div data-live="open-runs">${open.map(openRun)}</div>
      <section class="panel" aria-labelledby="begin">
        <h2 id="begin">Start a run</h2>
        <div class="deeds">${beginForms(visit)}</div>
      </section>
      ${sectionPanel('runs', section(runs.length === 1 ? 'The last run' : `The last ${count(runs.length)} runs`, runsTable(runs)))}`,
  };
}

function openRun(run: ShownRun): Html {
  return html`<section class="panel" aria-labelledby="open-${run.run}">
    <h2 id="open-${run.run}"><a href="/runs/${run.run}">${spoken(run.kind)} ${run.run}</a></h2>
    ${runProgress(run)}
  </section>`;
}

function beginForms(visit: Visit): Html {
  const services = visit.status?.services.map(({ service }) => service as string) ?? [];
  const choice = (id: string): Html =>
    html`<div class="field">
      <label for="${id}-service">Service</label
      ><select id="${id}-service" name="service">
        <option value="">all</option>
        ${services.map((one) => html`<option>${one}</option>`)}
      </select>
    </div>`;
  const rate = html`<div class="field">
    <label for="rate"
      >At most this many items per second (empty: as fast as possible without slowing agents)</label
    ><input id="rate" name="rate" type="number" min="1" max="1000000" />
  </div>`;
  const scope = html`<div class="field">
    <label for="scope">Lanes</label
    ><select id="scope" name="scope">
      <option value="full">every lane</option>
      <option value="changed">only lanes written to since they were last found equal</option>
    </select>
  </div>`;
  return html`${foldedChange(visit, {
    action: '/runs/backfill',
    label: 'Start a backfill',
    role: 'operator',
    controls: html`${choice('backfill')}${rate}`,
  })}
  ${foldedChange(visit, {
    action: '/runs/reconcile',
    label: 'Start a reconciliation',
    role: 'operator',
    controls: html`${choice('reconcile')}${scope}`,
  })}`;
}
