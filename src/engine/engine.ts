import { CANARY_OWNER, type LaneKey, parseLaneKey, type ServiceName } from '../domain/ids.ts';
import { createCallLegacy } from './calls/call-legacy.ts';
import { LaneCopier } from './copies/copy-lane.ts';
import { CopyQueue } from './copies/copy-queue.ts';
import { CoverageKeeper } from './coverage/coverage-keeper.ts';
import { Unjournaled } from './coverage/unjournaled.ts';
import { Deliverer } from './delivery/deliver.ts';
import { RestoredBackups } from './flips/restored-backups.ts';
import { WayBack } from './flips/way-back.ts';
import { Fences } from './lane/fence.ts';
import { createHoldLane, type HoldLane } from './lane/hold-lane.ts';
import { createLanes, type Lanes } from './lane/lanes.ts';
import type { MigrationParts } from './parts.ts';
import { NO_LIMITS } from './ports/decision.ts';
import { Coverage } from './ports/service-runtime.ts';
import { ForeignLanes } from './replicas/foreign-lanes.ts';
import { UnconfirmedLanes } from './replicas/unconfirmed-lanes.ts';
import { Membership } from './replicas/membership.ts';
import { TakeOver } from './replicas/take-over.ts';
import { Shares } from './flips/shares.ts';
import { createSignalHub, type SignalHub } from './signals.ts';
import { Outage } from './spill/outage.ts';
import { Canary } from './reverse/canary.ts';
import { SpillPath } from './spill/spill-path.ts';
import { Spill } from './spill/spill.ts';
import { OrchestratorPrimary, type OrchestratorPrimaryParts } from './writes/orchestrator-primary.ts';
import { OutcomeRecorder } from './writes/outcome-recorder.ts';
import { Settler } from './writes/settle.ts';

const HOUR_MS = 3_600_000;

/** The background parts, each made once. */
export interface Engine extends Presence, Moving, Covering, Recovery {}

/** Parts are made in the order in which they need each other. A call to a part that is made later is a signal. */
export function createEngine(parts: MigrationParts): Engine {
  const hub = createSignalHub();
  const presence = createPresence(parts, hub);
  const moving = createMoving(parts, hub, presence);
  const covering = createCovering(parts, hub, { ...presence, ...moving });
  const recovery = createRecovery(parts, hub, { ...presence, ...moving, ...covering });
  hub.assertConnected();
  return { ...presence, ...moving, ...covering, ...recovery };
}

/** This replica among the others, and what it knows of the journal. */
interface Presence {
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly outcomeRecorder: OutcomeRecorder;
  /** Absent: nothing is spilled, and writes are refused while the journal is away. */
  readonly outage: Outage | undefined;
  readonly membership: Membership;
  /** Whether no other replica writes. Then memory knows everything that the journal knows. */
  readonly isAlone: () => boolean;
  /** Whether this replica has written, or may write, something that the journal does not know. */
  readonly isSpilling: () => boolean;
  readonly fences: Fences;
  readonly hold: HoldLane;
  /** Absent: no lane is flipped. */
  readonly shares: Shares | undefined;
}

function createPresence(parts: MigrationParts, { signals }: SignalHub): Presence {
  const { clock, journal, services, spill, replica: identity } = parts;
  const { emit } = parts.events;
  const coverage = new Map([...services.keys()].map((name) => [name, new Coverage()]));
  const outcomeRecorder = new OutcomeRecorder({ journal, clock, emit, signals });
  const outage = spill && new Outage({ clock, emit, signals });
  const isSpilling = (): boolean => outage?.isSpilling ?? false;
  const shares = createShares(parts);
  const membership = new Membership({
    identity,
    store: parts.replicas,
    clock,
    spill: spill?.store,
    isSpilling,
    shares: () => shares?.reported() ?? {},
    signals,
  });
  const isAlone = (): boolean => membership.isAlone;
  const fences = new Fences({ journal, coverage, clock, isAlone, isSpilling });
  const hold = createHoldLane({
    journal,
    clock,
    isAlone,
    identity,
    mayAct: () => membership.mayAct,
    busy: signals.busy,
  });
  return { coverage, outcomeRecorder, outage, membership, isAlone, isSpilling, fences, hold, shares };
}

function createShares({
  flips,
  flags,
  readLimits,
  spill,
  clock,
  events,
}: MigrationParts): Shares | undefined {
  if (flips === undefined) return undefined;
  return new Shares({
    store: flips.shares,
    versions: flips.versions,
    flags,
    atMost: (service) => (readLimits ?? NO_LIMITS).writes(service).atMost,
    disk: spill?.store,
    clock,
    emit: events.emit,
  });
}

/** The parts that move data to the secondary, and the lanes. */
interface Moving {
  readonly deliverer: Deliverer;
  readonly copier: LaneCopier;
  readonly copies: CopyQueue;
  readonly lanes: Lanes;
  readonly settler: Settler;
}

