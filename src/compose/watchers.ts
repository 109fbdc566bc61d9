import type { FastifyInstance } from 'fastify';
import type { Config } from '../config/schema.ts';
import type { OperationId, ReplicaId, ServiceName } from '../domain/ids.ts';
import type { RuleStore, SignatureStore } from '../engine/compare/comparison-stores.ts';
import type { DeadLetterStore, UnknownLedger } from '../engine/ports/decision-ports.ts';
import type { Events } from '../engine/ports/events.ts';
import { RECONCILED_TO_KEEP_SECONDS } from '../engine/guard/interlock-table.ts';
import type { Migration } from '../engine/migration.ts';
import type { EndEdges, FlipEdges } from '../engine/parts.ts';
import type { RunStore } from '../engine/runs/run-ports.ts';
import type { Clock } from '../shared/clock.ts';
import type { Journal, Orchestrator } from '../engine/ports/ports.ts';
import type { ReverseLedger, ReverseProofs } from '../engine/ports/reverse-ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { AgentBook, MOST_AGENTS } from '../operator/agents.ts';
import { ArmExchange, Arms } from '../operator/arms.ts';
import { createStatistics, type Statistics } from '../operator/statistics.ts';
import { createStatusReader, type StatusReader } from '../operator/status.ts';
import { longestGapMs } from '../operator/run-schedule.ts';
import type { Part } from '../shared/parts.ts';
import { type FlagChange, watchFlagChanges } from '../rollout/flag-changes.ts';
import type { FlagFile } from '../rollout/flag-file.ts';
import type { FlagSource } from '../rollout/flag-source.ts';
import { missingFlags, misspelling } from '../rollout/definition-store.ts';
import type { RequestCounts } from '../rollout/unleash-poll.ts';
import { createAgentStore } from '../storage/agents.ts';
import { createArmStore } from '../storage/arms.ts';
import type { Database } from '../storage/database.ts';
import type { DifferenceArchive } from '../storage/differences.ts';
import { createReplicationLag } from '../storage/replication-lag.ts';
import { createLogListener } from '../telemetry/log-events.ts';
import { createLog, createProblemLog, type OnProblem } from '../telemetry/log.ts';
import { createTraces } from '../telemetry/traces.ts';
import { addressesOf } from './listeners.ts';
import type { Guarding } from './guard.ts';
import { createTripBundles } from './bundles.ts';
import { createLive, type Live } from './live.ts';
import { createProxyMetrics } from './gauges.ts';
import { guardSourceOf, registerRoutes } from './routes.ts';
import { readinessOf } from './readiness.ts';
import { createReports, type Reports } from './reports.ts';

type Logger = ReturnType<typeof createLog>;

interface WatcherFacts {
  readonly config: Config;
  readonly version: string;
  readonly isTerminal: boolean;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly flags: FlagSource;
  readonly flagRequests: RequestCounts;
  readonly flagFile: FlagFile | undefined;
  readonly orchestrator: Orchestrator;
  readonly journal: Journal;
  readonly reverseProofs: ReverseProofs;
  readonly reverseLedger: ReverseLedger;
  readonly differences: DifferenceArchive;
  readonly signatures: SignatureStore;
  readonly rules: RuleStore;
  readonly letters: DeadLetterStore;
  readonly unknowns: UnknownLedger;
  readonly migration: Migration;
  readonly replica: { readonly id: ReplicaId };
  readonly events: Events;
  readonly clock: Clock;
  readonly database: Database;
  readonly guarding: Guarding;
  readonly ends: EndEdges;
  readonly runs: { readonly store: RunStore };
  readonly flips: Pick<FlipEdges, 'shares' | 'book'>;
  /** What happens to writes while the journal is away, for people. */
  readonly awayPolicy: string;
}

