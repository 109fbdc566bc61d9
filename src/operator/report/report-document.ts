import type { Stage } from '../../domain/stage.ts';
import { STAGES } from '../../domain/stage.ts';
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
import { planSection } from './plan-section.ts';
import type { Report, ServiceReport } from './report.ts';
import {
  flagsSection,
  guardSection,
  readinessSection,
  reconciliationSection,
  stateSection,
} from './state-sections.ts';
import { consistencySection, rulesSection, signaturesSection, trafficSection } from './traffic-sections.ts';

/** How a report is shown, in every format. */
export function documentOf(report: Report): ReportDocument {
  const { date, zone, services } = report;
  return {
    title: longDate(date),
    subtitle: subtitleOf(report),
    verdict: verdictOf(report),
    services: services.map((service) => partOf(service, zone)),
    footnote:
      'Sums are of the whole day and of all replicas. What is a state (lanes, backlog, flags, criteria) is as it was when the report was ' +
      'made. Intervals are exact, 95 %. Changes are since the report of the day before. Added latency is counted in buckets and ' +
      'shown by their upper ends. No content and no owner is in a report.',
  };
}

function verdictOf({ failed_criteria: failed, failed_to_stay: toStay }: Report): Mark {
  const criteria = (number: number): string => `${number} ${number === 1 ? 'criterion' : 'criteria'}`;
  if (failed === 0) return mark('✓ Every criterion of the present phases passes', 'good');
  const missing = failed === toStay ? '' : `${criteria(failed - toStay)} missing to go on`;
  if (toStay === 0) return mark(`Nothing is wrong, ${missing}`, 'warn');
  return mark(
    `✗ ${criteria(toStay)} of the present phases failing${missing === '' ? '' : `, ${missing}`}`,
    'bad',
  );
}

function subtitleOf({
  zone,
  made_at: madeAt,
  whole_day: isWhole,
  replicas,
  crossfade_version: version,
}: Report): Cell {
  const so = isWhole ? '' : ', the day so far';
  return [
    `${zone}${so} · made ${momentOf(madeAt, zone)} · Crossfade ${version} · replicas `,
    count(replicas),
  ];
}

function partOf(service: ServiceReport, zone: string): ServicePart {
  const failed = failedIn(service.plan);
  const toStay = failed.filter((criterion) => criterion.for === 'stay').length;
  const { consistency, state, added_latency: added, traffic } = service;
  return {
    name: service.service,
    phases: phasesOf(service.phase),
    verdict: failureMark(toStay, failed.length - toStay),
    highlights: [
      { label: 'operations', cell: [count(traffic.operations)] },
      { label: 'mismatches', cell: [rate(consistency.rate)] },
      { label: 'added latency, p95', cell: [ms(added.p95_ms)] },
      { label: 'oldest write on its way', cell: [seconds(state.backlog.oldest_seconds)] },
    ],
    next: nextOf(service),
    sections: [
      planSection(service),
      flagsSection(service),
      trafficSection(service),
      abSection(service),
      consistencySection(service),
      stateSection(service),
      signaturesSection(service),
      rulesSection(service),
      reconciliationSection(service, zone),
      guardSection(service, zone),
      readinessSection(service, zone),
    ],
  };
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
