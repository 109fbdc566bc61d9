import type { ServiceName } from '../domain/ids.ts';
import { LaneCopier } from './copy-lane.ts';
import { CopyQueue } from './copy-queue.ts';
import { CoverageKeeper } from './coverage-keeper.ts';
import { Deliverer } from './deliver.ts';
import { Fences } from './fences.ts';
import { ForeignLanes, type ForeignLaneParts } from './foreign-lanes.ts';
import { createHoldLane, type HoldLane } from './hold-lane.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { Membership } from './membership.ts';
import type { MigrationParts } from './migration.ts';
import { Coverage } from './service-runtime.ts';
import { Settlements } from './settlements.ts';
import { Settler } from './settle.ts';
import { TakeOver } from './take-over.ts';
import { Unjournaled } from './unjournaled.ts';

/** What works behind the agents' backs, each made once. */
export interface Engine {
  readonly lanes: Lanes;
  readonly membership: Membership;
  readonly fences: Fences;
  readonly hold: HoldLane;
  readonly deliverer: Deliverer;
  readonly copier: LaneCopier;
  readonly copies: CopyQueue;
  readonly settler: Settler;
  readonly keeper: CoverageKeeper;
  readonly takeOver: TakeOver;
  readonly foreign: ForeignLanes;
  readonly unjournaled: Unjournaled;
  readonly settlements: Settlements;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
}

export function createEngine(parts: MigrationParts): Engine {
  const { clock, journal, services } = parts;
  const { emit } = parts.events;
  const coverage = new Map([...services.keys()].map((name) => [name, new Coverage()]));
  const lanes = createLanes(journal, clock);
  const membership: Membership = new Membership({
    identity: parts.replica,
    store: parts.replicas,
    clock,
    onChange: (what) => takeOver.changed(what),
  });
  const isAlone = (): boolean => membership.isAlone;
  const hold = createHoldLane({ journal, clock, isAlone });
  const fences = new Fences({ journal, coverage, clock, isAlone });
  const settlements = new Settlements({ journal, clock, emit });
  const moving = createMoving(parts, {
    settlements,
    coverage,
    isAlone,
    hold,
    mayCopy: (service) => keeper.mayCopy(service),
  });
  const { settler } = moving;
  const unjournaled = new Unjournaled({ coverage, clock, probed: (service) => settler.probed(service) });
  const keeper: CoverageKeeper = createKeeper(parts, { membership, unjournaled, coverage, lanes, ...moving });
  const takeOver = new TakeOver({
    journal,
    lanes,
    services,
    coverage,
    settlements,
    ...moving,
    emit,
    backfillAnew: () => keeper.backfillAnew(),
  });
  const foreign = createForeign(parts, { lanes, isAlone, takeOver });
  return {
    lanes,
    membership,
    fences,
    hold,
    ...moving,
    keeper,
    takeOver,
    foreign,
    unjournaled,
    settlements,
    coverage,
  };
}

function createForeign(
  { journal, clock, events }: MigrationParts,
  { lanes, isAlone, takeOver }: Pick<Engine, 'lanes' | 'takeOver'> & { readonly isAlone: () => boolean },
): ForeignLanes {
  const onForeign: ForeignLaneParts['onForeign'] = (lane, state) => takeOver.foreign(lane, state);
  return new ForeignLanes({ journal, lanes, clock, emit: events.emit, isAlone, onForeign });
}

function createKeeper(
  parts: MigrationParts,
  around: Pick<Engine, 'membership' | 'unjournaled' | 'coverage' | 'lanes' | 'copies' | 'deliverer'>,
): CoverageKeeper {
  const { clock, journal, services, flags, readLimits } = parts;
  const { deliverer } = around;
  return new CoverageKeeper({
    ...around,
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

/** What moves data to the secondary. */
type Moving = Pick<Engine, 'deliverer' | 'copier' | 'copies' | 'settler'>;

interface Around {
  readonly settlements: Settlements;
  readonly coverage: Engine['coverage'];
  readonly hold: HoldLane;
  readonly isAlone: () => boolean;
  readonly mayCopy: (service: ServiceName) => boolean;
}

function createMoving(parts: MigrationParts, around: Around): Moving {
  const { clock, journal, orchestrator, services, settings, random } = parts;
  const { emit } = parts.events;
  const { settlements, coverage, hold, isAlone, mayCopy } = around;
  const shared = { journal, orchestrator, services, coverage, clock, emit };
  const deliverer: Deliverer = new Deliverer({
    ...shared,
    ...settings.delivery,
    random,
    isAlone,
    onAltered: (lane) => settler.copyAnew(lane, 'delivery_altered'),
    onUnnamed: (lane) => settler.copyAnew(lane, 'unnamed_items'),
  });
  const copier = new LaneCopier({
    ...shared,
    timeoutMs: settings.delivery.timeoutMs,
    ...(parts.runs !== undefined && { baselines: parts.runs.baselines }),
    hold,
    quiet: (lane) => deliverer.quiet(lane),
    covered: (lane, sequence) => deliverer.covered(lane, sequence),
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
