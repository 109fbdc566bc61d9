import { afterEach, describe, expect, test } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import type { LaneKey } from '../../../../src/domain/ids.ts';
import { RestoredBackups } from '../../../../src/engine/flips/restored-backups.ts';
import type {
  FoundOlder,
  JournalPosition,
  Position,
  RestoredStore,
} from '../../../../src/engine/ports/restored-ports.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { laneNamed, orchestratorWith, recorder, SERVICE, serviceWith } from '../engine-parts.ts';

const LANE = laneNamed('ann');
const AWAY = new ConnectionError('no connection', { effect: 'not_applied' });

const running: RestoredBackups[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

/** Both databases, as they are at the moment. */
interface World {
  /** Undefined: the journal does not know the lane. */
  journal: Omit<JournalPosition, 'lane'> | undefined;
  /** Undefined: the orchestrator does not know the lane. */
  orchestrator: Position | undefined;
  isOrchestratorAway: boolean;
  /** The journal no longer has the writes. */
  isPruned: boolean;
  database: string;
  /** So many times the lane's row cannot be read. */
  failingLoads: number;
}

const MOVED: World = {
  journal: { primary: 'orchestrator', epoch: 1, generation: 2, sequence: 5, applied: 5 },
  orchestrator: { epoch: 1, generation: 2, sequence: 5 },
  isOrchestratorAway: false,
  isPruned: false,
  database: 'first',
  failingLoads: 0,
};
const ON_LEGACY: World = {
  ...MOVED,
  journal: { primary: 'legacy', epoch: 0, generation: 2, sequence: 5, applied: 0 },
  orchestrator: { epoch: 0, generation: 2, sequence: 5 },
};

function begin(given: Partial<World> = {}, from: World = MOVED) {
  const world = { ...from, ...given };
  const found: FoundOlder[] = [];
  const asked: number[] = [];
  let redelivered: { readonly writes: number; readonly isComplete: boolean } | undefined;
  const { emit, names } = recorder();
  const rows = (): readonly JournalPosition[] =>
    world.journal === undefined ? [] : [{ lane: LANE.key, ...world.journal }];
  const store: RestoredStore = {
    moved: async (after) => rows().filter((row) => row.primary === 'orchestrator' && row.lane > after),
    positions: async (keys) => rows().filter(({ lane }) => keys.includes(lane)),
    mark: async () => undefined,
    found: async (lanes) => {
      found.push(...lanes);
      return lanes.map(({ lane }) => lane);
    },
    version: async () => ({ list: String(found.length), database: 'journal' }),
    open: async () => found.map(({ lane }) => lane),
    toRedeliver: async () =>
      found.flatMap(({ lane, older }) =>
        older === 'orchestrator' && redelivered === undefined ? [lane] : [],
      ),
    redelivered: async (_lane, now) => {
      redelivered = { writes: (redelivered?.writes ?? 0) + now.writes, isComplete: now.isComplete };
    },
    list: async () =>
      found.map((row) => ({
        ...row,
        service: SERVICE,
        foundAtMs: 0,
        isIncomplete: redelivered?.isComplete === false,
        ...(redelivered && { redelivered: redelivered.writes }),
      })),
    accept: async () => found.splice(0).map(({ lane }) => lane),
    counts: async () => new Map([[SERVICE, found.length]]),
    backedUp: async () => undefined,
  };
  const orchestrator = orchestratorWith({
    read: async ({ payload }) => {
      if (world.isOrchestratorAway) throw AWAY;
      const { keys, moved_after: after } = payload as { keys?: LaneKey[]; moved_after?: string };
      const isAsked =
        keys?.includes(LANE.key) ?? (LANE.key > (after ?? '') && (world.orchestrator?.epoch ?? 0) > 0);
      const lanes =
        isAsked && world.orchestrator !== undefined ? [{ key: LANE.key, ...world.orchestrator }] : [];
      return { data: { lanes, database: world.database }, text: '' };
    },
  });
  const lane = laneNamed('ann');
  const restored = new RestoredBackups({
    store,
    orchestrator,
    services: new Map([[SERVICE, serviceWith()]]),
    lanes: {
      of: () => lane,
      load: async () => {
        if (world.failingLoads-- > 0) throw AWAY;
        lane.markLoaded();
        return lane;
      },
    },
    hold: async () => ({ isSure: () => true, release: () => undefined }),
    history: {
      between: async (_lane, after) => {
        asked.push(after);
        return world.isPruned ? undefined : [];
      },
    },
    clock: systemClock,
    emit,
  });
  running.push(restored);
  const why = async (): Promise<string | undefined> => {
    try {
      await restored.admit(lane);
      return undefined;
    } catch (error) {
      return (error as ConnectionError).reason;
    }
  };
  return { world, restored, lane, found, asked, why, names };
}

test.each([0, 1])(
  'an accepted lane is read again, so that its sends continue (%i failures)',
  async (failingLoads) => {
    const { restored, lane, world } = begin({ orchestrator: { epoch: 3, generation: 2, sequence: 9 } });
    await restored.start();
    Object.assign(world, { failingLoads, orchestrator: MOVED.orchestrator });
    await restored.accept(SERVICE, 'all', { person: 'ann', reason: 'checked' });
    expect(lane.isLoaded).toBe(false);
    await expect.poll(() => lane.isLoaded, { timeout: 5_000 }).toBe(true);
  },
);

describe('at the start', () => {
  test('lanes of databases that agree are admitted, without another look', async () => {
    const { restored, lane } = begin();
    await restored.start();
    expect(restored.admit(lane)).toBeUndefined();
  });

  test.each([
    ['lacks a write that it applied', { orchestrator: { epoch: 1, generation: 2, sequence: 4 } }],
    ['has an older copy', { orchestrator: { epoch: 0, generation: 1, sequence: 9 } }],
    ['does not know the lane', { orchestrator: undefined }],
    [
      'is below what it was seen to hold',
      {
        journal: {
          primary: 'orchestrator',
          epoch: 1,
          generation: 2,
          sequence: 5,
          applied: 0,
          mark: { epoch: 1, generation: 2, sequence: 5 },
        },
        orchestrator: { epoch: 1, generation: 2, sequence: 3 },
      },
    ],
  ] as const)('an orchestrator that %s is older', async (_what, world) => {
    const { restored, found, why, names } = begin(world);
    await restored.start();
    expect(found).toMatchObject([{ lane: LANE.key, older: 'orchestrator' }]);
    expect(await why()).toBe('restored');
    expect(names().filter((name) => name === 'lane:restored')).toHaveLength(1);
  });

  test.each([
    ['an earlier sequence', { orchestrator: { epoch: 1, generation: 2, sequence: 6 } }],
    ['an earlier generation', { orchestrator: { epoch: 1, generation: 3, sequence: 1 } }],
    ['an earlier epoch', { orchestrator: { epoch: 2, generation: 2, sequence: 5 } }],
    ['no such lane', { journal: undefined }],
    [
      'legacy as the primary',
      { journal: { primary: 'legacy', epoch: 0, generation: 2, sequence: 5, applied: 0 } },
    ],
  ] as const)('a journal that has %s is older', async (_what, world) => {
    const { restored, found, why } = begin(world);
    await restored.start();
    expect(found).toMatchObject([{ lane: LANE.key, older: 'journal' }]);
    expect(await why()).toBe('restored');
  });

  test('a lane that never moved needs nothing of the orchestrator', async () => {
    const { restored, found, lane } = begin({ orchestrator: undefined }, ON_LEGACY);
    await restored.start();
    expect(found).toEqual([]);
    expect(restored.admit(lane)).toBeUndefined();
  });
});

describe('while the orchestrator is away', () => {
  test('a moved lane is not served, and is served once it was compared', async () => {
    const { restored, world, why } = begin({ isOrchestratorAway: true });
    await restored.start();
    expect(await why()).toBe('not_compared');
    world.isOrchestratorAway = false;
    expect(await why()).toBeUndefined();
  });

  test('a lane whose primary is legacy is served', async () => {
    const { restored, why } = begin({ isOrchestratorAway: true }, ON_LEGACY);
    await restored.start();
    expect(await why()).toBeUndefined();
  });
});

test('after a lost connection a lane is compared before it answers', async () => {
  const { restored, world, why } = begin();
  await restored.start();
  world.orchestrator = { epoch: 1, generation: 2, sequence: 4 };
  expect(await why()).toBeUndefined();
  restored.lost('orchestrator');
  expect(await why()).toBe('restored');
});

test('a database that was started again is compared, even if no call failed', async () => {
  const { restored, world, why } = begin();
  await restored.start();
  Object.assign(world, { database: 'second', orchestrator: { epoch: 1, generation: 2, sequence: 4 } });
  await expect.poll(why, { timeout: 5_000 }).toBe('restored');
});

test('a write that came during the look is no sign of a restored journal', async () => {
  const { restored, world, found } = begin();
  const ahead = { epoch: 1, generation: 2, sequence: 6 };
  let looks = 0;
  Object.defineProperty(world, 'journal', {
    get: () => ({ ...MOVED.journal, sequence: (looks += 1) > 1 ? 6 : 5 }),
  });
  world.orchestrator = ahead;
  await restored.start();
  expect(found).toEqual([]);
});

test('an accepted lane answers again', async () => {
  const { restored, world, why } = begin({ orchestrator: { epoch: 1, generation: 2, sequence: 9 } });
  await restored.start();
  expect(await why()).toBe('restored');
  world.journal = { primary: 'orchestrator', epoch: 1, generation: 2, sequence: 9, applied: 0 };
  expect(await restored.accept(SERVICE, [LANE.key], { person: 'ann', reason: 'a test' })).toEqual([LANE.key]);
  expect(await why()).toBeUndefined();
});

describe('an orchestrator that is restored again before a person decides', () => {
  const BY = { person: 'ann', reason: 'a test' };
  const HELD = { epoch: 1, generation: 2, sequence: 4 };

  const listed = async () => {
    const begun = begin({ orchestrator: HELD });
    await begun.restored.start();
    await expect.poll(() => begun.asked, { timeout: 5_000 }).toEqual([4]);
    return begun;
  };

  test('is given what it lacks now before the lane answers', async () => {
    const { restored, world, asked } = await listed();
    world.orchestrator = { ...HELD, sequence: 2 };
    expect(await restored.accept(SERVICE, [LANE.key], BY)).toEqual([LANE.key]);
    expect(asked).toEqual([4, 2]);
  });

  test('keeps the lane listed if the journal no longer has its writes', async () => {
    const { restored, world } = await listed();
    world.isPruned = true;
    expect(await restored.accept(SERVICE, 'all', BY)).toEqual([]);
    // The list now says so, and a person accepts that.
    expect(await restored.accept(SERVICE, 'all', BY)).toEqual([LANE.key]);
  });
});

test('a look at one lane shows that the database is another one', async () => {
  const { restored, world, lane } = begin();
  expect(restored.orchestratorDatabase).toBe('');
  expect(await restored.placeOf(lane, Infinity)).toEqual(MOVED.orchestrator);
  expect(restored.orchestratorDatabase).toBe('first');
  Object.assign(world, { database: 'second', orchestrator: undefined });
  expect(await restored.placeOf(lane, Infinity)).toEqual({ epoch: 0, generation: 0, sequence: 0 });
  expect(restored.orchestratorDatabase).toBe('second');
});
