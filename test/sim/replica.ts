import { StorageError } from '../../src/domain/errors.ts';
import { replicaId } from '../../src/domain/ids.ts';
import { createEvents } from '../../src/engine/ports/events.ts';
import { flipVersion } from '../../src/engine/flips/shares.ts';
import { createMigration, type Migration } from '../../src/engine/migration.ts';
import type { MigrationParts } from '../../src/engine/parts.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import { coverageStoreOf, replicaStoreOf } from './database.ts';
import { createSimFlipBook } from './flip-book.ts';
import { createSimFlipStore } from './flip-store.ts';
import { shareStoreOf } from './flip-tables.ts';
import { createSimJournal, type SimJournal } from './journal.ts';
import { createKeptReplies } from './kept-replies.ts';
import { numberOf } from './lane-row.ts';
import { createOrchestrator, createRuntime, createSimClock } from './process-parts.ts';
import { noteReply } from './repeat-check.ts';
import { createSimReverseProofs } from './reverse-proofs.ts';
import { createSimReverseLedger, createSimReverseSends } from './reverse-sends.ts';
import { hasRestores } from './restore-troubles.ts';
import { createSimRestoredStore } from './restored-store.ts';
import { createRunEdges } from './run-edges.ts';
import { ServiceStates } from '../../src/engine/ends/service-states.ts';
import { createSimServiceWritesStore } from './service-writes-store.ts';
import { ownerNamed, type Owner } from './scheduler.ts';
import { SimSpill } from './spill-disk.ts';
import { createSimSpillJournal } from './spill-journal.ts';
import { createSimWayBackStore } from './way-back-store.ts';
import type { Statement } from './journal.ts';
import type { SpillEdges } from '../../src/engine/spill/spill.ts';
import { createStatements } from './statements.ts';
import type { World } from './world.ts';

const SETTINGS = {
  limits: { messageBytes: 4 * 1024 * 1024, jsonDepth: 500 },
  delivery: { batchSize: 200, timeoutMs: 5_000 },
  reads: { timeoutMs: 250 },
  // Of the reads that do something to legacy so many have their lane compared: there are few in a life.
  shadow: { queueSize: 1_000, concurrency: 16, timeoutMs: 2_000, lanePercentage: 30 },
  copyConcurrency: 2,
} as const;

const ENDS = { settleMs: 10_000, censusEverySeconds: 10 } as const;
const FLIPS = { perSecond: 20, verifiedSeconds: 86_400, provenSeconds: 86_400 } as const;

/** One life of a proxy process. When it dies nothing of it runs any more, and what it awaits never comes. */
export interface Incarnation {
  readonly owner: Owner;
  readonly identity: ReplicaIdentity;
  readonly migration: Migration;
  readonly journal: Pick<SimJournal, 'drain'>;
  isReady: boolean;
  /** Requests that it has taken and not answered. */
  open: number;
  /** It takes none any more. */
  isShut: boolean;
}

/** Longest that a process takes to end in order; then it is killed. */
const LEAVING_MS = 30_000;
const LOOK_MS = 5;

/** A proxy that is started, dies, leaves and is started again. */
export class Replica {
  readonly name: string;
  readonly #world: World;
  #lives = 0;
  incarnation: Incarnation | undefined;
  /** An outage of the database at a start ends the process; whoever supervises it starts it again. */
  #isWanted = false;

  constructor(name: string, world: World) {
    this.name = name;
    this.#world = world;
  }

  get isReady(): boolean {
    return this.incarnation?.isReady === true;
  }

