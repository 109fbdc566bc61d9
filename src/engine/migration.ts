import type { ServiceName } from '../domain/ids.ts';
import type { WritesState } from '../domain/stage.ts';
import { EndKeeper } from './ends/end-keeper.ts';
import type { Clock } from '../shared/clock.ts';
import type { MigrationParts } from './parts.ts';
import { createAskOrchestrator } from './calls/ask-orchestrator.ts';
import { type CallLegacy, createCallLegacy } from './calls/call-legacy.ts';
import { RemovedItems } from './compare/removed-items.ts';
import { type ComparisonReport, Verdicts } from './compare/verdicts.ts';
import { createWrites } from './create-writes.ts';
import { createEngine, type Engine } from './engine.ts';
import type { Births } from './flips/births.ts';
import { createFlips } from './create-flips.ts';
import type { Flipper } from './flips/flipper.ts';
import { type Living, startEngine, Starting, stopEngine } from './engine-life.ts';
import type { RestoredBackups } from './flips/restored-backups.ts';
import type { WayBack } from './flips/way-back.ts';
import { watched } from './flips/watched-orchestrator.ts';
import { DeliveryWait, ReadPath } from './requests/read.ts';
import { Primaries } from './lane/primaries.ts';
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
  /** Lanes that a restored database has only in part. Absent without their store. */
  readonly restored: Pick<RestoredBackups, 'list' | 'accept' | 'counts' | 'backedUp'> | undefined;
  /** What moves lanes to the orchestrator. Absent: no lane is flipped. */
  readonly flipper:
    | Pick<
        Flipper,
        | 'isMoving'
        | 'standing'
        | 'explain'
        | 'obstaclesOfFirst'
        | 'firstNamed'
        | 'counts'
        | 'factsOfLanes'
        | 'forget'
      >
    | undefined;
  /** The return of lanes to legacy. Absent without its stores. */
  readonly wayBack: Pick<WayBack, 'readiness' | 'plan' | 'begin' | 'find' | 'list' | 'halt'> | undefined;
  /** What people request for single lanes. */
  readonly laneCommands: LaneCommands;
  /** Changes with the comparison rules of an action, because evidence gathered under other rules proves nothing. */
  rulesVersion(service: ServiceName, action: string): string;
}

export function createMigration(given: MigrationParts): Migration {
  const parts = watching(given, () => engine.restored);
  const engine: Engine = createEngine(parts);
  const { emit } = parts.events;
  const callLegacy = createCallLegacy(parts.clock, emit);
  const verdicts = createVerdicts(parts);
  const comparing = createLaneComparing(parts, engine, verdicts);
  const { samples, explainGone } = comparing ?? {};
  const shadows = createShadowReads(parts, engine, { callLegacy, verdicts, samples, explainGone });
  const repeats = createRepeats(parts, engine, { callLegacy, shadows });
  const { flipper, births } = createFlips(parts, engine, comparing);
  const handler = createHandler(parts, engine, { callLegacy, shadows, repeats, births });
  const say = sayTo(handler, parts.clock);
  const runs = parts.runs && comparing && createRuns(parts, engine, { edges: parts.runs, comparing, say });
  const ends = createEnds(parts, engine);
  const living = { engine, verdicts, shadows, samples, repeats, runs, flipper, ends };
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
    replicas: () => engine.membership.counts(),
    mayWrite: () => engine.membership.mayAct,
    spillStatus: () => engine.spilling?.spill.status(),
    coverageOf: (service) => engine.coverage.get(service)?.number ?? 0,
    runs,
    flipper,
    laneCommands: createLaneDesk(parts, engine),
    restored: engine.restored,
    wayBack: engine.wayBack,
    comparisonsOf: (service) => verdicts.report(service),
    rulesVersion: (service, action) => verdicts.rulesVersion(service, action),
  };
}

/**
 * The same parts. Each lost connection to the orchestrator is reported. A comparison proves only something about the database that
 * answered it, so that one is part of what a lane is judged by.
 */
