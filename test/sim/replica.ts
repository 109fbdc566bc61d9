import { StorageError } from '../../src/domain/errors.ts';
import { replicaId } from '../../src/domain/ids.ts';
import { createEvents } from '../../src/migration/events.ts';
import { createMigration, type Migration } from '../../src/migration/migration.ts';
import { ReplicaIdentity } from '../../src/migration/replicas/replica-identity.ts';
import { coverageStoreOf, replicaStoreOf } from './database.ts';
import { createSimJournal } from './journal.ts';
import { createKeptReplies } from './kept-replies.ts';
import { numberOf } from './lane-row.ts';
import { createOrchestrator, createRuntime, createSimClock } from './process-parts.ts';
import { noteReply } from './repeat-check.ts';
import { ownerNamed, type Owner } from './scheduler.ts';
import { SimSpill } from './spill-disk.ts';
import { createSimSpillJournal } from './spill-journal.ts';
import type { Statement } from './journal.ts';
import type { SpillEdges } from '../../src/migration/spill/spill.ts';
import { createStatements } from './statements.ts';
import type { World } from './world.ts';

const SETTINGS = {
  limits: { messageBytes: 4 * 1024 * 1024, jsonDepth: 500 },
  delivery: { batchSize: 200, timeoutMs: 5_000 },
  reads: { timeoutMs: 250, freshnessWaitMs: 20 },
  shadow: { queueSize: 1_000, concurrency: 16, timeoutMs: 2_000 },
  copyConcurrency: 2,
} as const;

/** One life of a proxy process. When it dies nothing of it runs any more, and what it awaits never comes. */
export interface Incarnation {
  readonly owner: Owner;
  readonly identity: ReplicaIdentity;
  readonly migration: Migration;
  isReady: boolean;
}

/** A proxy that is started, dies and is started again. */
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
    incarnation.owner.isDead = true;
    this.incarnation = undefined;
    const { orchestrator, services, trace, scheduler, monitor } = this.#world;
    trace.add(scheduler.nowMs, incarnation.owner.name, 'crash');
    monitor?.died(incarnation.owner);
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
    const incarnation: Incarnation = { owner, ...made, isReady: false };
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
): Pick<Incarnation, 'identity' | 'migration'> {
  const { database, flags, history, random, services } = world;
  const clock = createSimClock(world, owner);
  const statement = createStatements(world, owner);
  const process = { world, owner, clock };
  const runtimes = services.map((service) => createRuntime(process, service));
  const events = createEvents();
  const identity = new ReplicaIdentity(() => replicaId(random.uuid()));
  events.subscribe((event, facts) => world.monitor?.on({ owner, identity }, event, facts));
  const migration = createMigration({
    replica: identity,
    services: new Map(runtimes.map((runtime) => [runtime.name, runtime])),
    orchestrator: createOrchestrator(process),
    flags,
    journal: createSimJournal({ database, identity, statement }),
    keptReplies: createKeptReplies(database, statement, ({ request }, what) =>
      noteReply(history, numberOf(request), what),
    ),
    coverageStore: coverageStoreOf(database, statement),
    replicas: replicaStoreOf(database, statement, world.isEmbedded),
    spill: createSpillEdges(world, owner, { name, identity, statement }),
    differences: { add: () => statement('difference', () => undefined), recent: async () => [] },
    events,
    clock,
    random: () => random.next(),
    settings: SETTINGS,
  });
  return { identity, migration };
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
