import type { Criterion } from '../api/history.ts';
import { type Stage, STAGES } from '../../domain/stage.ts';
import { stageReason } from '../views/flags.ts';
import { longDate, momentOf } from './calendar-day.ts';
import { failedIn } from './criteria.ts';
import {
  type Block,
  type Cell,
  code,
  column,
  count,
  fact,
  type Fact,
  type Figure,
  mark,
  type Mark,
  ms,
  numbers,
  rate,
  seconds,
  section,
  type Section,
  type Table,
  tableOf,
} from '../views/document.ts';
import { spoken, counted } from '../views/figures.ts';
import { armBlocks } from '../views/arms.ts';
import { progressSection, type Shown, todaySection } from './progress-sections.ts';
import type { PhasePlan, Report, ServiceReport } from './report.ts';
import {
  flagsSection,
  guardSection,
  readinessSection,
  reconciliationSection,
  stateSection,
} from './state-sections.ts';
import { consistencySection, rulesSection, signaturesSection, trafficSection } from './traffic-sections.ts';
import { CRITERION_WORDS, type CriterionUnit } from './criterion-words.ts';

export interface ServicePart {
  readonly name: string;
  /** The active stage, the requested stage, and what blocks it. */
  readonly standing: string;
  /** What happened on the day, in one sentence. */
  readonly story: string;
  readonly phases: readonly { readonly name: string; readonly state: 'behind' | 'present' | 'ahead' }[];
  readonly verdict: Mark;
  readonly highlights: readonly Fact[];
  readonly next: Extract<Block, { kind: 'note' }>;
  readonly sections: readonly Section[];
}

/** The report as a document, from which HTML and Markdown are made. */
export interface ReportDocument {
  readonly title: string;
  readonly subtitle: Cell;
  readonly verdict: Mark;
  readonly services: readonly ServicePart[];
  readonly footnote: string;
}

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
  const missing = failed === toStay ? '' : `${criteria(failed - toStay)} missing to continue`;
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
      fact('operations', count(traffic.operations)),
      fact('mismatches', rate(consistency.rate)),
      fact('added latency, p95', ms(added.p95_ms)),
      fact('oldest undelivered write', seconds(state.backlog.oldest_seconds)),
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

/** The active stage. If the flags request another stage, that one too, and what blocks it. */
function standingOf({ phase, asked, guard, flags }: ServiceReport): string {
  if (phase === asked) return spoken(phase);
  const why =
    guard.held_by === null
      ? stageReason(reasonedOf(flags))
      : `the guard keeps reads on legacy: ${spoken(guard.held_by)}`;
  return `${spoken(phase)}; requested: ${spoken(asked)} (${why})`;
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
    name: spoken(stage),
    state: index < at ? 'behind' : index === at ? 'present' : 'ahead',
  }));
}

const TONES = { mend: 'bad', prepare: 'warn', wait: 'plain', raise: 'good', stay: 'plain' } as const;

function nextOf({ next_step: { kind, text, command } }: ServiceReport): Extract<Block, { kind: 'note' }> {
  return { kind: 'note', tone: TONES[kind], cell: [text, ...(command === null ? [] : [' ', code(command)])] };
}

const FOR = { stay: 'to stay', go_on: 'to continue' } as const;

/** The criteria of every stage, the present stage first. */
function planSection({ plan, phase }: ServiceReport): Section {
  const present = plan.find((one) => one.present);
  return {
    title: `Criteria of the stage ${spoken(phase)}`,
    blocks: [
      ...(present === undefined ? [] : [criteriaTable(present)]),
      {
        kind: 'more',
        title: 'The other stages',
        blocks: plan
          .filter((one) => !one.present)
          .flatMap((one) => [
            { kind: 'note', tone: 'plain', cell: [`Stage ${spoken(one.phase)}`] } as const,
            criteriaTable(one),
          ]),
      },
    ],
  };
}

function criteriaTable({ criteria }: PhasePlan): Table {
  return tableOf(
    // Failed criteria come first.
    criteria.toSorted((a, b) => Number(b.verdict === 'fail') - Number(a.verdict === 'fail')),
    [
      column('criterion', ({ name, action, note }) => {
        const of = action === null ? '' : ` of ${action}`;
        return `${CRITERION_WORDS[name].title}${of}${note === null ? '' : ` (${spoken(note)})`}`;
      }),
      column('for', ({ for: purpose }) => FOR[purpose]),
      numbers('is', ({ name, have }) => figure(have, CRITERION_WORDS[name].unit)),
      numbers('limit', ({ name, limit }) => {
        const { unit, sign } = CRITERION_WORDS[name];
        return [unit === 'yes_no' ? '' : `${sign} `, figure(limit, unit)];
      }),
      column('verdict', verdictMark),
    ],
    { empty: 'This stage has no criteria.' },
  );
}

function figure(value: number | null, unit: CriterionUnit): Figure {
  return { value, unit };
}

function abSection({ ab }: ServiceReport): Section {
  return section('Orchestrator and legacy compared', ...armBlocks(ab));
}

/** A failed criterion to stay is bad. A failed criterion to continue is only missing. */
function verdictMark({ verdict, for: purpose }: Pick<Criterion, 'verdict' | 'for'>): Mark {
  if (verdict === 'pass') return mark('✓ pass', 'good');
  if (verdict === 'not_judged') return mark('– not judged', 'plain');
  return mark('✗ fail', purpose === 'stay' ? 'bad' : 'warn');
}

/** The number that fail, else the number missing, else that all pass. */
function failureMark(toStay: number, toGoOn: number): Mark {
  if (toStay > 0) return mark(`✗ ${toStay} failing`, 'bad');
  return toGoOn > 0 ? mark(`${toGoOn} missing to continue`, 'warn') : mark('✓ criteria pass', 'good');
}
