import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import { parseLaneKey, type LaneKey } from '../domain/ids.ts';
import type { MessageLimits } from '../domain/request.ts';
import { createAskOrchestrator } from './ask-orchestrator.ts';
import { createCallLegacy, type CallLegacy } from './call-legacy.ts';
import { Verdicts, type ComparisonEdges, type ComparisonReport } from './compare/verdicts.ts';
import { CopyQueue } from './copy-queue.ts';
import { LaneCopier } from './copy-lane.ts';
import { CoverageKeeper } from './coverage-keeper.ts';
import { Deliverer } from './deliver.ts';
import type { Events } from './events.ts';
import { Handler, type Answer } from './handle.ts';
import type { ReadLimits } from './interlocks/read-limits.ts';
import { createLanes, type Lane, type Lanes } from './lanes.ts';
import type { Operation } from './operation.ts';
import type {
  Clock,
  CoverageStore,
  DifferenceStore,
  Flags,
  Journal,
  Orchestrator,
  ReplicaStore,
  StreamHandler,
} from './ports.ts';
import { PassPath } from './pass.ts';
import { ReadPath } from './read.ts';
import { Coverage, type ServiceRuntime } from './service-runtime.ts';
import { Settler } from './settle.ts';
import { ShadowReads } from './shadow-reads.ts';
import { WritePath, type CopyCause } from './write.ts';

export interface MigrationSettings {
  readonly limits: MessageLimits;
  readonly delivery: { readonly batchSize: number; readonly timeoutMs: number };
  readonly reads: { readonly timeoutMs: number; readonly freshnessWaitMs: number };
  readonly shadow: { readonly queueSize: number; readonly concurrency: number; readonly timeoutMs: number };
  /** Lanes copied at the same time. */
  readonly copyConcurrency: number;
}

export interface MigrationParts {
  readonly replica: ReplicaId;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly orchestrator: Orchestrator;
  readonly flags: Flags;
  /** What latches and interlocks leave of the flags. @defaultValue everything */
  readonly readLimits?: ReadLimits;
  readonly journal: Journal;
  readonly coverageStore: CoverageStore;
  readonly replicas: ReplicaStore;
  readonly differences: DifferenceStore;
  /** Absent: rules of the definitions only, and no signatures are kept. */
  readonly comparisons?: ComparisonEdges;
  readonly events: Events;
  readonly clock: Clock;
  readonly random: () => number;
  readonly settings: MigrationSettings;
}

/** What waits, for whoever watches. */
export interface Backlog {
  readonly deliveries: number;
  readonly copies: number;
  readonly shadowReads: number;
}

/** The engine: answers agents, and keeps the secondary equal. */
export interface Migration extends StreamHandler {
  /** Takes up what the last process left, then keeps coverage. Requests may come once it resolves. @throws StorageError */
  start(): Promise<void>;
  /** Ends what runs in the background. Requests must have ended before. */
  stop(): Promise<void>;
  backlog(): Backlog;
  /** Deliveries of one service that wait. */
  pendingOf(service: ServiceName): number;
  /** Number of the service's coverage; 0 while its writes pass unjournaled. */
  coverageOf(service: ServiceName): number;
  comparisonsOf(service: ServiceName): ComparisonReport;
  /** Changes with the comparison rules of an action: evidence gathered under others proves nothing. */
  rulesVersion(service: ServiceName, action: string): string;
}

/** The engine's parts, each made once. */
interface Engine {
  readonly lanes: Lanes;
  readonly deliverer: Deliverer;
  readonly copies: CopyQueue;
  readonly settler: Settler;
  readonly keeper: CoverageKeeper;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
}

export function createMigration(parts: MigrationParts): Migration {
  const engine = createEngine(parts);
  const { emit } = parts.events;
  const callLegacy = createCallLegacy(parts.clock, emit);
  const verdicts = new Verdicts({ ...parts, emit, edges: parts.comparisons });
  const shadows = createShadowReads(parts, engine, { callLegacy, verdicts });
  const handler = createHandler(parts, engine, { callLegacy, shadows });
  const passing = new PassPath({ ...parts, limits: parts.settings.limits, coverage: engine.coverage, emit });
  return {
    handle: (request) => handler.handle(request),
    pass: (request) => passing.pass(request),
    async start() {
      await recover(parts, engine);
      await verdicts.start();
      await engine.keeper.start();
      engine.deliverer.wake();
    },
    async stop() {
      await engine.keeper.stop();
      engine.settler.stop();
      await shadows.stop();
      await verdicts.stop();
      await engine.copies.stop();
      await engine.deliverer.stop();
    },
    backlog: () => ({
      deliveries: engine.deliverer.pending,
      copies: engine.copies.size,
      shadowReads: shadows.size,
    }),
    pendingOf: (service) => engine.deliverer.pendingOf(service),
    coverageOf: (service) => engine.coverage.get(service)?.number ?? 0,
    comparisonsOf: (service) => verdicts.report(service),
    rulesVersion: (service, action) => verdicts.rulesVersion(service, action),
  };
}

