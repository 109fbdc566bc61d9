import type { ServiceName } from '../domain/ids.ts';
import { LaneCopier } from './copies/copy-lane.ts';
import { CopyQueue } from './copies/copy-queue.ts';
import { CoverageKeeper } from './coverage/coverage-keeper.ts';
import { Deliverer } from './delivery/deliver.ts';
import { DeliveryWait } from './requests/delivery-wait.ts';
import { Fences } from './lane/fence.ts';
import { ForeignLanes } from './replicas/foreign-lanes.ts';
import { LooseEnds } from './replicas/loose-ends.ts';
import { createHoldLane, type HoldLane } from './lane/hold-lane.ts';
import type { Lane } from './lane/lane.ts';
import { createLanes, type Lanes } from './lane/lanes.ts';
import { Membership } from './replicas/membership.ts';
import type { MigrationParts } from './parts.ts';
import { Coverage } from './ports/service-runtime.ts';
import { Settlements } from './writes/settlements.ts';
import { Settler } from './writes/settle.ts';
import { createSpilling, type Spilling, type SpillWiring } from './create-spill.ts';
import { TakeOver } from './replicas/take-over.ts';
import { Unjournaled } from './coverage/unjournaled.ts';

/** The background parts, each made once. */
export interface Engine {
  readonly lanes: Lanes;
  readonly membership: Membership;
  readonly fences: Fences;
  readonly hold: HoldLane;
  readonly deliverer: Deliverer;
  readonly deliveryWait: DeliveryWait;
  readonly copier: LaneCopier;
  readonly copies: CopyQueue;
  readonly settler: Settler;
  readonly keeper: CoverageKeeper;
  readonly takeOver: TakeOver;
  readonly foreign: ForeignLanes;
  readonly looseEnds: LooseEnds;
  readonly unjournaled: Unjournaled;
  readonly settlements: Settlements;
  /** Absent: nothing is spilled, and writes are refused while the journal is away. */
  readonly spilling: Spilling | undefined;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
}

export function createEngine(parts: MigrationParts): Engine {
  const { clock, journal, services } = parts;
  const { emit } = parts.events;
  const coverage = new Map([...services.keys()].map((name) => [name, new Coverage()]));
  const lanes = createLanes(journal, clock, (lane) => moving.copies.holds(lane));
  const settlements = new Settlements({ journal, clock, emit, onAbandoned: (lane) => looseEnds.note(lane) });
  const { spilling, membership, isSpilling } = createPresence(parts, {
    coverage,
    settlements,
    keeper: () => keeper,
    settler: () => settler,
    takeOver: () => takeOver,
  });
  const isAlone = (): boolean => membership.isAlone;
  const hold = createHoldLane({
    journal,
    clock,
    isAlone,
    identity: parts.replica,
    mayAct: () => membership.mayAct,
    busy: (lane) => takeOver.busy(lane),
  });
  const deliveryWait = new DeliveryWait(clock);
  parts.events.subscribe(deliveryWait.listener);
  const fences = new Fences({ journal, coverage, clock, isAlone, isSpilling });
  const moving = createMoving(parts, {
    settlements,
    coverage,
    isAlone,
    hold,
    // To a copy, the effects of spilled writes, here or elsewhere, would look as if they had no cause.
    mayCopy: (service) => keeper.mayCopy(service) && !isSpilling() && !membership.isAnySpilled,
    isSpilling,
    letGo: (lane) => takeOver.letGo(lane),
    onRecorded: (lane) => looseEnds.note(lane.key),
    onOvertaken: (lane) => takeOver.overtaken(lane),
  });
  const { settler } = moving;
  const unjournaled = new Unjournaled({ coverage, clock, probed: (service) => settler.probed(service) });
  const around = { membership, spilling, unjournaled, coverage, lanes, ...moving };
  const keeper: CoverageKeeper = createKeeper(parts, around);
  const looseEnds: LooseEnds = createLooseEnds(parts, { ...around, takeOver: () => takeOver });
  const takeOver: TakeOver = createTakeOver(parts, { ...around, settlements, keeper, looseEnds });
  const foreign = createForeign(parts, { lanes, isAlone, takeOver, looseEnds, copies: moving.copies });
  return { ...around, deliveryWait, fences, hold, keeper, takeOver, foreign, looseEnds, settlements };
}

function createLooseEnds(
  { journal, clock }: MigrationParts,
  around: Pick<Engine, 'lanes' | 'membership' | 'deliverer' | 'copies'> & {
    readonly takeOver: () => TakeOver;
  },
): LooseEnds {
  const { membership, copies, takeOver } = around;
  return new LooseEnds({
    ...around,
    journal,
    clock,
    answeredMs: () => membership.answeredMs,
    isHeld: (lane) => copies.holds(lane),
    onUnseeded: (lane, state) => takeOver().unseeded(lane, state),
    onWaiting: (lane) => takeOver().goOn(lane),
  });
}

