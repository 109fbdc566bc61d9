import type { Fault } from './faults.ts';
import { becomeReadOnly, rollBack } from './people.ts';
import { restoreOrchestrator } from './restore-troubles.ts';
import { pruneRows } from './prune-rows.ts';
import type { Replica } from './replica.ts';
import type { Server } from './server.ts';
import type { World } from './world.ts';

/** How often a trouble comes at strength 1, in virtual milliseconds between two of them. */
const EVERY_MS: Readonly<Partial<Record<Fault, number>>> = {
  crash: 12_000,
  pause: 15_000,
  leave: 15_000,
  prune: 5_000,
  server_crash: 15_000,
  journal_outage: 20_000,
  database_crash: 10_000,
  flags: 8_000,
  kill_switch: 20_000,
  idle: 20_000,
  clock: 15_000,
  loss: 20_000,
  crowd: 20_000,
  rollback: 12_000,
  read_only: 6_000,
  restore_orchestrator: 8_000,
};

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** An answer arrives within it. */
const UNSYNCED_MS = 5;
const RECOVERY_MS = [100, 4_000] as const;
/** So long a process is gone that leaves without a successor. */
const AWAY_MS = { least: 10, most: 4_000 };
/** A successor leaves the one before it so much time. */
const BESIDE_MS = 4_000;

/** Lets come what the run's profile knows, again and again, until the faults end. */
export function startTroubles(world: World, replicas: readonly Replica[]): void {
  const { scheduler, faults, random } = world;
  const acts: Readonly<Partial<Record<Fault, () => void>>> = {
    crash: () => crash(world, random.pick(replicas)),
    pause: () => pause(world, random.pick(replicas)),
    leave: () => leave(world, replicas),
    prune: () => prune(world, random.pick([0, 2_000, 20_000])),
    server_crash: () =>
      crashServer(world, random.pick([world.orchestrator, ...world.services.map(({ server }) => server)])),
    journal_outage: () => faults.journalGoesOut(random.whole(100, 15_000)),
    database_crash: () => crashDatabase(world),
    flags: () => turnFlag(world),
    kill_switch: () => world.flags.kill(random.chance(0.5)),
    idle: () => passAnHour(world),
    clock: () => random.pick(replicas).setClock(random.pick([-HOUR_MS, 0, HOUR_MS])),
    loss: () => loseNewest(world),
    crowd: () => crowd(world),
    rollback: () => rollBack(world, replicas),
    read_only: () => becomeReadOnly(world),
    restore_orchestrator: () => restoreOrchestrator(world, replicas),
  };
  for (const [fault, act] of Object.entries(acts) as [Fault, () => void][]) {
    const rate = faults.rate(fault);
    if (rate === 0) continue;
    const again = (): void => {
      if (!faults.isActive) return;
      act();
      plan();
    };
    const plan = (): void =>
      void scheduler.after(
        (random.next() * 2 * (EVERY_MS[fault] ?? 10_000)) / rate,
        `trouble ${fault}`,
        again,
      );
    plan();
  }
  crashAnywhere(world, replicas);
  crashUnsynced(world);
}

/** Beside those that come by time: a crash right behind one of the steps of a process, which is any of its awaits. */
function crashAnywhere(world: World, replicas: readonly Replica[]): void {
  const { scheduler, faults } = world;
  scheduler.afterStep = ({ owner }) => {
    if (owner === scheduler.world || !faults.happens('crash', 0.0005)) return;
    const replica = replicas.find(({ incarnation }) => incarnation?.owner === owner);
    if (replica !== undefined) crash(world, replica);
  };
}

/** All sessions end, and none begins until it has recovered. */
function crashDatabase({ database, faults, random, isEmbedded }: World): void {
  // One in the process itself falls with it.
  if (isEmbedded) return;
  database.crash();
  faults.journalGoesOut(random.whole(...RECOVERY_MS));
}

