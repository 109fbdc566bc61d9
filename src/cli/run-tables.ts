import type { PrintedFinding } from '../operator/api/repairs.ts';
import { changeWords, findingWords, itemWords } from '../operator/words.ts';
import { foundWords, standingNotes } from '../operator/run-result-words.ts';
import { showImport, showSurvey } from './import-document.ts';
import type { Divergence, RepairPlan } from '../operator/api/repairs.ts';
import type { ListedRun, ShownRun } from '../operator/api/runs.ts';
import { counted } from '../operator/views/figures.ts';
import { table } from '../operator/views/terminal.ts';

/** The members of a plan that are shown. */
type PlannedLane = Pick<Divergence, 'service' | 'owner' | 'findings' | 'before' | 'after'>;
type ShownPlan = Omit<RepairPlan, 'limits' | 'lanes'> & { readonly lanes: readonly PlannedLane[] };

const LANES_SHOWN = 50;
const FINDINGS_SHOWN = 200;

/** A run's numbers, service by service. */
export function showRun({ run, kind, state, reason, services }: ShownRun): string {
  const title = `${kind} ${run}: ${state}${reason === '' ? '' : ` (${reason})`}`;
  const lines = Object.entries(services).flatMap(([service, counts]) => [
    `  ${service}`,
    ...Object.entries(counts)
      .filter(([name]) => name !== 'digest')
      .map(([name, count]) => `    ${name.replaceAll('_', ' ').padEnd(34)} ${String(count).padStart(9)}`),
  ]);
  return [title, ...lines].join('\n');
}

/** A backfill: its numbers, the survey before the first write, and the document of what was imported. */
export function showBackfill(view: ShownRun): string {
  const services = (view.report?.['services'] ?? {}) as Parameters<typeof showImport>[0];
  return [
    showRun(view),
    ...(Object.keys(view.survey).length === 0
      ? []
      : ['', 'Before the backfill', indented(showSurvey(view.survey))]),
    ...(Object.keys(services).length === 0 ? [] : ['', 'Imported', indented(showImport(services))]),
  ].join('\n');
}

function indented(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '  ');
}

/** The runs as a table, newest first. */
export function showRuns(runs: readonly ListedRun[]): string {
  return table(
    ['run', 'kind', 'state', 'result', 'started', 'took', 'scope', 'by', 'why'],
    runs.map((run) => [
      String(run.run),
      run.kind,
      run.state,
      resultOf(run),
      run.began_at,
      tookOf(run),
      askedOf(run.request),
      run.request.person ?? '',
      [run.request.reason, run.reason].filter(Boolean).join('; '),
    ]),
  );
}

/** The findings of a reconciliation, and what became of them. */
function resultOf({ result, request }: ListedRun): string {
  return result === null ? '' : [foundWords(result, request.owner), ...standingNotes(result)].join(', ');
}

function tookOf({ began_at: began, finished_at: finished }: ListedRun): string {
  if (finished === null) return '';
  const seconds = (Date.parse(finished) - Date.parse(began)) / 1_000;
  return seconds < 120 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds / 60)} min`;
}

function askedOf({ services, owner, scope, of, scheduled }: ListedRun['request']): string {
  return [
    services.join(', '),
    ...(owner === undefined ? [] : [`owner ${owner}`]),
    ...(scope === 'changed' ? ['changed lanes'] : []),
    ...(of === undefined ? [] : [`of run ${of}`]),
    ...(scheduled === undefined ? [] : ['scheduled']),
  ].join('; ');
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
  const percent = Number((share * 100).toPrecision(3));
  const title = `repair of run ${run}: ${counted(findings, 'finding')} in ${counted(lanes.length, 'lane')}, ${percent} % of the compared items`;
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
  const rows = findings.slice(0, FINDINGS_SHOWN).map((finding) => {
    const { before, after } = changeWords(finding);
    return [itemWords(finding), finding.at ?? '–', finding.side, findingWords(finding), before, after];
  });
  const more =
    findings.length > FINDINGS_SHOWN
      ? [`    and ${counted(findings.length - FINDINGS_SHOWN, 'more finding')}: --json shows all`]
      : [];
  const lines = table(['item', 'written', 'side', 'finding', 'before', 'after'], rows).split('\n');
  return [...lines.map((line) => `    ${line}`), ...more];
}
