import { CrossfadeError } from '../../src/domain/errors.ts';
import { laneKeyOf, type Owner, type ServiceName } from '../../src/domain/ids.ts';
import type { ReturnChoice } from '../../src/engine/ports/way-back-ports.ts';
import type { Incarnation, Replica } from './replica.ts';
import { createSimServiceWritesStore } from './service-writes-store.ts';
import { createStatements } from './statements.ts';
import type { World } from './world.ts';

export const BY = { person: 'sim', reason: 'a simulated decision' };
/** A person lifts the hold of flips so long after a rollback began. */
const HELD_MS = [1_000, 40_000] as const;

/** A person gives a command to any replica that runs. A replica that dies, or cannot reach the journal, does not carry it out. */
export function command(
  { scheduler, random, monitor }: World,
  replicas: readonly Replica[],
  { what, run }: { readonly what: string; readonly run: (incarnation: Incarnation) => Promise<unknown> },
): void {
  const ready = replicas.filter(({ isReady }) => isReady);
  const { incarnation } = ready.length === 0 ? {} : random.pick(ready);
  if (incarnation === undefined) return;
  const refused = (error: unknown): void => {
    if (!(error instanceof CrossfadeError)) monitor?.threw(error);
  };
  scheduler.afterFor(incarnation.owner, 0, { what, run: () => void run(incarnation).catch(refused) });
}

/** Lanes of a service return to legacy: all, those beyond a percentage, or one. The list is read first. */
export function rollBack(world: World, replicas: readonly Replica[]): void {
  const { random, services, scheduler } = world;
  const service = random.pick(services);
  const owner = random.pick(service.owners);
  const choice = random.pick<ReturnChoice>([
    'all',
    { beyondPercentage: random.whole(0, 99) },
    { owner: owner as Owner },
  ]);
  const acceptsLoss = random.chance(0.4);
  beginRollback(world, replicas, { service: service.name, choice, acceptsLoss });
  scheduler.after(random.whole(...HELD_MS), `lift flips of ${service.name}`, () =>
    liftFlips(world, service.name),
  );
  if (random.chance(0.1))
    scheduler.after(random.whole(...HELD_MS), `stop rollback of ${service.name}`, () =>
      stopRollback(world, replicas, service.name),
    );
}

interface Returning {
  readonly service: ServiceName;
  readonly choice: ReturnChoice;
  readonly acceptsLoss: boolean;
}

export function beginRollback(
  world: World,
  replicas: readonly Replica[],
  { service, choice, acceptsLoss }: Returning,
): void {
  command(world, replicas, {
    what: `rollback ${service}`,
    run: async ({ migration: { wayBack } }) => {
      const plan = await wayBack?.plan(service, choice);
      // As the command line: what would be lost must be accepted.
      if (plan === undefined || plan.lanes === 0) return;
      const isForgetful = plan.forgottenWrites > 0 && !plan.isForgettingAccepted;
      if (!acceptsLoss && (plan.lostWrites > 0 || isForgetful)) return;
      await wayBack?.begin(service, choice, { ...BY, acceptsLoss });
    },
  });
}

function stopRollback(world: World, replicas: readonly Replica[], service: ServiceName): void {
  command(world, replicas, {
    what: `stop rollback ${service}`,
    run: async ({ migration: { wayBack } }) => {
      const open = (await wayBack?.list(10))?.find(
        (one) => one.service === service && one.endedAtMs === undefined,
      );
      if (open !== undefined) await wayBack?.halt(open.id, BY);
    },
  });
}

function liftFlips({ database }: World, service: ServiceName): void {
  database.synced();
  database.shares.holds.delete(service);
}

/** A service becomes read-only, if every lane of it has moved, and is opened again. */
export function becomeReadOnly(world: World): void {
  const { random, services, scheduler, database } = world;
  const { name, owners, model } = random.pick(services);
  const { store, refused } = atJournal(world);
  const isKnown = (owner: string): boolean => database.lane(laneKeyOf(name, owner as Owner)) !== undefined;
  // Every owner that legacy holds was copied before.
  const areCopied =
    owners.some(isKnown) && owners.every((owner) => isKnown(owner) || model.textsOf(owner).length === 0);
  const begin = async (): Promise<void> => {
    if (!areCopied || database.isClosedTo(name) || !(await store.beginReadOnly(name, { ...BY, givenUp: [] })))
      return;
    scheduler.after(random.whole(...HELD_MS), `open ${name}`, () => void open(world, name));
  };
  void begin().catch(refused);
}

/** Opened again, legacy gets what the journal kept. */
export async function open(world: World, service: ServiceName): Promise<void> {
  const { store, refused } = atJournal(world);
  await store.reopen(service, BY).catch(refused);
}

const BACKUP = { folder: '', manifestSha256: '', lanes: 0, items: 0, scratchInstance: 'equal' } as const;

/** Two persons complete a service whose legacy is settled. The first backup starts the clock; the second is made after that. */
export async function complete(world: World, service: ServiceName): Promise<void> {
  const { store, refused } = atJournal(world);
  const { clock } = world.database;
  const facts = 'as they are';
  const backUp = (): Promise<void> =>
    store.backedUp(service, { ...BACKUP, madeAtMs: clock.wallOf(clock.now()) }, BY);
  const run = async (): Promise<void> => {
    await backUp();
    await backUp();
    for (const person of ['ada', 'grace']) await store.approve(service, { ...BY, person, facts });
    await store.complete(service, { facts, requiredSeconds: 0, statement: '{}' }, BY);
  };
  await run().catch(refused);
}

/** What people do with the journal through any proxy's desk. */
function atJournal(world: World): {
  readonly store: ReturnType<typeof createSimServiceWritesStore>;
  readonly refused: (error: unknown) => void;
} {
  const statement = createStatements({ ...world, isEmbedded: false }, world.scheduler.world);
  return {
    store: createSimServiceWritesStore(world.database, statement),
    refused: (error) => {
      if (!(error instanceof CrossfadeError)) world.monitor?.threw(error);
    },
  };
}