/** Right behind a commit that it had answered and not written to its log: what it takes back somebody knows. */
function crashUnsynced(world: World): void {
  const { database, scheduler, faults, random } = world;
  database.onUnsynced = () => {
    if (!faults.happens('database_crash', 0.05)) return;
    scheduler.after(random.next() * UNSYNCED_MS, 'trouble database_crash', () => crashDatabase(world));
  };
}

function crash(world: World, replica: Replica): void {
  if (replica.incarnation === undefined) return;
  replica.crash();
  startLater(world, replica);
}

function startLater({ scheduler, random }: World, replica: Replica): void {
  const inMs = random.whole(AWAY_MS.least, AWAY_MS.most);
  scheduler.after(inMs, `restart ${replica.name}`, () => replica.start());
}

/** It is replaced by one that comes before it goes, or by itself; or another one carries on alone for a while. */
function leave(world: World, replicas: readonly Replica[]): void {
  const { scheduler, random, faults } = world;
  const replica = random.pick(replicas);
  const spare = replicas.find((one) => one !== replica && one.incarnation === undefined);
  if (spare === undefined || random.chance(0.3)) {
    replica.leave();
    return startLater(world, replica);
  }
  spare.start();
  scheduler.after(random.whole(0, BESIDE_MS), `${replica.name} makes room`, () => {
    if (faults.isActive) replica.leave();
  });
}

function pause({ random, faults }: World, replica: Replica): void {
  const forMs = random.whole(500, 12_000);
  faults.trouble('pause', forMs);
  replica.pause(forMs);
}

function crashServer({ scheduler, random, faults }: World, server: Server): void {
  const forMs = random.whole(50, 8_000);
  faults.trouble(server.name, forMs + 2_000);
  server.crash();
  scheduler.after(forMs, `restart ${server.name}`, () => server.restart());
}

/** A legacy service dies, and what it comes back with is older: by a torn write, or by a copy of a minute ago. */
function loseNewest(world: World): void {
  const { random, services, scheduler, primaries } = world;
  const service = random.pick(services);
  const { model, truth } = service;
  if (model.loseSince === undefined) return;
  crashServer(world, service.server);
  const sinceMs = scheduler.nowMs - random.pick([50, 500, 3_000, 60_000]);
  model.loseSince(sinceMs, () => true);
  truth.loseSince?.(sinceMs, (owner) => primaries.isOnLegacy(service, owner));
}

/** Other agents load as many sessions as the service keeps. */
function crowd({ services, primaries }: World): void {
  for (const service of services) {
    service.model.crowd?.(() => true);
    service.truth.crowd?.((owner) => primaries.isOnLegacy(service, owner));
  }
}

const FLAGS = ['dual-write', 'shadow-read', 'read-cutover', 'read-cutover'] as const;

function turnFlag({ random, flags, services, profile }: World): void {
  const { name } = random.pick(services);
  if (random.chance(0.1)) flags.isStale = !flags.isStale;
  const flag = random.pick(profile.flip === undefined ? FLAGS : ([...FLAGS, 'write-cutover'] as const));
  flags.set(name, flag, random.chance(0.6));
}

/** What is through and came so long ago leaves the journal, where it ever does in this run. */
export function prune({ database, profile, settings }: World, ms: number): void {
  if (profile.prune === undefined) return;
  // Without it a service is taken to have forgotten by the items' own times, which come from the proxies' clocks.
  const keepsNewest = settings.jumpsClocks || profile.clock !== undefined;
  pruneRows(database, { ms, keepsNewest });
}

/** Nobody does anything for an hour, or for so long that all that was written has left; then the services clean up. */
function passAnHour({ scheduler, services, faults, random, database, primaries }: World): void {
  const isDay = faults.rate('prune') > 0 && random.chance(0.5);
  scheduler.idles.push({ atMs: scheduler.nowMs, ms: (isDay ? DAY_MS + HOUR_MS : HOUR_MS) + 60_000 });
  for (const service of services) {
    service.model.cleanUp?.(() => true);
    service.truth.cleanUp?.((owner) => primaries.isOnLegacy(service, owner));
  }
  if (isDay) pruneRows(database, { ms: 0, keepsNewest: false });
}