function createTakeOver(
  { replica: identity, journal, services, clock, events }: MigrationParts,
  around: Pick<
    Engine,
    'lanes' | 'coverage' | 'settlements' | 'deliverer' | 'copies' | 'settler' | 'keeper' | 'looseEnds'
  >,
): TakeOver {
  const backfillAnew = (): void => around.keeper.backfillAnew();
  return new TakeOver({ ...around, identity, journal, services, clock, emit: events.emit, backfillAnew });
}

/** This replica's registration among the others, and its behaviour while the journal is away. */
function createPresence(
  parts: MigrationParts,
  around: Pick<SpillWiring, 'coverage' | 'settlements' | 'keeper' | 'settler' | 'takeOver'>,
): Pick<Engine, 'spilling' | 'membership'> & { readonly isSpilling: () => boolean } {
  const spilling = createSpillingOf(parts, { ...around, membership: () => membership });
  const isSpilling = (): boolean => spilling?.outage.isSpilling ?? false;
  const membership: Membership = new Membership({
    identity: parts.replica,
    store: parts.replicas,
    clock: parts.clock,
    spill: parts.spill?.store,
    isSpilling,
    onChange: (what) => around.takeOver().changed(what),
  });
  return { spilling, membership, isSpilling };
}

function createSpillingOf(
  { spill, replica, services, coverageStore, clock, events }: MigrationParts,
  around: Pick<SpillWiring, 'coverage' | 'settlements' | 'membership' | 'keeper' | 'settler' | 'takeOver'>,
): Spilling | undefined {
  if (spill === undefined) return undefined;
  return createSpilling({
    edges: spill,
    replica,
    services,
    coverageStore,
    clock,
    emit: events.emit,
    ...around,
  });
}

function createForeign(
  { journal, clock, events }: MigrationParts,
  {
    lanes,
    isAlone,
    takeOver,
    looseEnds,
    copies,
  }: Pick<Engine, 'lanes' | 'takeOver' | 'looseEnds' | 'copies'> & { readonly isAlone: () => boolean },
): ForeignLanes {
  return new ForeignLanes({
    journal,
    lanes,
    clock,
    emit: events.emit,
    isAlone,
    looseEnds,
    onForeign: (lane, state) => takeOver.foreign(lane, state),
    isHeld: (lane) => copies.holds(lane),
    onUnattended: (lane) => takeOver.attend(lane),
  });
}

function createKeeper(
  parts: MigrationParts,
  around: Pick<
    Engine,
    'membership' | 'spilling' | 'unjournaled' | 'coverage' | 'lanes' | 'copies' | 'deliverer'
  >,
): CoverageKeeper {
  const { clock, journal, services, flags, readLimits } = parts;
  const { deliverer } = around;
  return new CoverageKeeper({
    ...around,
    spill: around.spilling?.spill,
    journal,
    store: parts.coverageStore,
    services,
    flags,
    copiesAll: parts.settings.copiesAll ?? true,
    mayBegin: (service) => readLimits?.mayBegin(service) ?? true,
    waitingLanes: (service) => deliverer.waitingLanes(service),
    clock,
    emit: parts.events.emit,
  });
}

/** The parts that move data to the secondary. */
type Moving = Pick<Engine, 'deliverer' | 'copier' | 'copies' | 'settler'>;

interface Around {
  readonly settlements: Settlements;
  readonly coverage: Engine['coverage'];
  readonly hold: HoldLane;
  readonly isAlone: () => boolean;
  readonly mayCopy: (service: ServiceName) => boolean;
  readonly isSpilling: () => boolean;
  readonly letGo: (lane: Lane) => Promise<void>;
  readonly onRecorded: (lane: Lane) => void;
  readonly onOvertaken: (lane: Lane) => Promise<void>;
}

function createMoving(parts: MigrationParts, around: Around): Moving {
  const { clock, journal, orchestrator, services, settings, random, runs } = parts;
  const { emit } = parts.events;
  const { settlements, coverage, hold, isAlone, mayCopy, isSpilling, letGo, onRecorded, onOvertaken } =
    around;
  const shared = { journal, orchestrator, services, coverage, clock, emit };
  const deliverer: Deliverer = new Deliverer({
    ...shared,
    ...settings.delivery,
    random,
    isAlone,
    onRecorded,
    onOvertaken,
    onAltered: (lane) => settler.copyAnew(lane, 'delivery_altered'),
    onUnnamed: (lane) => settler.copyAnew(lane, 'unnamed_items'),
  });
  const copier = new LaneCopier({
    ...shared,
    timeoutMs: settings.delivery.timeoutMs,
    history: runs?.history,
    hold,
    isSpilling,
    quiet: (lane) => deliverer.quiet(lane),
    listedLost: async ({ service, owner }) => runs?.lostItems.waiting(service, owner) ?? [],
    listLost: async ({ service, owner }, items) => runs?.lostItems.found(service, owner, items),
    covered: (lane, sequence) => deliverer.covered(lane, sequence),
    letGo,
  });
  const copies: CopyQueue = new CopyQueue({
    clock,
    emit,
    concurrency: settings.copyConcurrency,
    copy: (lane) => copier.copy(lane),
    mayCopy,
  });
  const settler: Settler = new Settler({ journal, settlements, copies, clock, emit });
  return { deliverer, copier, copies, settler };
}
