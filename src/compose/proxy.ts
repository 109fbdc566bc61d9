import { createHash, randomUUID } from 'node:crypto';
import { type Clock, systemClock } from '../shared/clock.ts';
import type { Config } from '../config/schema.ts';
import { type OperationId, replicaId, serviceName, type ServiceName } from '../domain/ids.ts';
import { createOrchestratorClient, type OrchestratorClient } from '../backends/orchestrator.ts';
import { createEvents, type Events, type Listener } from '../engine/ports/events.ts';
import { ServiceStates } from '../engine/ends/service-states.ts';
import type { EndEdges, FlipSettings, MigrationParts, WayBackEdges } from '../engine/parts.ts';
import type { DigestOf } from '../engine/guard/guard-ports.ts';
import { createMigration, type Migration } from '../engine/migration.ts';
import { ReplicaIdentity } from '../engine/ports/replica-ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { flipVersion } from '../engine/flips/shares.ts';
import { inOrder, type Part, type Running } from '../shared/parts.ts';
import { createCoverageStore } from '../storage/coverage.ts';
import { createFlipBook } from '../storage/flip-book.ts';
import { createFlipShareStore } from '../storage/flip-shares.ts';
import { createFlipStore } from '../storage/flips.ts';
import { createReplicaStore } from '../storage/replicas.ts';
import { createReverseLedger } from '../storage/reverse-ledger.ts';
import { createReverseProofs } from '../storage/reverse-proofs.ts';
import { createReverseSends } from '../storage/reverse-sends.ts';
import { applySchema } from '../storage/apply-schema.ts';
import { createPgliteDatabase, createPostgresDatabase, type Database } from '../storage/database.ts';
import { createRunEdges } from '../storage/runs/run-edges.ts';
import { createDeadLetterStore } from '../storage/dead-letters.ts';
import { createDifferenceStore } from '../storage/differences.ts';
import { createWayBackStore } from '../storage/way-back.ts';
import { createRestoredStore } from '../storage/restored-lanes.ts';
import { createRuleStore } from '../storage/rules.ts';
import { createKeptReadStore } from '../storage/kept-reads.ts';
import { createKeyedWrites, PostgresKeptReplies } from '../storage/journal/kept-replies.ts';
import { createSignatureStore } from '../storage/signatures.ts';
import { PostgresJournal, PRUNED_AT_ONCE } from '../storage/journal/journal.ts';
import { createServiceWritesStore } from '../storage/service-writes.ts';
import { createSeal, PLAIN } from '../storage/seal.ts';
import { createUnknownLedger } from '../storage/unknown-ledger.ts';
import type { OnProblem } from '../telemetry/log.ts';
import { ConnectionError, messageOf } from '../domain/errors.ts';
import type { LegacyBackend, Reply } from '../engine/ports/ports.ts';
import type { DefinedService } from './definitions.ts';
import { LargeComparisons } from './large-comparisons.ts';
import { createLegacyParts } from './legacy-parts.ts';
import { createFlags } from './flags.ts';
import { createFronts } from './fronts.ts';
import { createGuarding, type Guarding } from './guard.ts';
import { createPortCheck } from './ports.ts';
import { createScheduledReconciliations } from './reconciliations.ts';
import { createSpill, startingLate } from './spill.ts';
import { createWatchers, type Watchers } from './watchers.ts';

interface ProxyFacts {
  readonly config: Config;
  readonly services: readonly DefinedService[];
  readonly version: string;
  /** Pretty log lines, for a terminal. */
  readonly isTerminal: boolean;
  /** Further listeners of the engine's events. They are called before all others. */
  readonly listeners: readonly Listener[];
}

const SECONDS_PER_HOUR = 3_600;
const SCHEMA = new URL('../storage/schema/', import.meta.url);