export interface Watchers {
  /** Store what was known at a trip, and what lanes of both backends saw. */
  readonly books: readonly Part[];
  /** Makes the daily reports, and delivers them. */
  readonly reports: Part;
  /** Logs what the operator should know at the start. */
  readonly log: Part;
  /** Started last and stopped first. Logs when agents are served, and until when. */
  readonly service: Part;
  readonly telemetry: Part;
  readonly registerRoutes: (app: FastifyInstance) => void;
  /** Absent without a desk. */
  readonly live: Live | undefined;
  readonly onProblem: OnProblem;
  /** The trace of an operation, for the calls made on its behalf. */
  readonly traceparentOf: (operation: OperationId) => string | undefined;
  /** The flags can be read again. */
  readonly onFlagsRead: () => void;
}

/** Everything that only looks: log, metrics, traces, statistics, and the routes that show them. */
export function createWatchers(facts: WatcherFacts): Watchers {
  const { config, events, services } = facts;
  const log = createLog({ level: config.telemetry.logLevel, pretty: facts.isTerminal, name: 'crossfade' });
  const onProblem = createProblemLog(log);
  const statistics = createStatistics([...services.keys()]);
  const arms = new Arms(facts.clock);
  const status = createStatus(facts, { statistics, arms });
  const reports = createReportsOf(facts, status, onProblem);
  const agents = createAgentBook(facts, onProblem);
  const metrics = createProxyMetrics({ ...facts, arms, agents, reports: reports.counts });
  const traces = createTracesOf(config);
  for (const listener of [
    agents.listener,
    statistics.listener,
    arms.listener,
    createLogListener(log),
    metrics.listener,
  ])
    events.subscribe(listener);
  if (traces !== undefined) events.subscribe(traces.listener);
  const live = config.desk && createLive(facts);
  logFlagChanges(log, facts);
  return {
    reports: reports.part,
    books: booksOf(facts, { status, arms, agents, onProblem }),
    log: logPart(log, facts),
    service: {
      name: 'service',
      start: async () => log.info({ listening: listeningOf(facts) }, 'ready'),
      stop: async () => log.info('stopping'),
    },
    telemetry: {
      name: 'telemetry',
      start: async () => undefined,
      stop: async () => {
        await traces?.stop();
        await metrics.stop();
      },
    },
    registerRoutes: (app) => registerRoutes(app, facts, { status, metrics, reports, live, agents }),
    live,
    onProblem,
    traceparentOf: (operation) => traces?.traceparentOf(operation),
    onFlagsRead: () => log.info({ flags: facts.flags.describe().source }, 'the flags can be read again'),
  };
}

function logPart(log: Logger, facts: WatcherFacts): Part {
  return {
    name: 'log',
    start: async () => sayAtStart(log, facts),
    stop: async () => {
      log.info('stopped');
      log.flush();
    },
  };
}

function listeningOf({ config, services }: WatcherFacts): Record<string, string> {
  const configured = [...services.values()].flatMap(({ name, definition }) => {
    const service = config.services[name];
    return service === undefined ? [] : [{ name, definition, config: service }];
  });
  return addressesOf(config, configured);
}

interface Books {
  readonly status: StatusReader;
  readonly arms: Arms;
  readonly agents: AgentBook;
  readonly onProblem: OnProblem;
}

function booksOf(facts: WatcherFacts, { status, arms, agents, onProblem }: Books): readonly Part[] {
  return [
    createBundles(facts, status, onProblem),
    createArmExchange(facts, arms, onProblem),
    agentPart(agents),
  ];
}

function createReportsOf(facts: WatcherFacts, status: StatusReader, onProblem: OnProblem): Reports {
  return createReports({
    ...facts,
    status: () => status.read(),
    onProblem: (problem) => onProblem('reports', 'report', problem),
  });
}

function createBundles(facts: WatcherFacts, status: StatusReader, onProblem: OnProblem): Part {
  return createTripBundles({
    ...facts,
    ...facts.guarding,
    databaseKind: facts.database.kind,
    status: () => status.read(),
    onProblem: (problem) => onProblem('guard', 'bundle', problem),
  });
}

function createAgentBook({ services, clock, database }: WatcherFacts, onProblem: OnProblem): AgentBook {
  return new AgentBook({
    services: [...services.keys()],
    store: createAgentStore(database, { keep: MOST_AGENTS }),
    clock,
    onProblem: (problem) => onProblem('agents', 'not_written', problem),
  });
}