function createMoving(parts: MigrationParts, hub: SignalHub, presence: Presence): Moving {
  const { clock, journal, orchestrator, services, settings, random } = parts;
  const { emit } = parts.events;
  const { coverage, outcomeRecorder, membership, isAlone, isSpilling } = presence;
  const { batchSize, timeoutMs } = settings.delivery;
  const deliverer = new Deliverer({
    journal,
    orchestrator,
    services,
    coverage,
    clock,
    emit,
    batchSize,
    timeoutMs,
    random,
    isAlone,
    reverse: {
      sends: parts.reverseSends,
      proofs: parts.reverseProofs,
      mayAct: () => membership.mayAct,
      journalKeptMs: (settings.journalHours ?? 1) * HOUR_MS,
      isComplete: (service) => parts.ends?.states.isComplete(service) === true,
    },
    signals: hub.signals,
  });
  const copier = createCopier(parts, hub, { ...presence, deliverer });
  const copies = new CopyQueue({
    clock,
    emit,
    concurrency: settings.copyConcurrency,
    copy: (lane) => copier.copy(lane),
    // To a copy, the effects of spilled writes, here or elsewhere, would look as if they had no cause.
    mayCopy: (service) =>
      coverage.get(service)?.mayCopy === true && !isSpilling() && !membership.isAnySpilled,
  });
  const lanes = createLanes(journal, clock, (lane) => copies.holds(lane));
  const settler = new Settler({ journal, outcomeRecorder, copies, clock, emit });
  hub.connect({
    copyAnew: (lane, reason) => settler.copyAnew(lane, reason),
    taken: (service, sentAtMs) => settler.taken(service, sentAtMs),
    isShut: (service) => settler.isShut(service),
  });
  return { deliverer, copier, copies, lanes, settler };
}

function createCopier(
  { journal, orchestrator, services, clock, events, settings, runs }: MigrationParts,
  { signals }: SignalHub,
  { coverage, outcomeRecorder, hold, isSpilling, isAlone, deliverer }: Presence & Pick<Moving, 'deliverer'>,
): LaneCopier {
  return new LaneCopier({
    journal,
    orchestrator,
    services,
    coverage,
    clock,
    emit: events.emit,
    timeoutMs: settings.delivery.timeoutMs,
    history: runs?.history,
    hold,
    isSpilling,
    isAlone,
    recordedUpTo: (lane, sequence) => outcomeRecorder.recordedUpTo(lane, sequence),
    quiet: (lane) => deliverer.quiet(lane),
    listedLost: async ({ service, owner }) => runs?.lostItems.waiting(service, owner) ?? [],
    listLost: async ({ service, owner }, items) => runs?.lostItems.found(service, owner, items),
    covered: (lane, sequence) => deliverer.covered(lane, sequence),
    signals,
  });
}

/** The parts that decide where writes are recorded: in the journal, in the spill, or nowhere. */
interface Covering {
  readonly unjournaled: Unjournaled;
  /** Absent: nothing is spilled, and writes are refused while the journal is away. */
  readonly spilling: Spilling | undefined;
  readonly keeper: CoverageKeeper;
}

function createCovering(parts: MigrationParts, hub: SignalHub, made: Presence & Moving): Covering {
  const { clock, journal, services, flags, readLimits, coverageStore: store, settings } = parts;
  const { coverage, membership, settler, lanes, copies, deliverer } = made;
  const unjournaled = new Unjournaled({ coverage, clock, probed: (service) => settler.probed(service) });
  const spilling = createSpilling(parts, hub, made);
  const keeper = new CoverageKeeper({
    membership,
    spill: spilling?.spill,
    unjournaled,
    shares: made.shares,
    store,
    journal,
    services,
    coverage,
    flags,
    mayBegin: (service) => readLimits?.mayBegin(service) ?? true,
    copiesAll: settings.copiesAll ?? true,
    lanes,
    copies,
    waitingLanes: (service) => deliverer.waitingLanes(service),
    clock,
    emit: parts.events.emit,
  });
  hub.connect({ beatNow: () => keeper.beatNow() });
  return { unjournaled, spilling, keeper };
}

/** The parts that concern the spill of one replica. */
interface Spilling {
  readonly path: SpillPath;
  readonly spill: Spill;
}

function createSpilling(
  { spill: edges, replica: identity, services, coverageStore, clock, events }: MigrationParts,
  { signals }: SignalHub,
  { outage, membership, outcomeRecorder, coverage, settler, shares }: Presence & Moving,
): Spilling | undefined {
  if (edges === undefined || outage === undefined) return undefined;
  const { emit } = events;
  const { store, journal } = edges;
  const path = new SpillPath({
    outage,
    membership,
    store,
    journal,
    identity,
    outcomeRecorder,
    coverage,
    callLegacy: createCallLegacy(clock, emit),
    clock,
    emit,
    settle: (lane, { service }) => void settler.settle(lane, service),
    isShut: ({ service }) => settler.isShut(service.name),
    gate: ({ service, deadlineAtMs }) => settler.gate(service.name, deadlineAtMs),
    mayBeFlipped: (lane) => shares?.contains(lane) ?? false,
  });
  const spill = new Spill({
    outage,
    path,
    store,
    journal,
    coverageStore,
    services,
    clock,
    emit,
    signals,
  });
  return { path, spill };
}

