import type { Stage } from '../../domain/stage.ts';
import { STAGES } from '../../domain/stage.ts';
import { stageReason } from '../flag-reasons.ts';
import { abSection } from './ab-section.ts';
import { longDate, momentOf } from './calendar-day.ts';
import { failedIn } from './criteria.ts';
import {
  code,
  count,
  failureMark,
  mark,
  ms,
  rate,
  seconds,
  words,
  type Block,
  type Cell,
  type Mark,
  type ReportDocument,
  type ServicePart,
} from './document.ts';
import { counted } from './figures.ts';
import { planSection } from './plan-section.ts';
import { progressSection, todaySection, type Shown } from './progress-sections.ts';
import type { Report, ServiceReport } from './report.ts';
import {
  flagsSection,
  guardSection,
  readinessSection,
  reconciliationSection,
  stateSection,
} from './state-sections.ts';
import { consistencySection, rulesSection, signaturesSection, trafficSection } from './traffic-sections.ts';

/** Builds the document that every format shows. */
export function documentOf(report: Report): ReportDocument {
  const { date, zone, services } = report;
  const day = { fromMs: Date.parse(report.from), toMs: Date.parse(report.to) };
  return {
    title: longDate(date),
    subtitle: subtitleOf(report),
    verdict: verdictOf(report),
    services: services.map((service) =>
      partOf(service, {
        zone,
        day,
        desk: service.desk_url === undefined ? report.desk_url : service.desk_url,
      }),
    ),
    footnote:
      'Sums cover the whole day and all replicas. States (lanes, backlog, flags, criteria) are those at the time the report was ' +
      'made. Intervals are exact 95 % confidence intervals. Changes are since the report of the day before. Added latency is counted in buckets and ' +
      'shown by their upper ends. A report holds no memory content. It names the owners only of lanes that differ.',
  };
}

function verdictOf({ failed_criteria: failed, failed_to_stay: toStay }: Report): Mark {
  const criteria = (number: number): string => counted(number, 'criterion', 'criteria');
  if (failed === 0) return mark('✓ Every criterion of the present stages passes', 'good');
  const missing = failed === toStay ? '' : `${criteria(failed - toStay)} missing to go on`;
  if (toStay === 0) return mark(`Nothing is wrong, ${missing}`, 'warn');
  return mark(
    `✗ ${criteria(toStay)} of the present stages failing${missing === '' ? '' : `, ${missing}`}`,
    'bad',
  );
}

function subtitleOf({
  zone,
  made_at: madeAt,
  whole_day: isWhole,
  replicas,
  crossfade_version: version,
  services_elsewhere: elsewhere = [],
}: Report): Cell {
  const missing =
    elsewhere.length === 0 ? '' : ` · without ${elsewhere.join(', ')}, which other proxies serve`;
  const so = isWhole ? '' : ', the day so far';
  return [
    `Day in ${zone}${so} · made ${momentOf(madeAt, zone)} (${zone}) · Crossfade ${version} · replicas `,
    count(replicas),
    missing,
  ];
}

function partOf(service: ServiceReport, shown: Shown): ServicePart {
  const failed = failedIn(service.plan);
  const toStay = failed.filter((criterion) => criterion.for === 'stay').length;
  const { consistency, state, added_latency: added, traffic } = service;
  return {
    name: service.service,
    standing: standingOf(service),
    story: service.today.sentence,
    phases: phasesOf(service.phase),
    verdict: failureMark(toStay, failed.length - toStay),
    highlights: [
      { label: 'operations', cell: [count(traffic.operations)] },
      { label: 'mismatches', cell: [rate(consistency.rate)] },
      { label: 'added latency, p95', cell: [ms(added.p95_ms)] },
      { label: 'oldest undelivered write', cell: [seconds(state.backlog.oldest_seconds)] },
    ],
    next: nextOf(service),
    sections: [
      todaySection(service, shown),
      progressSection(service),
      planSection(service),
      flagsSection(service),
      trafficSection(service, shown),
      abSection(service),
      consistencySection(service),
      stateSection(service),
      signaturesSection(service),
      rulesSection(service),
      reconciliationSection(service, shown),
      guardSection(service, shown),
      readinessSection(service, shown.zone),
    ],
  };
}

/** The stage in effect. If the flags request another stage, that one too, and what blocks it. */
function standingOf({ phase, asked, guard, flags }: ServiceReport): string {
  if (phase === asked) return words(phase);
  const why =
    guard.held_by === null
      ? stageReason(reasonedOf(flags))
      : `the guard keeps reads on legacy: ${words(guard.held_by)}`;
  return `${words(phase)}; requested: ${words(asked)} (${why})`;
}

function reasonedOf(flags: ServiceReport['flags']): Parameters<typeof stageReason>[0] {
  const entries = Object.entries(flags).map(([flag, { held_by: held, ...status }]) => [
    flag,
    { ...status, interlocks: held.map((word) => ({ word })) },
  ]);
  return Object.fromEntries(entries) as Parameters<typeof stageReason>[0];
}

function phasesOf(present: Stage): ServicePart['phases'] {
  const at = STAGES.indexOf(present);
  return STAGES.map((stage, index) => ({
    name: words(stage),
    state: index < at ? 'behind' : index === at ? 'present' : 'ahead',
  }));
}

const TONES = { mend: 'bad', prepare: 'warn', wait: 'plain', raise: 'good', stay: 'plain' } as const;

function nextOf({ next_step: { kind, text, command } }: ServiceReport): Extract<Block, { kind: 'note' }> {
  return { kind: 'note', tone: TONES[kind], cell: [text, ...(command === null ? [] : [' ', code(command)])] };
}