  start(): void {
    const { scheduler } = this.#world;
    this.#isWanted = true;
    if (this.incarnation !== undefined) return;
    this.#lives += 1;
    const owner = ownerNamed(`${this.name}.${this.#lives}`);
    scheduler.afterFor(owner, 0, { what: 'start', run: () => this.#begin(owner) });
  }

  /** Between two steps: every await of the process is such a place. */
  crash(): void {
    const { incarnation } = this;
    this.#isWanted = false;
    if (incarnation === undefined) return;
    this.#kill(incarnation);
  }

  #kill(incarnation: Incarnation): void {
    this.#world.monitor?.died(incarnation.owner);
    this.#end(incarnation, 'crash');
  }

  /** As on a signal: what is under way is answered, then the engine stops, and what is left is others'. */
  leave(): void {
    const { incarnation } = this;
    if (incarnation?.isReady !== true) return;
    const { scheduler, faults } = this.#world;
    this.#isWanted = false;
    incarnation.isReady = false;
    faults.trouble('leave', LEAVING_MS);
    scheduler.afterFor(incarnation.owner, 0, { what: 'leave', run: () => void this.#leave(incarnation) });
    scheduler.after(LEAVING_MS, `kill ${incarnation.owner.name}`, () => {
      if (this.incarnation === incarnation) this.#kill(incarnation);
    });
  }

  async #leave(incarnation: Incarnation): Promise<void> {
    const clock = createSimClock(this.#world, incarnation.owner);
    while (incarnation.open > 0) await clock.sleep(LOOK_MS);
    incarnation.isShut = true;
    await incarnation.migration.stop();
    await incarnation.journal.drain();
    if (this.incarnation === incarnation) this.#end(incarnation, 'left');
  }

  #end(incarnation: Incarnation, how: 'crash' | 'left'): void {
    incarnation.owner.isDead = true;
    this.incarnation = undefined;
    const { orchestrator, services, trace, scheduler } = this.#world;
    trace.add(scheduler.nowMs, incarnation.owner.name, how);
    // It was asked to start while it was ending.
    if (this.#isWanted) scheduler.after(0, `restart ${this.name}`, () => this.start());
    for (const server of [orchestrator, ...services.map((service) => service.server)])
      server.disconnect(incarnation.owner);
  }

  /** Its machine's clock is set, forth or back. */
  setClock(errorMs: number): void {
    if (this.incarnation !== undefined) this.incarnation.owner.clockErrorMs = errorMs;
  }

  pause(forMs: number): void {
    if (this.incarnation === undefined) return;
    this.incarnation.owner.pausedUntilMs = this.#world.scheduler.nowMs + forMs;
  }

  #begin(owner: Owner): void {
    const made = createIncarnation(this.#world, owner, this.name);
    const { migration } = made;
    const incarnation: Incarnation = { owner, ...made, isReady: false, open: 0, isShut: false };
    this.incarnation = incarnation;
    migration.start().then(
      () => {
        incarnation.isReady = true;
      },
      (error: unknown) => {
        if (!(error instanceof StorageError)) this.#world.monitor?.threw(error);
        this.#world.scheduler.after(0, `${owner.name} did not start`, () => this.#again(owner));
      },
    );
  }

  #again(owner: Owner): void {
    if (this.incarnation?.owner !== owner) return;
    this.crash();
    this.#isWanted = true;
    this.#world.scheduler.after(1_000, `restart ${this.name}`, () => {
      if (this.#isWanted) this.start();
    });
  }
}

function createIncarnation(
  world: World,
  owner: Owner,
  name: string,
): Pick<Incarnation, 'identity' | 'migration' | 'journal'> {
  const { database, flags, history, random, services } = world;
  const clock = createSimClock(world, owner);
  const statement = createStatements(world, owner);
  const process = { world, owner, clock };
  const runtimes = services.map((service) => createRuntime(process, service));
  const events = createEvents();
  const identity = new ReplicaIdentity(() => replicaId(random.uuid()));
  events.subscribe((event, facts) => world.monitor?.on({ owner, identity }, event, facts));
  const journal = world.plant.journal(createSimJournal({ database, identity, statement }));
  const migration = createMigration({
    replica: identity,
    services: new Map(runtimes.map((runtime) => [runtime.name, runtime])),
    orchestrator: createOrchestrator(process),
    flags,
    journal,
    keptReplies: createKeptReplies(database, statement, ({ request }, what) =>
      noteReply(history, numberOf(request), what),
    ),
    reverseSends: createSimReverseSends({ database, identity, statement }),
    reverseProofs: createSimReverseProofs(database, statement),
    coverageStore: coverageStoreOf(database, statement),
    replicas: replicaStoreOf(database, statement, {
      isEmbedded: world.isEmbedded,
      versions: versionsOf(world),
    }),
    spill: createSpillEdges(world, owner, { name, identity, statement }),
    ...createFlipEdges(world, { identity, statement, clock }),
    runs: createRunEdges(database, statement),
    differences: { add: () => statement('difference', () => undefined), recent: async () => [] },
    events,
    clock,
    random: () => random.next(),
    settings: SETTINGS,
  });
  return { identity, migration, journal };
}

/** As each replica answers writes of flipped lanes. */
function versionsOf({ services }: World): Record<string, string> {
  return Object.fromEntries(services.map(({ name, model }) => [name, flipVersion(model.definition)]));
}

interface FlipFor {
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
  readonly clock: Clock;
}

/** Where the engine flips lanes, in the lives that know it. */
function createFlipEdges(
  world: World,
  { identity, statement, clock }: FlipFor,
): Pick<MigrationParts, 'flips' | 'wayBack' | 'ends' | 'restored'> {
  const { database, plant, profile } = world;
  if (profile.flip === undefined) return {};
  const { skipsDrain, returnsEarly } = plant;
  const ends = createSimServiceWritesStore(database, statement);
  return {
    ...(hasRestores(profile) &&
      !plant.missesRestores && { restored: createSimRestoredStore(database, statement) }),
    ...(profile.read_only !== undefined && {
      ends: { store: ends, states: new ServiceStates(ends), settings: ENDS },
    }),
    ...(profile.rollback !== undefined && {
      wayBack: {
        store: createSimWayBackStore({ database, identity, statement, returnsEarly }),
        reverse: createSimReverseLedger(database, statement),
      },
    }),
    flips: {
      store: createSimFlipStore({ database, identity, statement, skipsDrain, returnsEarly }),
      shares: shareStoreOf(database, statement),
      book: createSimFlipBook({ database, identity, statement }),
      // A life is too short to wait for a proof.
      provenAt: async () => ({ atMs: clock.wallMs() }),
      digestOf: () => 'the same always',
      settings: FLIPS,
      versions: versionsOf(world),
    },
  };
}

interface SpillFor {
  readonly name: string;
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
}

/** What the process before has left on the disk, or what is left of that. */
function createSpillEdges(
  world: World,
  owner: Owner,
  { name, identity, statement }: SpillFor,
): SpillEdges | undefined {
  const disk = world.disks.get(name);
  if (disk === undefined) return undefined;
  if (world.faults.happens('spill_damaged', 0.2)) disk.damage(world.random.whole(1, 4));
  return {
    store: new SimSpill(world, owner, disk),
    journal: createSimSpillJournal(world.database, identity, statement),
  };
}