/** The parts that continue what other replicas, or the last process, have left. */
interface Recovery {
  readonly takeOver: TakeOver;
  readonly canary: Canary;
  readonly orchestratorPrimary: OrchestratorPrimary;
  /** Absent: restored databases are not noticed. */
  readonly restored: RestoredBackups | undefined;
  /** Absent: no lane returns to legacy. */
  readonly wayBack: WayBack | undefined;
  readonly unconfirmed: UnconfirmedLanes;
  readonly foreign: ForeignLanes;
}

function createOrchestratorPrimary(
  { orchestrator, journal, clock, events }: MigrationParts,
  { membership, shares, admit }: Presence & Pick<OrchestratorPrimaryParts, 'admit'>,
): OrchestratorPrimary {
  return new OrchestratorPrimary({
    orchestrator,
    journal,
    clock,
    emit: events.emit,
    mayAct: () => membership.mayAct,
    agrees: (service) => shares?.agrees(service) ?? true,
    admit,
  });
}

function createRecovery(
  parts: MigrationParts,
  { signals, connect }: SignalHub,
  made: Presence & Moving & Covering,
): Recovery {
  const { replica: identity, journal, services, clock } = parts;
  const { coverage, outcomeRecorder, membership, isAlone, deliverer, copies, lanes, settler, keeper } = made;
  const { emit } = parts.events;
  const { restored, admit } = createRestored(parts, made);
  const orchestratorPrimary = createOrchestratorPrimary(parts, { ...made, admit });
  const takeOver = new TakeOver({
    orchestratorPrimary,
    identity,
    journal,
    lanes,
    services,
    coverage,
    deliverer,
    copies,
    settler,
    outcomeRecorder,
    kept: parts.keptReplies,
    clock,
    emit,
    backfillAnew: () => keeper.backfillAnew(),
    signals,
  });
  connect({
    overtaken: (lane) => takeOver.overtaken(lane),
    letGo: (lane) => takeOver.letGo(lane),
    busy: (lane) => takeOver.busy(lane),
    replicasChanged: (what) => takeOver.changed(what),
    spilled: (lane, replayed) => takeOver.spilled(lane, replayed),
    recover: () => takeOver.recover(),
  });
  const unconfirmed = new UnconfirmedLanes({
    journal,
    lanes,
    deliverer,
    clock,
    membership,
    copies,
    takeOver,
  });
  connect({ note: (lane) => unconfirmed.note(lane) });
  const foreign = new ForeignLanes({ journal, lanes, clock, emit, isAlone, copies, takeOver, unconfirmed });
  const canary = createCanary(parts, made);
  const wayBack = createWayBack(parts, made);
  return { takeOver, canary, orchestratorPrimary, restored, wayBack, unconfirmed, foreign };
}

/** Absent without its store. Then every lane is admitted. */
function createRestored(
  { restored: store, runs, orchestrator, services, clock, events }: MigrationParts,
  { lanes, hold }: Presence & Moving,
): Pick<Recovery, 'restored'> & { readonly admit: (lane: LaneKey) => Promise<void> | undefined } {
  if (store === undefined || runs === undefined) return { restored: undefined, admit: () => undefined };
  const { history } = runs;
  const { emit } = events;
  const restored = new RestoredBackups({
    store,
    orchestrator,
    services,
    lanes,
    hold,
    history,
    clock,
    emit,
  });
  return {
    restored,
    admit: (key) => {
      const { service, owner } = parseLaneKey(key);
      return restored.admit(lanes.of(service, owner));
    },
  };
}

function createCanary(
  { reverseProofs: proofs, services, flags, clock, events }: MigrationParts,
  { membership, settler, lanes }: Presence & Moving,
): Canary {
  return new Canary({
    proofs,
    services,
    flags,
    clock,
    emit: events.emit,
    isUsed: async (service) => (await lanes.load(service, CANARY_OWNER)).id !== 0,
    mayAct: () => membership.mayAct,
    isShut: (service) => settler.isShut(service),
  });
}

function createWayBack(
  {
    wayBack: edges,
    flips,
    reverseProofs: proofs,
    journal,
    orchestrator,
    services,
    clock,
    events,
  }: MigrationParts,
  { lanes, deliverer, copies, membership }: Presence & Moving,
): WayBack | undefined {
  if (edges === undefined || flips === undefined) return undefined;
  return new WayBack({
    ...edges,
    flips: flips.store,
    shares: flips.shares,
    proofs,
    journal,
    lanes,
    deliverer,
    copies,
    orchestrator,
    services,
    mayAct: () => membership.mayAct,
    clock,
    emit: events.emit,
  });
}
