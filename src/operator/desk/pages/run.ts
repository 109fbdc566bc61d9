import type { Divergence, RepairPlan } from '../../api/repairs.ts';
import type { ShownRun } from '../../api/runs.ts';
import { ENDPOINTS } from '../../api/endpoints.ts';
import { findingWords } from '../../words.ts';
import { type Imported, importSection, surveySection } from '../../views/backfill.ts';
import { laneLink, section } from '../../views/document.ts';
import { counted, spoken } from '../../views/figures.ts';
import { findingBlocks, planWords, refusalNote, untouchedBlocks } from '../../views/repairs.ts';
import { when, html, type Html } from '../../views/html.ts';
import { count } from '../figures.ts';
import { runCounts, runResult, runScope, runState } from '../../views/runs.ts';
import { inFieldNames } from '../operator-api.ts';
import type { Asked, Visit } from '../visit.ts';
import { foldedChange } from './change-form.ts';
import type { Page } from './layout.ts';
import { blocksHtml, sectionPanel, shown, table, text, words } from './table-panel.ts';
import { isOpen, runProgress } from './runs.ts';

const LANES_SHOWN = 100;

/** One run: its progress, what it found, and what a person can do. */
export async function runPage(visit: Visit, { params }: Asked<{ run: string }>): Promise<Page> {
  const call = { params };
  const run = await visit.api.ask(ENDPOINTS.showRun, call);
  const isReconciliation = run.kind === 'reconcile';
  const { divergences } = isReconciliation
    ? await visit.api.ask(ENDPOINTS.listDivergences, call)
    : { divergences: [] };
  const plan = isReconciliation && !isOpen(run) ? await visit.api.ask(ENDPOINTS.planRepair, call) : undefined;
  return {
    title: `${spoken(run.kind)} ${run.run}`,
    lead: html`Of ${shown(runScope(run))}; began ${when(run.began_at)}. <a href="/runs">All runs</a>`,
    body: html`<section class="panel" aria-labelledby="stands">
        <h2 id="stands">Progress</h2>
        <div data-live="stands">
          <p>${shown(runState(run))} ${shown(runResult(run))}</p>
          ${isOpen(run) ? runProgress(run) : html`<p class="note">Ended ${when(run.finished_at)}</p>`}
          ${runCounts(run).map(
            ({ title, blocks }) =>
              html`<h3>${title}</h3>
                ${blocksHtml('stands', blocks)}`,
          )}
          ${
            hadNothingToCompare(run) &&
            html`<p>Nothing to compare. No lane was written to since it was last found equal.</p>`
          }
        </div>
        <div class="deeds" data-live="deeds">${deedsOf(visit, run, plan)}</div>
      </section>
      <div data-live="found">
        ${divergences.length > 0 && foundPanel(divergences)}${!isOpen(run) && importPanels(run)}
      </div>`,
  };
}

function hadNothingToCompare({ kind, state, request, lanes, survey }: ShownRun): boolean {
  if (kind !== 'reconcile' || state !== 'finished' || request.scope !== 'changed') return false;
  return lanes === 0 && Object.values(survey).every((found) => !('not_listed' in found));
}

function deedsOf(visit: Visit, run: ShownRun, plan: RepairPlan | undefined): Html | false {
  const at = `/runs/${run.run}`;
  if (isOpen(run))
    return foldedChange(visit, { action: `${at}/stop`, label: 'Stop the run', role: 'operator' });
  if (run.state === 'stopped' && run.kind !== 'repair')
    return foldedChange(visit, {
      action: `/runs/${run.kind}/resume`,
      label: `Resume the last stopped ${spoken(run.kind)}`,
      role: 'operator',
    });
  if (plan !== undefined && plan.lanes.length > 0) return repairDeed(visit, at, plan);
  if (run.kind !== 'repair') return false;
  const changed = Object.values(run.services).some(({ items_changed: items }) => Number(items ?? 0) > 0);
  return (
    changed &&
    foldedChange(visit, {
      action: `${at}/undo`,
      label: 'Undo its changes',
      role: 'approver',
      isGrave: true,
    })
  );
}

function repairDeed(visit: Visit, at: string, plan: RepairPlan): Html {
  return html`<p class="help">
      ${planWords(plan)} It reads each lane again first and ends if a lane has changed. It can be undone.
    </p>
    ${blocksHtml('stands', [...untouchedBlocks(plan.untouched), ...(plan.refusal === null ? [] : [refusalNote(inFieldNames(plan.refusal))])])}
    ${foldedChange(visit, {
      action: `${at}/repair`,
      label: 'Repair them',
      role: 'approver',
      controls: html`<div class="field">
          <label for="share">Repair at most, percent of the compared items</label
          ><input
            id="share"
            name="share"
            type="number"
            min="0.001"
            max="100"
            step="any"
            value="0.5"
            required
          />
        </div>
        <div class="field">
          <label for="items">Repair at most, findings (empty: the default)</label
          ><input id="items" name="items" type="number" min="1" max="1000000" />
        </div>`,
    })}`;
}

function foundPanel(divergences: readonly Divergence[]): Html {
  return html`<section class="panel" aria-labelledby="found">
    <h2 id="found">
      Lanes that differ
      <span class="of"
        >${
          divergences.length > LANES_SHOWN
            ? `the first ${LANES_SHOWN} of ${count(divergences.length)}`
            : count(divergences.length)
        }</span
      >
    </h2>
    ${table('found', {
      heads: [words('Lane'), words('What'), text('State'), 'Orchestrator', 'Should be'],
      rows: divergences
        .slice(0, LANES_SHOWN)
        .map(({ service, owner, findings, before, after, ...found }) => [
          shown([laneLink(`${service}/${owner}`)]),
          html`${sayingsOf(findings).map(
            ([saying, times]) =>
              html`<span class="note-inline">${times > 1 && `${count(times)} × `}${saying}</span><br />`,
          )}${findings.length > 0 && itemsOf(findings)}`,
          stateOf(found),
          counted(before.items, 'item'),
          counted(after.items, 'item'),
        ]),
    })}
  </section>`;
}

/** The state of a lane now. */
function stateOf({ state, found_again_by: by }: Pick<Divergence, 'state' | 'found_again_by'>): Html | string {
  if (by !== undefined) return html`found again by <a href="/runs/${by}">run ${by}</a>`;
  if (state === 'lost') return html`<a href="/lost">lost</a>`;
  return state === 'gone' ? 'equal again' : spoken(state);
}

/** The findings of a lane, each kind once. */
function sayingsOf(findings: Divergence['findings']): [string, number][] {
  const times = new Map<string, number>();
  for (const finding of findings) {
    const saying = findingWords(finding);
    times.set(saying, (times.get(saying) ?? 0) + 1);
  }
  return [...times];
}

/** Each item: what the orchestrator holds, and what it will hold after a repair. No content. */
function itemsOf(findings: Divergence['findings']): Html {
  return html`<details>
    <summary>Item by item</summary>
    ${blocksHtml('found', findingBlocks(findings))}
  </details>`;
}

/** What a backfill found before it wrote, what it left out and why, and how each member was mapped. */
function importPanels(run: ShownRun): Html | false {
  if (run.kind !== 'backfill') return false;
  const imported = (run.report?.['services'] ?? {}) as Readonly<Record<string, Imported>>;
  return html`${Object.entries(run.survey).map(([service, survey]) => {
    const blocks = [surveySection(service, survey), importSection(service, imported[service] ?? {})];
    return sectionPanel(
      `d-${service}`,
      section(`${service}: found before the start, and imported`, ...blocks.flatMap((part) => part.blocks)),
    );
  })}`;
}