/** The composition root of the proxy. It creates every part once, and the parts start in this order. */
export function createProxy(facts: ProxyFacts): Running {
  const [{ config }, clock] = [facts, systemClock];
  const events = eventsFor(facts.listeners);
  const store = createStore(config, facts.services);
  // The watchers read the flags and report their problems. Both exist before the first problem can occur.
  const onProblem: OnProblem = (...problem) => watchers.onProblem(...problem);
  const flagged = createFlags(config, store, {
    onProblem: (message) => onProblem('flags', 'unreadable', message),
    onRecovery: () => watchers.onFlagsRead(),
  });
  const orchestrator = createOrchestrator(config, clock, (operation) => watchers.traceparentOf(operation));
  const { services, parts } = createServices(facts, { config, clock, onProblem, states: store.ends.states });
  const largeComparisons = new LargeComparisons();
  const shared = { ...facts, ...store, ...flagged, services, orchestrator, events, clock };
  const guarding = createGuarding({
    ...shared,
    replica: store.replica.id,
    migration: () => migration,
    onProblem: (problem) => onProblem('guard', 'alert', problem),
  });
  const migration: Migration = createMigration({
    ...shared,
    ...judgingOf(guarding, store, services),
    comparisons: { ...store, compareLarge: (pair) => largeComparisons.compare(pair) },
    random: Math.random,
    settings: settingsOf(config),
    spill: store.spilling.edges,
  });
  const watchers: Watchers = createWatchers({ ...shared, migration, guarding });
  return inOrder([
    createPortCheck(config, facts.services),
    watchers.log,
    store.spilling.part,
    store.late(journalPart(store.database, store.heartbeats)),
    pruning(store, config.journal.retentionHours),
    named('flags', flagged.flags),
    ...parts,
    named('orchestrator', orchestrator),
    watchers.telemetry,
    { name: 'comparing', start: async () => undefined, stop: () => largeComparisons.stop() },
    ...watchers.books,
    store.late(guarding.parts.guard),
    migrationPart(migration, store.journal),
    store.late(guarding.parts.interlocks),
    watchers.reports,
    createScheduledReconciliations({ ...shared, migration, onProblem }),
    ...createFronts({ ...facts, ...watchers, ...store.ends, runtimes: services, handler: migration, clock }),
    watchers.service,
  ]);
}

/** The parts that limit reads and flips, and the evidence for them. */
function judgingOf(
  { interlocks, digestOf }: Guarding,
  { keptReads, flips }: Pick<ReturnType<typeof createStore>, 'keptReads' | 'flips'>,
  services: ReadonlyMap<ServiceName, ServiceRuntime>,
): Required<Pick<MigrationParts, 'readLimits' | 'keptReads' | 'flips'>> {
  return {
    readLimits: interlocks,
    keptReads: { store: keptReads, versionOf: digestOf },
    flips: { ...flips, digestOf: laneDigestOf(services, digestOf) },
  };
}

function eventsFor(listeners: readonly Listener[]): Events {
  const events = createEvents();
  for (const listener of listeners) events.subscribe(listener);
  return events;
}

function named(name: string, part: Omit<Part, 'name'>): Part {
  return { name, start: () => part.start(), stop: () => part.stop() };
}

function journalPart(database: Database, heartbeats: Database): Part {
  const stop = async (): Promise<void> => {
    if (heartbeats !== database) await heartbeats.close();
    await database.close();
  };
  return { name: 'journal', start: () => applySchema(database, SCHEMA), stop };
}

/** A heartbeat that takes longer is aborted: its lease has expired by then, and the next one may get a working connection. */
const HEARTBEAT_TIMEOUT_MS = 3_000;

/** A separate connection, so that work which waits for a lock or a connection does not delay heartbeats until the lease expires. */
function heartbeatDatabase(url: string, prepares: boolean): Database {
  return createPostgresDatabase({ url, poolSize: 1, statementTimeoutMs: HEARTBEAT_TIMEOUT_MS, prepares });
}

const servicesOf = ({ services }: Config): ServiceName[] => Object.keys(services).map(serviceName).toSorted();

