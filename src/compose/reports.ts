import type { Status } from '../operator/api/status.ts';
import type { Config } from '../config/schema.ts';
import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import type { RuleStore, SignatureStore } from '../engine/compare/comparison-stores.ts';
import { createBackendProbes } from '../engine/guard/interlock-keeper.ts';
import type { Migration } from '../engine/migration.ts';
import type { EndEdges } from '../engine/parts.ts';
import type { Clock } from '../shared/clock.ts';
import type { Orchestrator } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { completionFactsOf } from '../operator/ends/completion.ts';
import { createDeliveries } from '../operator/report/deliver-report.ts';
import { makeReport, type GatherParts } from '../operator/report/gather-report.ts';
import { DailyReports, type ReportCounts } from '../operator/report/daily-reports.ts';
import type { ReportRouteParts } from '../operator/report/report-routes.ts';
import { createSchedule } from '../operator/report/schedule.ts';
import { NO_SCHEDULE } from '../operator/run-schedule.ts';
import { Webhook } from '../operator/webhook.ts';
import { completionSourcesOf } from './completion-sources.ts';
import { deskUrlOf, reportsUrlOf } from './listeners.ts';
import type { Part } from '../shared/parts.ts';
import type { Guarding } from './guard.ts';
import type { Database } from '../storage/database.ts';
import { createReportFactStore } from '../storage/reports/report-facts.ts';
import { createReportStore } from '../storage/reports/reports.ts';

interface ReportFacts {
  readonly config: Config;
  readonly version: string;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly orchestrator: Orchestrator;
  readonly database: Database;
  readonly replica: { readonly id: ReplicaId };
  readonly guarding: Pick<Guarding, 'interlocks'>;
  readonly migration: Pick<Migration, 'comparisonsOf'>;
  readonly ends: Pick<EndEdges, 'store'>;
  readonly signatures: SignatureStore;
  readonly rules: RuleStore;
  readonly status: () => Promise<Status>;
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

export interface Reports {
  /** Makes and delivers what is due. */
  readonly part: Part;
  readonly routes: ReportRouteParts;
  readonly counts: () => ReportCounts;
}

/** The daily report: made, kept, delivered and shown. */
export function createReports(facts: ReportFacts): Reports {
  const { config, clock, database, services } = facts;
  const { schedule, timeZone: zone, keepDays, folder } = config.reports;
  const webhook = webhookOf(config, clock);
  const [store, known] = [createReportStore(database), createReportFactStore(database)];
  const ending = completionSourcesOf(facts);
  const gathered: GatherParts = {
    ...facts,
    zone,
    readLatencyToleranceMs: config.criteria.readLatencyToleranceMs,
    facts: known,
    reports: store,
    deskUrl: deskUrlOf(config),
    judged: (service) => facts.guarding.interlocks.judged(service),
    end: (service) => completionFactsOf(service, ending),
    probes: createBackendProbes({ services, orchestrator: facts.orchestrator, clock }),
    ruleHits: () => facts.rules.hits(),
    rulesOf: (service) => facts.migration.comparisonsOf(service).rules,
  };
  const make = (date: string) => makeReport(date, gathered);
  const dailyReports = new DailyReports({
    ...facts,
    store,
    facts: known,
    services: [...services.keys()],
    make,
    schedule: schedule === NO_SCHEDULE ? undefined : createSchedule(schedule, zone),
    zone,
    keepDays,
    deliveries: createDeliveries({
      folder,
      webhook: webhook && { webhook, format: config.reports.webhookFormat, reportsUrl: reportsUrlOf(config) },
    }),
  });
  const stop = async (): Promise<void> => {
    await dailyReports.stop();
    await webhook?.close();
  };
  return {
    part: { name: 'reports', start: () => dailyReports.start(), stop },
    routes: { store, facts: known, make, zone, knownDays: config.guard.keepDays, clock },
    counts: () => dailyReports.counts(),
  };
}

function webhookOf({ reports }: Config, clock: Clock): Webhook | undefined {
  const { webhookUrl: url, webhookKey: key } = reports;
  return url === undefined ? undefined : new Webhook({ url, clock, ...(key !== undefined && { key }) });
}
