import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/schema.ts';
import type { SignatureStore } from '../engine/compare/comparison-stores.ts';
import type { Migration } from '../engine/migration.ts';
import type { EndEdges, FlipEdges } from '../engine/parts.ts';
import { createBackendProbes } from '../engine/guard/interlock-keeper.ts';
import type { AgentBook } from '../operator/agents.ts';
import { registerAgentRoutes } from '../operator/routes/agent-routes.ts';
import { registerAuditRoutes } from '../operator/routes/audit-routes.ts';
import {
  type GuardRouteParts,
  registerBundleRoutes,
  registerGuardRoutes,
} from '../operator/routes/guard-routes.ts';
import { type ComparisonRouteParts, registerComparisonRoutes } from '../operator/routes/comparison-routes.ts';
import { registerConsistencyRoutes } from '../operator/routes/consistency-routes.ts';
import { type DecisionRouteParts, registerDecisionRoutes } from '../operator/routes/decision-routes.ts';
import { type EndRouteParts, registerEndRoutes } from '../operator/routes/end-routes.ts';
import { registerFlagRoutes } from '../operator/routes/flag-routes.ts';
import { registerFlipRoutes } from '../operator/routes/flip-routes.ts';
import { registerHistoryRoutes, registerLiveRoutes } from '../operator/routes/history-routes.ts';
import { type LaneRouteParts, registerLaneRoutes } from '../operator/routes/lane-routes.ts';
import { type RaiseRouteParts, registerRaiseRoutes } from '../operator/routes/raise-routes.ts';
import { registerRepairRoutes } from '../operator/routes/repair-routes.ts';
import { registerReportRoutes } from '../operator/report/report-routes.ts';
import { boundBodies } from '../operator/posted-bodies.ts';
import { refuseUnstorableAddresses } from '../operator/refusal.ts';
import { registerOperatorRoutes } from '../operator/routes/routes.ts';
import { registerRuleRoutes, type RuleRouteParts } from '../operator/routes/rule-routes.ts';
import { registerRollbackRoutes } from '../operator/routes/rollback-routes.ts';
import { registerRestoredRoutes } from '../operator/routes/restored-routes.ts';
import { registerRunRoutes } from '../operator/routes/run-routes.ts';
import type { StatusReader } from '../operator/status.ts';
import type { DifferenceArchive } from '../storage/differences.ts';
import { createComparedSince, createSummedMinutes } from '../storage/summed-minutes.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { DeadLetterStore, UnknownLedger } from '../engine/ports/decision-ports.ts';
import type { ReverseLedger } from '../engine/ports/reverse-ports.ts';
import type { Clock } from '../shared/clock.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { OperatorAccess } from '../operator/operator-access.ts';
import type { Database } from '../storage/database.ts';
import { createLaneList } from '../storage/lane-list.ts';
import type { Flags, Orchestrator } from '../engine/ports/ports.ts';
import { explain, type FlipSource } from '../operator/explain.ts';
import type { GuardSource } from '../operator/guard-status.ts';
import { createExplainStore } from '../storage/explain.ts';
import { completionSourcesOf } from './completion-sources.ts';
import { type FlagRouteFacts, flagRoutesOf } from './flags.ts';
import type { Guarding } from './guard.ts';
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
    readonly version: string;
    readonly differences: DifferenceArchive;
    readonly signatures: SignatureStore;
    readonly migration: Migration;
    readonly guarding: Guarding;
    readonly flips: Pick<FlipEdges, 'shares' | 'book'>;
    readonly ends: Pick<EndEdges, 'store'>;
  };

/** What the routes show and other parts count or create. */
interface Shown {
  readonly status: StatusReader;
  readonly metrics: Metrics;
  readonly reports: Reports;
  readonly agents: AgentBook;
  /** Absent without a desk. */
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
  const { flipper } = facts.migration;
  if (flipper !== undefined)
    registerFlipRoutes(app, { services: facts.services, flipper, shares: facts.flips.shares });
  const raising = raiseRoutesOf(facts);
  registerRaiseRoutes(app, raising);
  registerHistoryRoutes(app, raising);
  registerConsistencyRoutes(app, {
    services: names,
    zone: facts.config.reports.timeZone,
    comparedSince: createComparedSince(facts.database),
    nowMs: () => facts.clock.wallMs(),
  });
  registerEndRoutes(app, endRoutesOf(facts));
  registerBundleRoutes(app, facts.guarding.bundles);
  registerReportRoutes(app, reports.routes);
  registerRuns(app, facts);
  registerRestored(app, facts);
  if (facts.migration.wayBack !== undefined)
    registerRollbackRoutes(app, { services: names, wayBack: facts.migration.wayBack });
  registerComparisonRoutes(app, comparisonRoutesOf(facts));
  registerOperatorRoutes(app, {
    version: facts.version,
    status: () => status.read(),
    metrics: () => metrics.render(),
    readiness: () => readinessOf(facts),
    services: names,
    differences: (service, query) => facts.differences.find(service, query),
  });
}