function watching(parts: MigrationParts, restored: () => RestoredBackups | undefined): MigrationParts {
  const { flips } = parts;
  const orchestrator = watched(parts.orchestrator, () => restored()?.lost('orchestrator'));
  if (flips === undefined) return { ...parts, orchestrator };
  const digestOf = (service: ServiceName): string =>
    `${flips.digestOf(service)} ${restored()?.orchestratorDatabase ?? ''}`;
  return { ...parts, orchestrator, flips: { ...flips, digestOf } };
}

function createVerdicts({ services, clock, events, comparisons }: MigrationParts): Verdicts {
  return new Verdicts({ services, clock, emit: events.emit, edges: comparisons });
}

/** Absent without the stores that it needs. */
function createEnds(
  { ends, runs, services, journal, clock, events }: MigrationParts,
  { deliverer, takeOver }: Engine,
): EndKeeper | undefined {
  if (ends === undefined || runs === undefined) return undefined;
  const { baselines, history } = runs;
  const decided = async (): Promise<void> => {
    deliverer.reverse.forget();
    await takeOver.recover();
  };
  return new EndKeeper({
    ...ends,
    baselines,
    history,
    services,
    journal,
    clock,
    decided,
    emit: events.emit,
  });
}

function createPassPath(
  { services, flags, settings, clock, events, ends }: MigrationParts,
  { coverage, unjournaled, membership }: Engine,
): PassPath {
  return new PassPath({
    services,
    coverage,
    flags,
    unjournaled,
    mayPass: () => membership.mayPass,
    writesStateOf: (service) => ends?.states.stateOf(service) ?? 'open',
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

type Reading = Asking & { readonly repeats: RepeatedReads | undefined };

function createReads(
  { clock, orchestrator, reverseSends, settings, events }: MigrationParts,
  engine: Engine,
  { callLegacy, shadows, repeats }: Reading,
): ReadPath {
  const { emit } = events;
  const deliveryWait = new DeliveryWait(clock);
  events.subscribe(deliveryWait.listener);
  return new ReadPath({
    lanes: engine.lanes,
    callLegacy,
    askOrchestrator: createAskOrchestrator({ orchestrator, clock, emit }),
    shadows: {
      offer(read) {
        if (read.isCompared) repeats?.keep(read.operation);
        shadows.offer(read);
      },
    },
    fences: engine.fences,
    restored: engine.restored,
    reverse: reverseSends,
    watermarks: engine.deliverer.watermarks,
    clock,
    emit,
    hurry: (lane) => engine.deliverer.hurry(lane),
    isCopiedSoon: (lane) => engine.copies.holds(lane),
    mayDeliveriesSucceed: () => engine.deliverer.isFlowing && orchestrator.load('live').breaker !== 'open',
    readTimeoutMs: settings.reads.timeoutMs,
    deliveryWait,
  });
}

/** Every replica has reported the share before a lane of it is flipped. */
function createPrimaries(
  { journal, clock, settings }: MigrationParts,
  { lanes, isAlone, shares }: Engine,
): Primaries {
  return new Primaries({
    journal,
    lanes,
    clock,
    isAlone,
    mayHaveMoved: (lane) => shares?.contains(lane) ?? false,
    timeoutMs: settings.reads.timeoutMs,
  });
}

function createHandler(
  parts: MigrationParts,
  engine: Engine,
  { births, ...reading }: Reading & { readonly births: Births | undefined },
): Handler {
  const { clock, services, flags, readLimits, settings } = parts;
  const { emit } = parts.events;
  const { lanes, coverage, settler } = engine;
  const { callLegacy } = reading;
  const writesStateOf = (service: ServiceName): WritesState => parts.ends?.states.stateOf(service) ?? 'open';
  const writes = createWrites(parts, engine, { callLegacy, births });
  const reads = createReads(parts, engine, reading);
  return new Handler({
    services,
    primaries: createPrimaries(parts, engine),
    coverage,
    flags,
    readLimits,
    writesStateOf,
    limits: settings.limits,
    clock,
    emit,
    paths: {
      write: (operation, decision) => writes.write(operation, decision),
      read: (operation, decision, seen) => reads.read(operation, decision, seen),
      passThrough: (operation) =>
        passThrough(operation, { callLegacy, lanes, settler, coverage, writesStateOf, emit }),
    },
  });
}