const agentPart = (agents: AgentBook): Part => ({
  name: 'agents',
  start: () => agents.start(),
  stop: () => agents.stop(),
});

function createArmExchange(facts: WatcherFacts, arms: Arms, onProblem: OnProblem): Part {
  const exchange = new ArmExchange({
    ...facts,
    arms,
    // An identity that is changed meanwhile would make others of what this process wrote.
    replica: facts.replica.id,
    store: createArmStore(facts.database),
    onProblem: (problem) => onProblem('replicas', 'ab', problem),
  });
  return { name: 'arms', start: () => exchange.start(), stop: () => exchange.stop() };
}

function createStatus(
  facts: WatcherFacts,
  counted: { readonly statistics: Statistics; readonly arms: Arms },
): StatusReader {
  return createStatusReader({
    ...facts,
    ...counted,
    facts: {
      version: facts.version,
      journal: facts.database.kind,
      encrypted: facts.config.journal.encryptionKey !== undefined,
      lanePercentage: facts.config.shadow.lanePercentage,
    },
    lagOf: createReplicationLag(facts.database),
    reverseOf: (service) => facts.reverseLedger.standing(service),
    readiness: () => readinessOf(facts),
    flipper: facts.migration.flipper,
    writesStateOf: (service) => facts.ends.states.stateOf(service),
    interlocks: facts.guarding.modes,
    guarding: guardSourceOf(facts.guarding),
  });
}

function logFlagChanges(log: Logger, { flags, services }: WatcherFacts): void {
  const names = [...services.keys()];
  let told: string | undefined;
  watchFlagChanges(flags, names, (changes) => {
    logChanges(log, changes, flags.version() === 1);
    const misspelled = misspelling(missingFlags(flags.names(), names));
    if (misspelled !== undefined && misspelled !== told)
      log.warn({ detail: misspelled }, 'a flag may be misspelled');
    told = misspelled;
  });
}

function logChanges(log: Logger, changes: readonly FlagChange[], isFirst: boolean): void {
  if (isFirst) {
    const asked = Object.fromEntries(changes.map(({ flag, to }) => [flag, to]));
    return log.info({ asked }, 'the flags are read; a flag that is not listed here counts as 0 %');
  }
  for (const { flag, from, to } of changes)
    log.info({ flag, from, to }, 'a flag asks for another percentage');
  if (changes.length === 0) log.info('flag definitions changed, and no percentage did');
}

function createTracesOf({ telemetry: { otlpEndpoint, traceSampleRatio } }: Config) {
  if (otlpEndpoint === undefined) return undefined;
  return createTraces({ endpoint: otlpEndpoint, sampleRatio: traceSampleRatio, random: Math.random });
}

function sayAtStart(log: Logger, { config, database, flags, awayPolicy }: WatcherFacts): void {
  if (database.kind === 'pglite') {
    log.warn(
      'The journal is embedded: it survives a crash of the process, not of the machine. Set DATABASE_URL for production.',
    );
  }
  if (config.journal.encryptionKey === undefined) {
    log.warn(
      'No encryption key is configured: the journal stores requests unencrypted until they are pruned.',
    );
  }
  if (isReconciledTooRarely(config)) {
    log.warn(
      'Interlocks are enforced, and full reconciliations are not scheduled within every 48 h (reconciliation.full). Unless a person or another scheduler begins them, reads that have moved go back to legacy.',
    );
  }
  log.info(
    {
      flags: flags.describe().source,
      journal: database.kind,
      // The embedded journal is never away while the process runs.
      ...(database.kind !== 'pglite' && { when_the_journal_is_away: awayPolicy }),
    },
    'starting',
  );
}

/** Whether reads that have moved would go back to legacy because the newest full reconciliation is too old. */
function isReconciledTooRarely({ interlocks, services, reconciliation }: Config): boolean {
  const modes = Object.values(services).map((service) => service.interlocks ?? interlocks);
  const { full, timeZone } = reconciliation;
  return (
    modes.includes('enforce') && longestGapMs(full, timeZone, new Date()) > RECONCILED_TO_KEEP_SECONDS * 1_000
  );
}
