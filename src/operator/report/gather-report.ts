import type { Status } from '../api/status.ts';
import { serviceName, type ServiceName } from '../../domain/ids.ts';
import type { RuleStore, SignatureStore } from '../../engine/compare/comparison-stores.ts';
import type { RuleReport } from '../../engine/compare/rule-book.ts';
import type { BackendProbes, Judged } from '../../engine/guard/interlock-keeper.ts';
import type { Clock } from '../../shared/clock.ts';
import type { MadeReport, ReportFactStore, ReportStore } from '../../engine/report/report-ports.ts';
import type { ServiceRuntime } from '../../engine/ports/service-runtime.ts';
import type { CompletionFacts } from '../ends/completion.ts';
import { Refusal } from '../refusal.ts';
import { dateAfter, spanOf } from './calendar-day.ts';
import { failedIn } from './criteria.ts';
import { renderHtml } from './render-html.ts';
import { renderMarkdown } from './render-markdown.ts';
import type { Report, ServiceReport } from './report.ts';
import { documentOf } from './report-document.ts';
import { serviceReport, type ServiceStatus } from './service-report.ts';
import { TREND_DAYS } from './trend.ts';

/** Enough to see a change of any signature that may be among the most frequent. */
const SIGNATURES_READ = 500;

export interface GatherParts {
  readonly zone: string;
  readonly readLatencyToleranceMs: number;
  readonly version: string;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  /** @throws StorageError */
  readonly status: () => Promise<Status>;
  /** Undefined before the first judgement. */
  readonly judged: (service: ServiceName) => Judged | undefined;
  /** @throws StorageError */
  readonly end: (service: ServiceName) => Promise<CompletionFacts>;
  readonly probes: BackendProbes;
  readonly facts: ReportFactStore;
  readonly reports: Pick<ReportStore, 'totals' | 'read' | 'servedElsewhere'>;
  /** Address of the desk, for links. */
  readonly deskUrl: string | undefined;
  readonly signatures: Pick<SignatureStore, 'list'>;
  readonly ruleHits: RuleStore['hits'];
  readonly rulesOf: (service: ServiceName) => readonly RuleReport[];
  readonly clock: Clock;
}

/**
 * Makes a day's report in every format: of the services of this proxy, and of those that other proxies have already added.
 * @throws StorageError; Refusal while the flags have not been judged
 */
export async function makeReport(date: string, parts: GatherParts): Promise<MadeReport> {
  const totals: Record<string, number> = { ...(await parts.reports.totals(date)) };
  const report = await gather(date, parts, totals);
  const shown = documentOf(report);
  return {
    date,
    failedCriteria: report.failed_criteria,
    texts: { html: renderHtml(shown), md: renderMarkdown(shown), json: JSON.stringify(report) },
    totals,
    services: report.services.map(({ service }) => service),
    isWhole: report.services_elsewhere?.length === 0,
  };
}

/** The parts that proxies with other services have added to the day. */
async function reportedBy(date: string, { reports }: GatherParts): Promise<readonly ServiceReport[]> {
  const text = await reports.read(date, 'json');
  return text === undefined ? [] : (JSON.parse(text) as Report).services;
}

async function gather(date: string, parts: GatherParts, totals: Record<string, number>): Promise<Report> {
  const { zone, clock, readLatencyToleranceMs } = parts;
  const span = spanOf(date, zone);
  const nowMs = clock.wallMs();
  const [status, before] = [await parts.status(), await parts.reports.totals(dateAfter(date, -1))];
  const earlier = await earlierReports(date, parts);
  const reported = {
    span,
    zone,
    isWhole: nowMs >= span.toMs,
    nowMs,
    before,
    earlier,
    totals,
    readLatencyToleranceMs,
  };
  const added = [...(await reportedBy(date, parts))];
  const known = new Set(added.map(({ service }) => service));
  for (const one of status.services.filter(({ service }) => !known.has(service)))
    added.push({
      ...serviceReport(await factsOf(one, parts, reported), reported),
      desk_url: parts.deskUrl ?? null,
    });
  const services = added.toSorted((a, b) => a.service.localeCompare(b.service));
  const failed = services.flatMap(({ plan }) => failedIn(plan));
  return {
    format: 'crossfade-report-1',
    date,
    zone,
    from: new Date(span.fromMs).toISOString(),
    to: new Date(span.toMs).toISOString(),
    made_at: new Date(nowMs).toISOString(),
    whole_day: reported.isWhole,
    crossfade_version: parts.version,
    replicas: status.replicas.live,
    failed_criteria: failed.length,
    failed_to_stay: failed.filter((criterion) => criterion.for === 'stay').length,
    services,
    services_elsewhere: await parts.reports.servedElsewhere(
      services.map(({ service }) => serviceName(service)),
    ),
    desk_url: parts.deskUrl ?? null,
  };
}

/** The stored days, oldest first. Days without a report are not shown. */
async function earlierReports(date: string, { reports }: GatherParts): Promise<Report[]> {
  const days = Array.from({ length: TREND_DAYS - 1 }, (_, ago) => dateAfter(date, ago + 1 - TREND_DAYS));
  const texts = await Promise.all(days.map((day) => reports.read(day, 'json')));
  return texts.flatMap((text) => (text === undefined ? [] : [JSON.parse(text) as Report]));
}

async function factsOf(
  status: ServiceStatus,
  parts: GatherParts,
  { span }: { readonly span: ReturnType<typeof spanOf> },
): Promise<Parameters<typeof serviceReport>[0]> {
  const name = status.service;
  const [service, judged] = [parts.services.get(name), parts.judged(name)];
  if (service === undefined || judged === undefined)
    throw new Refusal(
      503,
      'not_ready',
      `the flags of ${name} have not been judged yet: retry in a few seconds`,
    );
  return {
    status,
    judged,
    definition: service.definition,
    answers: await parts.probes.ask(name),
    end: await parts.end(name),
    day: await parts.facts.of(name, span),
    signatures: await parts.signatures.list(name, SIGNATURES_READ),
    rules: parts.rulesOf(name),
    hits: (await parts.ruleHits()).filter((hits) => hits.service === name),
  };
}
