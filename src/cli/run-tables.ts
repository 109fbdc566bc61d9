import { runCounts } from '../operator/views/runs.ts';
import { type Imported, importSection, surveySection } from '../operator/views/backfill.ts';
import type { ShownRun } from '../operator/api/runs.ts';
import { indented, sectionText } from '../operator/views/terminal.ts';

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
