import type { FoundLost } from '../../src/engine/ports/lost-items.ts';
import { type LaneKey, parseLaneKey, type ServiceName } from '../../src/domain/ids.ts';
import type { CoverageStore } from '../../src/engine/ports/ports.ts';
import type { ReplicaStore } from '../../src/engine/ports/replica-ports.ts';
import type { ReverseProof } from '../../src/engine/ports/reverse-ports.ts';
import type { Baseline } from '../../src/engine/ports/journal-facts.ts';
import { CoverageTable } from './coverage-table.ts';
import type { Statement } from './journal.ts';
import { allWrites, newLane, numberOf, type LaneRow } from './lane-row.ts';
import { ReplicaTable } from './replica-table.ts';
import { FlipTable, ShareTable } from './flip-tables.ts';
import { RestoredTable } from './restored-store.ts';
import { ReverseTable } from './reverse-sends.ts';
import { EndTables, type ServiceWritesRow } from './service-writes-store.ts';
import { SpillTable } from './spill-table.ts';
import { RollbackTable } from './way-back-store.ts';

/** The database's clock. */
export interface DatabaseClock {
  /** `now()`, in milliseconds since anything. */
  now(): number;
  /** The same for what some clock on a wall said. */
  instantOf(wallMs: number): number;
  /** What a clock on a wall that is right showed at such an instant. */
  wallOf(instantMs: number): number;
}

/**
 * What the journal's tables hold. All of it survives a crash of the proxy; a crash of the database takes back what no
 * synchronous commit has followed (`synchronous_commit off`).
 */
export class Database {
  readonly clock: DatabaseClock;
  readonly coverage = new CoverageTable();
  readonly spills: SpillTable;
  readonly replicas: ReplicaTable;
  readonly shares = new ShareTable();
  readonly flips = new FlipTable();
  /** What both sides of a lane were last seen to hold. */
  readonly baselines = new Map<LaneKey, Baseline>();
  /** Items of a lane that wait for a person. */
  readonly lostItems = new Map<LaneKey, readonly FoundLost[]>();
  /** By service and kind of writer. */
  readonly reverseProofs = new Map<string, ReverseProof>();
  /** When the canary of each service last began. */
  readonly canaryRuns = new Map<string, number>();
  readonly reverse = new ReverseTable(this);
  readonly rollbacks = new RollbackTable();
  readonly restored = new RestoredTable();
  readonly ends = new EndTables();
  readonly serviceWrites = new Map<ServiceName, ServiceWritesRow>();
  readonly #lanes = new Map<LaneKey, LaneRow>();
  readonly #byId: LaneRow[] = [];
  #unsynced: (() => void)[] = [];
  /** Called after an asynchronous commit. */
  onUnsynced: () => void = () => undefined;
  /** Called with a lane whose primary has just changed. */
  onFlip: (lane: LaneRow) => void = () => undefined;
  /** How often it fell: every session of before has ended. */
  crashes = 0;

  constructor(clock: DatabaseClock) {
    this.clock = clock;
    this.spills = new SpillTable(() => clock.now());
    this.replicas = new ReplicaTable(() => clock.now(), this.spills);
  }

  /** An older one takes the place of none. */
  keepBaseline(lane: LaneKey, { sequence, items }: Baseline): void {
    if ((this.baselines.get(lane)?.sequence ?? 0) <= sequence) this.baselines.set(lane, { sequence, items });
  }

  /** Whether legacy takes no more writes of the service. */
  isClosedTo(service: ServiceName): boolean {
    return (this.serviceWrites.get(service)?.state ?? 'open') !== 'open';
  }

  /** The last sequence that legacy gets of the lane. */
  lastForLegacy(key: LaneKey): number {
    const { service } = parseLaneKey(key);
    if (!this.isClosedTo(service)) return Infinity;
    return this.serviceWrites.get(service)?.lanes.get(key)?.sequence ?? 0;
  }