/** The stores in the database. */
function createStore(config: Config, defined: readonly DefinedService[]) {
  const { databaseUrl, folder, poolSize, preparedStatements, encryptionKey } = config.journal;
  const database =
    databaseUrl === undefined
      ? createPgliteDatabase({ folder })
      : createPostgresDatabase({ url: databaseUrl, poolSize, prepares: preparedStatements });
  const heartbeats =
    databaseUrl === undefined ? database : heartbeatDatabase(databaseUrl, preparedStatements);
  const seal = encryptionKey === undefined ? PLAIN : createSeal(Buffer.from(encryptionKey, 'base64'));
  const replica = new ReplicaIdentity(() => replicaId(randomUUID()), servicesOf(config));
  const versions = Object.fromEntries(
    defined.map(({ name, definition }) => [name, flipVersion(definition)] as const),
  );
  const reverseProofs = createReverseProofs(database);
  const spilling = createSpill({ config, database, replica, seal });
  return {
    database,
    heartbeats,
    seal,
    replica,
    spilling,
    awayPolicy: spilling.policy,
    late: (part: Part): Part => startingLate(part, spilling.mayStartAway),
    journal: new PostgresJournal({ database, replica, seal }),
    keptReplies: new PostgresKeptReplies({ database, seal }),
    differences: createDifferenceStore({ database, seal, sampleHours: config.shadow.sampleHours }),
    letters: createDeadLetterStore(database, seal),
    unknowns: createUnknownLedger(database),
    rules: createRuleStore(database),
    signatures: createSignatureStore(database),
    runs: createRunEdges(database, replica, seal),
    restored: createRestoredStore(database),
    wayBack: createWayBackEdges(database, replica),
    keptReads: createKeptReadStore(database, seal),
    keyedWrites: createKeyedWrites(database, seal),
    reverseLedger: createReverseLedger(database),
    reverseProofs,
    reverseSends: createReverseSends({ database, replica, seal }),
    ends: createEndEdges(config, database),
    // Queried between two heartbeats.
    coverageStore: createCoverageStore(heartbeats),
    replicas: createReplicaStore({ database, heartbeats }, replica.services, versions),
    flips: {
      ...createFlipStores({ database, heartbeats, replica }),
      provenAt: (service: ServiceName) => reverseProofs.provenAt(service),
      settings: flipSettingsOf(config),
      versions,
    },
  };
}

interface FlipStoreParts {
  readonly database: Database;
  readonly heartbeats: Database;
  readonly replica: ReplicaIdentity;
}

function createFlipStores({ database, heartbeats, replica }: FlipStoreParts) {
  return {
    store: createFlipStore(database, replica),
    shares: createFlipShareStore(heartbeats),
    book: createFlipBook(database, replica),
  };
}

function createEndEdges({ readOnly }: Config, database: Database): EndEdges {
  const store = createServiceWritesStore(database);
  const settings = { settleMs: readOnly.settleSeconds * 1_000, censusEverySeconds: readOnly.censusSeconds };
  return { store, states: new ServiceStates(store), settings };
}

function createWayBackEdges(database: Database, replica: ReplicaIdentity): WayBackEdges {
  return { store: createWayBackStore(database, replica), reverse: createReverseLedger(database) };
}

function createOrchestrator(
  { orchestrator: { endpoint, inFlight, key, curve } }: Config,
  clock: Clock,
  traceparentOf: (operation: OperationId) => string | undefined,
): OrchestratorClient {
  return createOrchestratorClient({
    endpoint,
    inFlightLimit: inFlight,
    clock,
    traceparentOf,
    ...(key !== undefined && { key }),
    ...(curve !== undefined && { curve }),
  });
}

function migrationPart(migration: Migration, journal: PostgresJournal): Part {
  const stop = async (): Promise<void> => {
    await migration.stop();
    await journal.drain();
  };
  return { name: 'migration', start: () => migration.start(), stop };
}

function settingsOf(config: Config): Parameters<typeof createMigration>[0]['settings'] {
  const { limits, orchestrator, shadow, copies } = config;
  return {
    limits,
    delivery: { batchSize: orchestrator.batchSize, timeoutMs: orchestrator.deliveryTimeoutMs },
    reads: { timeoutMs: orchestrator.readTimeoutMs },
    shadow,
    copyConcurrency: copies.concurrency,
    journalHours: config.journal.retentionHours,
    backlog: { lane: config.journal.laneBacklog, total: config.journal.totalBacklog },
    copiesAll: copies.automatic,
  };
}

function flipSettingsOf({ flips }: Config): FlipSettings {
  const { perSecond, verifiedHours, provenHours } = flips;
  return {
    perSecond,
    verifiedSeconds: verifiedHours * SECONDS_PER_HOUR,
    provenSeconds: provenHours * SECONDS_PER_HOUR,
  };
}

