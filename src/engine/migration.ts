import type { ServiceName } from '../domain/ids.ts';
import type { Clock } from '../shared/clock.ts';
import type { MigrationParts } from './parts.ts';
import { createAskOrchestrator } from './calls/ask-orchestrator.ts';
import { type CallLegacy, createCallLegacy } from './calls/call-legacy.ts';
import { RemovedItems } from './compare/removed-items.ts';
import { type ComparisonReport, Verdicts } from './compare/verdicts.ts';
import { createWrites } from './create-writes.ts';
import { createEngine, type Engine } from './engine.ts';
import { type Living, startEngine, Starting, stopEngine } from './engine-life.ts';
import { DeliveryWait, ReadPath } from './requests/read.ts';
import { Handler } from './requests/handle.ts';
import { LaneCommands } from './runs/lane-commands.ts';
import type { StreamHandler } from './ports/operation.ts';
import type { ReplicaCounts } from './replicas/membership.ts';
import { PassPath, passThrough } from './requests/pass.ts';
import { createLaneComparing, type LaneComparing } from './create-lane-comparing.ts';
import { createRuns, type Runs } from './create-runs.ts';
import { RepeatedReads } from './shadow/repeated-reads.ts';
import { ShadowReads } from './shadow/shadow-reads.ts';
import type { SpillStatus } from './spill/spill.ts';

/** The numbers of waiting work. */
interface Backlog {
  readonly deliveries: number;
  readonly copies: number;
  /** Covered services whose owners are not listed yet. Until then `copies` does not count their lanes. */
  readonly listings: number;
  readonly shadowReads: number;
}

/** The engine: answers agents, and keeps the secondary equal to the primary. */
export interface Migration extends StreamHandler {
  /** Takes over what the last process left, then keeps coverage. Requests may come after it resolves. @throws StorageError */
  start(): Promise<void>;
  /** Ends background work. All requests must have ended before. */
  stop(): Promise<void>;
  backlog(): Backlog;
  /** Waiting deliveries of one service. */
  pendingOf(service: ServiceName): number;
  /** This replica and the others that share its journal. */
  replicas(): ReplicaCounts;
  /**
   * Whether journaled writes are sent: the journal answers this replica's heartbeats, and the replica's wait after joining is
   * over.
   */
  mayWrite(): boolean;
  /** Undefined if nothing is spilled. Writes are then refused while the journal is away. */
  spillStatus(): SpillStatus | undefined;
  /** Number of the service's coverage; 0 while its writes are not journaled; -1 while it is unknown and assumed to be open. */
  coverageOf(service: ServiceName): number;
  comparisonsOf(service: ServiceName): ComparisonReport;
  /** Runs over all lanes. Absent without a run store. */
  readonly runs: Pick<Runs, 'desk' | 'repairCommands'> | undefined;
  /** What people request for single lanes. */
  readonly laneCommands: LaneCommands;
  /** Changes with the comparison rules of an action, because evidence gathered under other rules proves nothing. */
  rulesVersion(service: ServiceName, action: string): string;
}

export function createMigration(parts: MigrationParts): Migration {
  const engine = createEngine(parts);
  const { emit } = parts.events;
  const callLegacy = createCallLegacy(parts.clock, emit);
  const verdicts = new Verdicts({
    services: parts.services,
    clock: parts.clock,
    emit,
    edges: parts.comparisons,
  });
  const comparing = createLaneComparing(parts, engine, verdicts);
  const { samples, explainGone } = comparing ?? {};
  const shadows = createShadowReads(parts, engine, { callLegacy, verdicts, samples, explainGone });
  const repeats = createRepeats(parts, engine, { callLegacy, shadows });
  const handler = createHandler(parts, engine, { callLegacy, shadows, repeats });
  const { membership } = engine;
  const say = sayTo(handler, parts.clock);
  const runs = parts.runs && comparing && createRuns(parts, engine, { edges: parts.runs, comparing, say });
  const living = { engine, verdicts, shadows, samples, repeats, runs };
  const starting = new Starting({
    spill: engine.spilling?.spill,
    coverage: engine.coverage,
    clock: parts.clock,
    emit,
    begin: () => startEngine(living),
  });
  const passing = createPassPath(parts, engine);
  return {
    handle: (request) => handler.handle(request),
    pass: (request) => passing.pass(request),
    passUnknown: (request) => passing.passUnknown(request),
    start: () => starting.start(),
    async stop() {
      await starting.stop();
      await stopEngine(living);
    },
    backlog: () => backlogOf(living),
    pendingOf: (service) => engine.deliverer.pendingOf(service),
    replicas: () => membership.counts(),
    mayWrite: () => membership.mayAct,
    spillStatus: () => engine.spilling?.spill.status(),
    coverageOf: (service) => engine.coverage.get(service)?.number ?? 0,
    runs,
    laneCommands: createLaneDesk(parts, engine),
    comparisonsOf: (service) => verdicts.report(service),
    rulesVersion: (service, action) => verdicts.rulesVersion(service, action),
  };
}