  /** Up to here the lane's writes wait, or waited, because legacy is read-only. */
  keptForLegacy(key: LaneKey): number {
    const { service } = parseLaneKey(key);
    if (this.isClosedTo(service)) return Infinity;
    return this.serviceWrites.get(service)?.lanes.get(key)?.sequence ?? 0;
  }

  lane(key: LaneKey): LaneRow | undefined {
    return this.#lanes.get(key);
  }

  laneById(id: number): LaneRow | undefined {
    return this.#byId[id - 1];
  }

  laneOrNew(key: LaneKey): LaneRow {
    const known = this.#lanes.get(key);
    if (known !== undefined) return known;
    const lane = newLane(key, this.#byId.length + 1);
    this.#lanes.set(key, lane);
    this.#byId.push(lane);
    return lane;
  }

  /** All lanes, in the order of their ids. */
  lanes(): readonly LaneRow[] {
    return this.#byId;
  }

  /** Whether the orchestrator is primary of a lane that a share of this size does not contain. */
  isFlippedBeyond(service: ServiceName, percentage: number): boolean {
    return this.#byId.some(
      (lane) => lane.service === service && lane.primary === 'orchestrator' && lane.bucket > percentage,
    );
  }

  /** A synchronous commit: what was written before it is durable too. */
  synced(): void {
    this.#unsynced = [];
  }

  /** What would take an asynchronous commit back. */
  unsynced(undo: () => void): void {
    this.#unsynced.push(undo);
    this.onUnsynced();
  }

  /** The database falls and comes back: what it had not written to its log is gone. */
  crash(): void {
    this.crashes += 1;
    for (const undo of this.#unsynced.splice(0).toReversed()) undo();
  }

  /** Another text after the database was started again, or after its tables were restored. */
  get instance(): string {
    return String(this.crashes);
  }

  /** Whether an intent of an agent's numbered write is there. */
  holds(key: LaneKey, number: number): boolean {
    const lane = this.#lanes.get(key);
    return lane !== undefined && allWrites(lane).some(({ write }) => numberOf(write.request) === number);
  }
}

/** `storage/coverage.ts` over the tables in memory. */
export function coverageStoreOf(database: Database, statement: Statement): CoverageStore {
  const { coverage, spills, replicas } = database;
  return {
    current: (service) => statement('coverage', () => coverage.current(service)),
    async begin(service) {
      await statement('begin coverage', () => coverage.begin(service));
      return (await statement('coverage', () => coverage.current(service))).number;
    },
    quiet: (service) => statement('quiet coverage', () => coverage.quiet(service)),
    end: (service) =>
      statement('end coverage', () => !database.isFlippedBeyond(service, 0) && coverage.end(service)),
    renewAfterLoss: (seconds) =>
      statement('renew coverage', () => {
        if (spills.giveUp(seconds, (id) => replicas.isWorkedOn(id))) coverage.renew();
      }),
  };
}

interface Registering {
  /** An embedded database has one proxy. @defaultValue false */
  readonly isEmbedded?: boolean;
  /** With which it answers writes. @defaultValue none */
  readonly versions?: Readonly<Record<string, string>>;
}

/** `storage/replicas.ts` over the tables in memory. */
export function replicaStoreOf(
  database: Database,
  statement: Statement,
  { isEmbedded = false, versions = {} }: Registering = {},
): ReplicaStore {
  const { replicas } = database;
  return {
    register: (me, spill) =>
      statement('register', () => replicas.register(me, { isEmbedded, spill, versions })),
    heartbeat: (me, beat) =>
      statement('heartbeat', () => {
        database.synced();
        return replicas.heartbeat(me, beat);
      }),
    leave: (me) =>
      statement('leave', () => {
        for (const lane of database.lanes()) if (lane.claim === me) lane.claim = undefined;
        replicas.delete(me);
      }),
  };
}
