import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/schema.ts';
import type { SignatureStore } from '../engine/compare/comparison-stores.ts';
import type { Migration } from '../engine/migration.ts';
import { createBackendProbes } from '../engine/guard/interlock-keeper.ts';
import type { AgentBook } from '../operator/agents.ts';
import { registerAgentRoutes } from '../operator/routes/agent-routes.ts';
import { registerAuditRoutes } from '../operator/routes/audit-routes.ts';
import { registerBundleRoutes } from '../operator/routes/bundle-routes.ts';
import { type ComparisonRouteParts, registerComparisonRoutes } from '../operator/routes/comparison-routes.ts';
import { registerConsistencyRoutes } from '../operator/routes/consistency-routes.ts';
import { registerDecisionRoutes } from '../operator/routes/decision-routes.ts';
import { registerFlagRoutes } from '../operator/routes/flag-routes.ts';
import { registerGuardRoutes } from '../operator/routes/guard-routes.ts';
import { registerHistoryRoutes } from '../operator/routes/history-routes.ts';
import { registerLaneRoutes } from '../operator/routes/lane-routes.ts';
import { registerLiveRoutes } from '../operator/routes/live-routes.ts';
import { type RaiseRouteParts, registerRaiseRoutes } from '../operator/routes/raise-routes.ts';
import { registerRepairRoutes } from '../operator/routes/repair-routes.ts';
import { registerReportRoutes } from '../operator/report/report-routes.ts';
import { boundBodies } from '../operator/posted-bodies.ts';
import { refuseUnstorableAddresses } from '../operator/refusal.ts';
import { registerOperatorRoutes } from '../operator/routes/routes.ts';
import { registerRuleRoutes, type RuleRouteParts } from '../operator/routes/rule-routes.ts';
import { registerRunRoutes } from '../operator/routes/run-routes.ts';
import type { StatusReader } from '../operator/status.ts';
import type { DifferenceArchive } from '../storage/differences.ts';
import { createComparedSince, createSummedMinutes } from '../storage/summed-minutes.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { accessOf, type DecisionFacts, decisionRoutesOf, laneRoutesOf } from './decision-routes.ts';
import { type FlagRouteFacts, flagRoutesOf } from './flags.ts';
import type { Guarding } from './guard.ts';
import { type GuardRouteFacts, guardRoutesOf } from './guard-routes.ts';
import type { Live } from './live.ts';
import { readinessOf } from './readiness.ts';
import type { Reports } from './reports.ts';

const SIGNATURES_SHOWN = 200;

type RouteFacts = GuardRouteFacts &
  DecisionFacts &
  Pick<RuleRouteParts, 'rules' | 'differences'> &
  FlagRouteFacts &
  Parameters<typeof readinessOf>[0] & {
    readonly config: Config;
    readonly differences: DifferenceArchive;
    readonly signatures: SignatureStore;
    readonly migration: Migration;
    readonly guarding: Guarding;
  };

/** What the routes show that is counted or made by others. */
interface Shown {
  readonly status: StatusReader;
  readonly metrics: Metrics;
  readonly reports: Reports;
  readonly agents: AgentBook;
  /** Absent where nobody has a desk. */
  readonly live: Live | undefined;
}

/** The operator's API. */
export function registerRoutes(
  app: FastifyInstance,
  facts: RouteFacts,
  { status, metrics, reports, live, agents }: Shown,
): void {
  const names = [...facts.services.keys()];
  accessOf(facts.config).guard(app);
  boundBodies(app);
  refuseUnstorableAddresses(app);
  registerGuardRoutes(app, guardRoutesOf(facts));
  registerAgentRoutes(app, { services: names, book: agents, clock: facts.clock });
  registerAuditRoutes(app, { services: names, audit: facts.guarding.audit });
  registerDecisionRoutes(app, decisionRoutesOf(facts));
  registerLaneRoutes(app, laneRoutesOf(facts));
  registerRuleRoutes(app, { ...facts, audit: facts.guarding.audit, nowMs: () => facts.clock.wallMs() });
  if (live !== undefined) registerLiveRoutes(app, { services: names, book: live.book });
  registerFlagRoutes(app, flagRoutesOf(facts));
  const raising = raiseRoutesOf(facts);
  registerRaiseRoutes(app, raising);
  registerHistoryRoutes(app, raising);
  registerConsistencyRoutes(app, {
    services: names,
    zone: facts.config.reports.timeZone,
    comparedSince: createComparedSince(facts.database),
    nowMs: () => facts.clock.wallMs(),
  });
  registerBundleRoutes(app, facts.guarding.bundles);
  registerReportRoutes(app, reports.routes);
  registerRuns(app, facts);
  registerComparisonRoutes(app, comparisonRoutesOf(facts));
  registerOperatorRoutes(app, {
    status: () => status.read(),
    metrics: () => metrics.render(),
    readiness: () => readinessOf(facts),
    services: names,
    differences: (service, query) => facts.differences.find(service, query),
  });
}

function raiseRoutesOf({ services, guarding, database, orchestrator, clock }: RouteFacts): RaiseRouteParts {
  const probes = createBackendProbes({ services, orchestrator, clock });
  return {
    services,
    summed: createSummedMinutes(database),
    judged: (service) => guarding.interlocks.judged(service),
    probe: (service) => probes.ask(service),
    nowMs: () => clock.wallMs(),
  };
}

function registerRuns(
  app: FastifyInstance,
  { migration: { runs }, services, guarding: { audit } }: RouteFacts,
): void {
  if (runs === undefined) return;
  registerRunRoutes(app, { services: [...services.keys()], desk: runs.desk, audit });
  registerRepairRoutes(app, { services: [...services.keys()], desk: runs.repairDesk });
}

function comparisonRoutesOf({ services, migration, signatures }: RouteFacts): ComparisonRouteParts {
  return {
    services: [...services.keys()],
    report: (service) => migration.comparisonsOf(service),
    signatures: (service) => signatures.list(service, SIGNATURES_SHOWN),
  };
}