function createPassPath(
  { services, flags, settings, clock, events }: MigrationParts,
  { coverage, unjournaled, membership }: Engine,
): PassPath {
  return new PassPath({
    services,
    coverage,
    flags,
    unjournaled,
    mayPass: () => membership.mayPass,
    limits: settings.limits,
    clock,
    emit: events.emit,
  });
}

function createLaneDesk(
  { journal, services }: MigrationParts,
  { lanes, coverage, settler, takeOver }: Engine,
): LaneCommands {
  return new LaneCommands({ lanes, journal, services, coverage, settler, takeOver });
}

function backlogOf({ engine: { deliverer, copies, keeper }, shadows }: Living): Backlog {
  return {
    deliveries: deliverer.pending,
    copies: copies.size,
    listings: keeper.listings,
    shadowReads: shadows.size,
  };
}

/** Sends a person's request in the same way as an agent's. */
function sayTo(handler: Handler, clock: Clock) {
  return async (service: ServiceName, text: string): Promise<Buffer> => {
    const reply = await handler.handle({ service, body: Buffer.from(text), receivedAtMs: clock.now() });
    return reply.body;
  };
}

interface Comparing {
  readonly callLegacy: CallLegacy;
  readonly verdicts: Verdicts;
  readonly samples: LaneComparing['samples'] | undefined;
  readonly explainGone: LaneComparing['explainGone'] | undefined;
}

function createShadowReads(
  parts: MigrationParts,
  engine: Engine,
  { callLegacy, verdicts, samples, explainGone }: Comparing,
): ShadowReads {
  const { clock, orchestrator, differences, random, services, keyedWrites } = parts;
  const { emit } = parts.events;
  const { queueSize, concurrency, timeoutMs } = parts.settings.shadow;
  return new ShadowReads({
    queueSize,
    concurrency,
    timeoutMs,
    lanes: engine.lanes,
    watermarks: engine.deliverer.watermarks,
    fences: engine.fences,
    hold: engine.hold,
    isAlone: engine.isAlone,
    callLegacy,
    askOrchestrator: createAskOrchestrator({ orchestrator, clock, emit }),
    differences,
    verdicts,
    samples,
    explainGone,
    removed: keyedWrites && new RemovedItems(services, keyedWrites),
    random,
    clock,
    emit,
  });
}

interface Asking {
  readonly callLegacy: CallLegacy;
  readonly shadows: ShadowReads;
}

function createRepeats(
  parts: MigrationParts,
  { coverage, lanes }: Engine,
  { callLegacy, shadows }: Asking,
): RepeatedReads | undefined {
  const { keptReads, services, flags, clock, settings, events } = parts;
  const { repeatsPerMinute = 0, timeoutMs } = settings.shadow;
  if (keptReads === undefined || repeatsPerMinute === 0) return undefined;
  return new RepeatedReads({
    store: keptReads.store,
    versionOf: keptReads.versionOf,
    callLegacy,
    shadows,
    services,
    coverage,
    flags,
    lanes,
    clock,
    timeoutMs,
    limits: settings.limits,
    emit: events.emit,
    perMinute: repeatsPerMinute,
  });
}

function createHandler(
  parts: MigrationParts,
  engine: Engine,
  { callLegacy, shadows, repeats }: Asking & { readonly repeats: RepeatedReads | undefined },
): Handler {
  const { clock, orchestrator, settings } = parts;
  const { emit } = parts.events;
  const { lanes, coverage, fences } = engine;
  const writes = createWrites(parts, engine, callLegacy);
  const deliveryWait = new DeliveryWait(clock);
  parts.events.subscribe(deliveryWait.listener);
  const reads = new ReadPath({
    lanes,
    callLegacy,
    askOrchestrator: createAskOrchestrator({ orchestrator, clock, emit }),
    shadows: {
      offer(read) {
        if (read.isCompared) repeats?.keep(read.operation);
        shadows.offer(read);
      },
    },
    fences,
    watermarks: engine.deliverer.watermarks,
    clock,
    emit,
    hurry: (lane) => engine.deliverer.hurry(lane),
    isCopiedSoon: (lane) => engine.copies.holds(lane),
    mayDeliveriesSucceed: () => engine.deliverer.isFlowing && orchestrator.load('live').breaker !== 'open',
    readTimeoutMs: settings.reads.timeoutMs,
    deliveryWait,
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
      passThrough: (operation) =>
        passThrough(operation, { callLegacy, lanes, settler: engine.settler, coverage, emit }),
    },
  });
}