/** What people can ask and do about the end of a migration. */
function endRoutesOf(facts: RouteFacts): EndRouteParts {
  const { config, version, guarding } = facts;
  return {
    ...completionSourcesOf(facts),
    version,
    bypassFreeSeconds: (service) =>
      guarding.modes.get(service) === 'enforce' ? config.readOnly.bypassFreeSeconds : undefined,
  };
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

function registerRestored(
  app: FastifyInstance,
  { migration: { restored }, services, clock }: RouteFacts,
): void {
  if (restored === undefined) return;
  registerRestoredRoutes(app, { services: [...services.keys()], restored, nowMs: () => clock.wallMs() });
}

function registerRuns(
  app: FastifyInstance,
  { migration: { runs }, services, guarding: { audit } }: RouteFacts,
): void {
  if (runs === undefined) return;
  registerRunRoutes(app, { services: [...services.keys()], desk: runs.desk, audit });
  registerRepairRoutes(app, { services: [...services.keys()], desk: runs.repairCommands });
}

function comparisonRoutesOf({ services, migration, signatures }: RouteFacts): ComparisonRouteParts {
  return {
    services: [...services.keys()],
    report: (service) => migration.comparisonsOf(service),
    signatures: (service) => signatures.list(service, SIGNATURES_SHOWN),
  };
}

interface DecisionFacts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly letters: DeadLetterStore;
  readonly unknowns: UnknownLedger;
  readonly reverseLedger: ReverseLedger;
  readonly migration: Pick<Migration, 'laneCommands' | 'flipper'>;
  readonly guarding: Pick<Guarding, 'audit'>;
  readonly clock: Clock;
}

/** Who may ask, and change what. */
function accessOf({ operator }: Config): OperatorAccess {
  return new OperatorAccess(Object.entries(operator.tokens).map(([name, token]) => ({ name, ...token })));
}

/** What people can do about dead letters and unknown outcomes. */
function decisionRoutesOf(facts: DecisionFacts): DecisionRouteParts {
  const { services, letters, unknowns, reverseLedger, migration, guarding, clock } = facts;
  return {
    services: [...services.keys()],
    letters,
    unknowns,
    reverse: reverseLedger,
    desk: migration.laneCommands,
    audit: guarding.audit,
    nowMs: () => clock.wallMs(),
  };
}

/** What people can look for and do about lanes. */
function laneRoutesOf(
  facts: Pick<DecisionFacts, 'services' | 'migration' | 'guarding'> & { readonly database: Database },
): LaneRouteParts {
  const { services, migration, guarding, database } = facts;
  return {
    services: [...services.keys()],
    list: createLaneList(database),
    flipper: migration.flipper,
    desk: migration.laneCommands,
    audit: guarding.audit,
  };
}

interface GuardRouteFacts {
  readonly config: Config;
  readonly guarding: Guarding;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly database: Database;
  readonly flags: Flags;
  readonly orchestrator: Orchestrator;
  readonly migration: Pick<Migration, 'coverageOf' | 'flipper'>;
  readonly flips: Pick<FlipEdges, 'book'>;
  readonly clock: Clock;
}

/** What status and explanations say of latches, findings and interlocks. */
export function guardSourceOf({ board, watch, interlocks, flagsAfterTrip }: Guarding): GuardSource {
  return {
    judged: (service) => interlocks.judged(service),
    holdOf: (service) => board.holdOf(service),
    findingsOf: (service) => watch.findingsOf(service),
    shadowDroppedFor(service) {
      if (!board.has(service, 'drop_shadow_load')) return [];
      const found = watch.findingsOf(service).filter(({ steps }) => steps.includes('drop_shadow_load'));
      return [...new Set(found.map(({ trigger }) => trigger))];
    },
    flagsOffOf: (service) => flagsAfterTrip.stateOf(service),
  };
}

/** What people can ask and do about the guard. */
function guardRoutesOf(facts: GuardRouteFacts): GuardRouteParts {
  const { config, guarding, services, clock, migration } = facts;
  const { watch, interlocks, interlockStore, audit, minutes } = guarding;
  const { signalToken } = config.guard;
  const source = guardSourceOf(guarding);
  const explained = {
    ...facts,
    flips: flipSourceOf(facts),
    store: createExplainStore(facts.database),
    limits: interlocks,
    guarding: source,
    coverageOf: (service: ServiceName) => migration.coverageOf(service),
  };
  return {
    services: [...services.keys()],
    guarding: source,
    movableActions: (service) => movableActions(services.get(service)),
    levelsOf: (service) => watch.levelsOf(service),
    release: ({ service, ...by }) => watch.release(service, by),
    async accept(acceptance) {
      await interlockStore.accept(acceptance);
      await interlocks.refresh(acceptance.service);
    },
    async signal({ service, person, reason }) {
      await audit.add({ person, command: 'guard signal', service, reason, details: {} });
      await watch.signal(service, reason);
    },
    ...(signalToken !== undefined && { signalToken }),
    minutes: (fromMs) => minutes.since(fromMs),
    async explain(name, subject) {
      const service = services.get(name);
      if (service === undefined) throw new Error(`unknown service "${name}"`);
      return explain(explained, service, subject);
    },
    nowMs: () => clock.wallMs(),
  };
}

function flipSourceOf({ migration: { flipper }, flips }: GuardRouteFacts): FlipSource | undefined {
  if (flipper === undefined) return undefined;
  return {
    history: (lane) => flips.book.history(lane),
    facts: (lane) => flipper.explain(lane),
    first: (lane) => flipper.firstNamed(lane),
  };
}

function movableActions(service: ServiceRuntime | undefined): readonly string[] {
  return Object.entries(service?.definition.actions ?? {}).flatMap(([name, action]) =>
    action.kind === 'read' && action.legacyOnly === undefined ? [name] : [],
  );
}
