import type { PrintedFinding } from '../operator/api/repairs.ts';
import { findingsTable, runCounts } from '../operator/views/runs.ts';
import { type Imported, importSection, surveySection } from '../operator/views/backfill.ts';
import type { Divergence, RepairPlan } from '../operator/api/repairs.ts';
import type { ShownRun } from '../operator/api/runs.ts';
import { counted, printedFigure } from '../operator/views/figures.ts';
import { indented, sectionText, tableText } from '../operator/views/terminal.ts';

/** The members of a plan that are shown. */
type PlannedLane = Pick<Divergence, 'service' | 'owner' | 'findings' | 'before' | 'after'>;
type ShownPlan = Omit<RepairPlan, 'limits' | 'lanes'> & { readonly lanes: readonly PlannedLane[] };

const LANES_SHOWN = 50;
const FINDINGS_SHOWN = 200;

/** A run's numbers, service by service. */
export function showRun({ run, kind, state, reason, services }: ShownRun): string {
  const title = `${kind} ${run}: ${state}${reason === '' ? '' : ` (${reason})`}`;
  return [title, ...runCounts({ services }).map((part) => indented(sectionText(part)))].join('\n');
}

/** What each service holds, read before anything is written. */
export function showSurvey(survey: ShownRun['survey']): string {
  return Object.entries(survey)
    .map(([service, found]) => sectionText(surveySection(service, found)))
    .join('\n');
}

/** A backfill: its numbers, the survey before the first write, and the document of what was imported. */
export function showBackfill(view: ShownRun): string {
  const services = Object.entries((view.report?.['services'] ?? {}) as Readonly<Record<string, Imported>>);
  const imported = services.map(([service, of]) => sectionText(importSection(service, of)));
  return [
    showRun(view),
    ...(Object.keys(view.survey).length === 0
      ? []
      : ['', 'Before the backfill', indented(showSurvey(view.survey))]),
    ...(imported.length === 0 ? [] : ['', 'Imported', indented(imported.join('\n\n'))]),
  ].join('\n');
}

/** What would change in each lane, item by item. */
export function showPlan({ run, findings, share, refusal, untouched, lanes }: ShownPlan): string {
  const others = untouchedLines(untouched);
  if (lanes.length === 0) return [`run ${run}: nothing to repair`, ...others].join('\n');
  const shown = lanes
    .slice(0, LANES_SHOWN)
    .flatMap(({ service, owner, findings: found, before, after }) => [
      `  ${service}/${owner}: ${before.items} items ${before.digest.slice(0, 12)} → ${after.items} items ${after.digest.slice(0, 12)}`,
      ...findingLines(found),
    ]);
  const more =
    lanes.length > LANES_SHOWN
      ? [`  and ${counted(lanes.length - LANES_SHOWN, 'more lane')}: --json shows all`]
      : [];
  const title = `repair of run ${run}: ${counted(findings, 'finding')} in ${counted(lanes.length, 'lane')}, ${printedFigure({ value: share, unit: 'rate' })} of the compared items`;
  const next =
    refusal === null
      ? `next: crossfade repair apply ${run} --reason TEXT`
      : `  apply would be refused: ${refusal}`;
  return [title, ...shown, ...more, ...others, next].join('\n');
}

function untouchedLines({ undone, lost }: ShownPlan['untouched']): string[] {
  return [
    ...(undone > 0
      ? [`  ${counted(undone, 'lane')} whose repair was undone: reconcile again, then repair or accept`]
      : []),
    ...(lost > 0 ? [`  ${counted(lost, 'lane')} with lost items: crossfade lost list`] : []),
  ];
}

/** One line per item: what the orchestrator holds before and after the repair. No content. */
function findingLines(findings: readonly PrintedFinding[]): string[] {
  if (findings.length === 0) return [];
  const more =
    findings.length > FINDINGS_SHOWN
      ? [`    and ${counted(findings.length - FINDINGS_SHOWN, 'more finding')}: --json shows all`]
      : [];
  const shown = tableText(findingsTable(findings.slice(0, FINDINGS_SHOWN)));
  return [indented(indented(shown)), ...more];
}