/** What a comparison of a whole lane depends on: what the evidence of any action of its service depends on. */
function laneDigestOf(services: ReadonlyMap<ServiceName, ServiceRuntime>, digestOf: DigestOf) {
  return (service: ServiceName): string => {
    const actions = Object.keys(services.get(service)?.definition.actions ?? {});
    const digests = actions.map((action) => digestOf(service, action));
    return createHash('sha256').update(digests.join()).digest('hex');
  };
}

interface RuntimeFacts {
  readonly config: Config;
  readonly clock: Clock;
  readonly onProblem: OnProblem;
  readonly states: Pick<ServiceStates, 'stateOf'>;
}

function createServices(
  { services }: Pick<ProxyFacts, 'services'>,
  facts: RuntimeFacts,
): { services: ReadonlyMap<ServiceName, ServiceRuntime>; parts: readonly Part[] } {
  const made = services.map((service) => createRuntime(service, facts));
  return {
    services: new Map(made.map(({ runtime }) => [runtime.name, runtime])),
    parts: made.map(({ part }) => part),
  };
}

function createRuntime(
  defined: DefinedService,
  { config, clock, onProblem, states }: RuntimeFacts,
): { runtime: ServiceRuntime; part: Part } {
  const { name, config: service, definition } = defined;
  const { legacy, access, ...parts } = createLegacyParts(defined, clock);
  const runtime: ServiceRuntime = {
    name: serviceName(name) satisfies ServiceName,
    definition,
    context: { timeZone: service.timeZone },
    legacy: untilComplete(
      tellingFailures(legacy, (detail) => onProblem(name, 'legacy_failed', detail)),
      () => states.stateOf(serviceName(name)) === 'complete',
    ),
    access,
    deadlineMs: service.deadlineMs ?? config.proxy.deadlineMs,
  };
  const part: Part = { name: `legacy ${name}`, start: () => legacy.start(), stop: () => parts.stop() };
  return { runtime, part };
}

/** Logs why calls for agents failed, because agents only learn that the service cannot be reached. */
function tellingFailures(backend: LegacyBackend, onFailure: (detail: string) => void): LegacyBackend {
  const tell = (error: unknown): Promise<Reply> => {
    onFailure(messageOf(error));
    throw error;
  };
  return {
    send: (call) => (call.purpose === 'live' ? backend.send(call).catch(tell) : backend.send(call)),
    load: (purpose) => backend.load(purpose),
  };
}

/** Sends nothing to a legacy service that is complete. The connection may stay open, and nothing uses it. */
function untilComplete(backend: LegacyBackend, isComplete: () => boolean): LegacyBackend {
  return {
    send: async (call) => {
      if (!isComplete()) return backend.send(call);
      throw new ConnectionError('the service is complete, so that legacy is not asked', {
        effect: 'not_applied',
        reason: 'legacy_ended',
      });
    },
    load: (purpose) => backend.load(purpose),
  };
}

const PRUNE_EVERY_MS = 60_000;
/** Agents' commits come between two batches. */
const PRUNE_PAUSE_MS = 50;

/** Deletes old, finished records periodically, a batch at a time. */
function pruning(
  {
    journal,
    keptReplies,
  }: { readonly journal: PostgresJournal; readonly keptReplies: { prune(): Promise<unknown> } },
  hours: number,
): Part {
  let timer: NodeJS.Timeout | undefined;
  let pruned: Promise<void> = Promise.resolve();
  let isStopped = false;
  const prune = async (): Promise<void> => {
    while (!isStopped && (await journal.prune(hours)) >= PRUNED_AT_ONCE)
      await new Promise((resolve) => setTimeout(resolve, PRUNE_PAUSE_MS));
    await keptReplies.prune();
  };
  return {
    name: 'retention',
    start: async () => {
      timer = setInterval(() => {
        pruned = pruned.then(prune).catch(() => undefined);
      }, PRUNE_EVERY_MS);
    },
    stop: async () => {
      isStopped = true;
      clearInterval(timer);
      await pruned;
    },
  };
}