function createEngine(parts: MigrationParts): Engine {
  const { clock, journal, orchestrator, services, settings, flags, random } = parts;
  const { emit } = parts.events;
  const coverage = new Map([...services.keys()].map((name) => [name, new Coverage()]));
  const lanes = createLanes(journal, clock);
  const shared = { journal, orchestrator, services, coverage, clock, emit };
  const deliverer = new Deliverer({
    ...shared,
    ...settings.delivery,
    random,
    onAltered: (lane) => settler.copyAnew(lane, 'delivery_altered'),
  });
  const copier = new LaneCopier({
    ...shared,
    timeoutMs: settings.delivery.timeoutMs,
    quiet: (lane) => deliverer.quiet(lane),
    covered: (lane, sequence) => deliverer.covered(lane, sequence),
  });
  const copies: CopyQueue = new CopyQueue({
    clock,
    emit,
    concurrency: settings.copyConcurrency,
    copy: (lane) => copier.copy(lane),
    mayCopy: (service) => keeper.mayCopy(service),
  });
  const settler: Settler = new Settler({ journal, copies, clock, emit });
  const keeper: CoverageKeeper = new CoverageKeeper({
    replica: parts.replica,
    replicas: parts.replicas,
    store: parts.coverageStore,
    services,
    coverage,
    flags,
    mayBegin: (service) => parts.readLimits?.mayBegin(service) ?? true,
    lanes,
    copies,
    waitingLanes: (service) => deliverer.waitingLanes(service),
    clock,
    emit,
  });
  return { lanes, deliverer, copies, settler, keeper, coverage };
}

function createShadowReads(
  parts: MigrationParts,
  engine: Engine,
  { callLegacy, verdicts }: { callLegacy: CallLegacy; verdicts: Verdicts },
): ShadowReads {
  const { clock, orchestrator, differences, random } = parts;
  const { emit } = parts.events;
  return new ShadowReads({
    ...parts.settings.shadow,
    lanes: engine.lanes,
    coverage: engine.coverage,
    callLegacy,
    askOrchestrator: createAskOrchestrator({ orchestrator, clock, emit }),
    differences,
    verdicts,
    random,
    clock,
    emit,
  });
}

function createHandler(
  parts: MigrationParts,
  engine: Engine,
  { callLegacy, shadows }: { callLegacy: CallLegacy; shadows: ShadowReads },
): Handler {
  const { clock, orchestrator, journal, settings } = parts;
  const { emit } = parts.events;
  const { lanes, coverage } = engine;
  const writes = new WritePath({
    journal,
    lanes,
    callLegacy,
    clock,
    emit,
    coverage,
    deliver: (lane, write) => engine.deliverer.deliver(lane, write),
    copySoon: (lane, reason) => copySoon(engine, lane, reason),
    settle: (lane, operation) => engine.settler.settle(lane, operation.service),
    gate: (operation) => engine.settler.gate(operation.service.name, operation.deadlineAtMs),
  });
  const reads = new ReadPath({
    lanes,
    callLegacy,
    askOrchestrator: createAskOrchestrator({ orchestrator, clock, emit }),
    shadows,
    coverage,
    clock,
    emit,
    hurry: () => engine.deliverer.hurry(),
    isCatchingUp: () => engine.deliverer.isFlowing && orchestrator.load('live').breaker !== 'open',
    readTimeoutMs: settings.reads.timeoutMs,
    freshnessWaitMs: settings.reads.freshnessWaitMs,
  });
  return new Handler({
    services: parts.services,
    coverage,
    flags: parts.flags,
    readLimits: parts.readLimits,
    limits: settings.limits,
    clock,
    emit,
    paths: {
      write: (operation, decision) => writes.write(operation, decision),
      read: (operation, decision) => reads.read(operation, decision),
      passThrough: (operation) => passThrough(operation, callLegacy),
    },
  });
}

async function passThrough(operation: Operation, callLegacy: CallLegacy): Promise<Answer> {
  const { reply, durationMs } = await callLegacy(operation, 'live');
  return { reply, backend: 'legacy', primaryMs: durationMs };
}

function copySoon({ copies, settler }: Engine, lane: Lane, cause: CopyCause): void {
  if (cause === 'unseeded') copies.add(lane, cause);
  else settler.copyAnew(lane, cause);
}

/** SEMANTICS "Crash points": what the last process left behind. */
async function recover({ journal, services }: MigrationParts, engine: Engine): Promise<void> {
  const found = await journal.recover();
  const load = (key: LaneKey): Promise<Lane> => {
    const { service, owner } = parseLaneKey(key);
    return engine.lanes.load(service, owner);
  };
  for (const key of found.dirty) {
    const lane = await load(key);
    const service = services.get(lane.service);
    if (service !== undefined) engine.settler.resume(lane, service);
  }
  for (const key of found.pending) engine.deliverer.resume(await load(key));
}
