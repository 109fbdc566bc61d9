import { afterEach, describe, expect, test } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import { type LaneKey, operationId, type Owner } from '../../../../src/domain/ids.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { WayBack, type WayBackParts } from '../../../../src/engine/flips/way-back.ts';
import type { DueReturn, ReturnObstacle, ReturnPlan } from '../../../../src/engine/ports/way-back-ports.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { laneNamed, orchestratorWith, recorder, SERVICE, serviceWith, stateOf } from '../engine-parts.ts';

const BY = { person: 'ann', reason: 'a test' };
const DUE: DueReturn = {
  rollback: 1,
  service: SERVICE,
  owner: 'ann' as Owner,
  acceptsLoss: false,
  by: BY,
  ageMs: 60_000,
};
const PLAN: ReturnPlan = {
  lanes: 2,
  waitingWrites: 50,
  lostWrites: 0,
  lost: [],
  lostWaysBack: [],
  forgottenWrites: 0,
  isForgettingAccepted: false,
  largestShiftMs: null,
  sendMs: 100,
  openWrites: 0,
};

const running: WayBack[] = [];
afterEach(async () => {
  for (const one of running.splice(0)) await one.stop();
});

interface World {
  due?: Partial<DueReturn>;
  obstacles?: (ReturnObstacle | undefined)[];
  /** Writes of the lane that legacy lacks. @defaultValue 100 */
  waiting?: number;
  isHeld?: boolean;
  isFlipped?: boolean;
  /** The statement takes effect, after its answer was lost. */
  isAnswerLost?: boolean;
  isOrchestratorAway?: boolean;
  mayAct?: boolean;
}

/** One lane that is to return. Each step is noted in its order. */
function begin({ due, obstacles = [], isHeld = true, isFlipped = true, ...more }: World = {}) {
  const steps: string[] = [];
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { epoch: 1, primary: 'orchestrator', sequence: more.waiting ?? 100 }));
  const state: LaneState = stateOf(lane, { epoch: 2, primary: 'legacy', sequence: 3, isHome: false });
  const note = (step: string): void => void steps.push(step);
  const rows = new Map<LaneKey, LaneState>();
  let isDue = true;
  const none = async (): Promise<never> => Promise.reject(new Error('this test does not ask for it'));
  const parts: WayBackParts = {
    store: {
      readiness: none,
      plan: async () => PLAN,
      owners: async () => [],
      begin: async () => {
        note('begin');
        return undefined;
      },
      due: async () => {
        const found = isDue ? [{ ...DUE, ...due }] : [];
        isDue = false;
        return found;
      },
      obstacle: async () => obstacles.shift(),
      halted: async () => operationId('halted'),
      giveUpWrites: async () => note('give up writes'),
      giveUpOpen: async (_lane, { above, ofDeadReplicas }) =>
        note(`give up open above ${above}${ofDeadReplicas ? ' of dead replicas' : ''}`),
      failed: async (_due, reason) => note(`failed: ${reason}`),
      settle: async () => [],
      find: none,
      list: none,
      stop: none,
    },
    flips: {
      announce: async () => {
        note('announce');
        return isHeld ? { state: stateOf(lane, { epoch: 1, sequence: 3 }), claim: 4 } : undefined;
      },
      withdraw: async () => note('withdraw'),
      flip: async (_lane, { to, epoch, sequence, claim }) => {
        note(`flip to ${to} at ${epoch}.${sequence}.${claim}`);
        if (more.isAnswerLost !== true) return isFlipped ? state : undefined;
        setTimeout(() => rows.set(lane.key, state), 300);
        throw new StorageError('the answer was lost', { effect: 'unknown' });
      },
      bear: none,
    },
    shares: { hold: async () => note('hold further flips') },
    reverse: {
      decide: async (_operation, as) => {
        note(`decide: ${as}`);
        return { result: 'unknown_operation' };
      },
    },
    journal: { lanes: async () => rows },
    proofs: { provenAt: async () => undefined },
    lanes: { load: async () => lane },
    deliverer: { forget: () => undefined, resumeForeign: () => note('send to legacy') },
    copies: { add: () => note('copy') },
    orchestrator: {
      ...orchestratorWith({}),
      load: () => ({
        inFlight: 0,
        queued: 0,
        isConnected: more.isOrchestratorAway !== true,
        breaker: 'closed',
      }),
    },
    services: new Map([[SERVICE, serviceWith()]]),
    mayAct: () => more.mayAct !== false,
    clock: systemClock,
    emit: recorder().emit,
  };
  const wayBack = new WayBack(parts);
  running.push(wayBack);
  return { wayBack, steps, lane };
}

async function stepsOf(world: World, seconds = 3): Promise<readonly string[]> {
  const { wayBack, steps } = begin(world);
  wayBack.start();
  await expect.poll(() => steps.length, { timeout: seconds * 1_000 }).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  return steps;
}

test('further flips are held before the first lane is named', async () => {
  const { wayBack, steps } = begin();
  await wayBack.begin(SERVICE, 'all', { ...BY, acceptsLoss: false });
  expect(steps).toEqual(['hold further flips', 'begin']);
});

test('a lane is held, flipped as it was seen, and copied', async () => {
  expect(await stepsOf({})).toEqual(['announce', 'flip to legacy at 1.3.4', 'copy']);
});

test('a lane whose return took effect late is copied, too', async () => {
  const { wayBack, lane, steps } = begin({ isAnswerLost: true });
  wayBack.start();
  await expect.poll(() => steps, { timeout: 3_000 }).toEqual(['announce', 'flip to legacy at 1.3.4', 'copy']);
  expect(lane).toMatchObject({ primary: 'legacy', seededCoverage: 0 });
});

test('a returned lane is unseeded, and no close of an old write stops it', async () => {
  const { wayBack, lane, steps } = begin();
  lane.adopt(stateOf(lane, { epoch: 1, primary: 'orchestrator', seededCoverage: 7 }));
  const { forgotten } = lane;
  wayBack.start();
  await expect.poll(() => steps).toContain('copy');
  expect(lane).toMatchObject({ primary: 'legacy', seededCoverage: 0 });
  expect(lane.forgotten).toBeGreaterThan(forgotten);
});

describe('a failed return never removes the way back', () => {
  test('a flip that is not made leaves the lane as it was', async () => {
    expect(await stepsOf({ isFlipped: false, obstacles: [undefined, undefined, 'open_write'] })).toEqual([
      'announce',
      'flip to legacy at 1.3.4',
      'withdraw',
      'failed: open_write',
    ]);
  });

  test('a lane that another replica uses is tried again', async () => {
    const steps = await stepsOf({ isHeld: false });
    await expect.poll(() => steps).toContain('failed: busy');
    expect(new Set(steps)).toEqual(new Set(['announce', 'failed: busy']));
  });

  test.each(['writes_wait', 'halted'] as const)('a lane with %s goes to legacy first', async (obstacle) => {
    expect(await stepsOf({ obstacles: [obstacle] })).toEqual(['send to legacy', `failed: ${obstacle}`]);
  });

  test.each(['would_lose', 'open_write', 'restored', 'not_clean'] as const)(
    'a lane with %s is not held',
    async (obstacle) => {
      expect(await stepsOf({ obstacles: [obstacle] })).toEqual([`failed: ${obstacle}`]);
    },
  );
});

// The lesson: the way back works under load. A lane that is always written to would otherwise wait until its agents stop.
describe('a lane that is written to all the time', () => {
  const waiting = 3;

  test('is held until legacy has its last writes, and returns', async () => {
    const obstacles: ReturnObstacle[] = ['open_write', 'open_write', 'writes_wait'];
    expect(await stepsOf({ waiting, obstacles })).toEqual([
      'announce',
      'send to legacy',
      'flip to legacy at 1.3.4',
      'copy',
    ]);
  });

  test('is released if that takes too long, and tried again', async () => {
    const obstacles = Array.from({ length: 100 }, () => 'open_write' as const);
    const steps = await stepsOf({ waiting, obstacles, isFlipped: false });
    await expect.poll(() => steps).toContain('failed: open_write');
    expect(steps).toEqual(['announce', 'flip to legacy at 1.3.4', 'withdraw', 'failed: open_write']);
  });

  test('is not held for what only a person can end', async () => {
    expect(await stepsOf({ waiting, obstacles: ['not_clean'] })).toEqual(['failed: not_clean']);
  });
});

describe('with an accepted list', () => {
  const due = { acceptsLoss: true };

  test('writes that cannot be sent are given up while the lane is held', async () => {
    expect(await stepsOf({ due, obstacles: ['would_lose'] })).toEqual([
      'announce',
      'give up writes',
      'flip to legacy at 1.3.4',
      'copy',
    ]);
  });

  test('a halted write is skipped, and the others are sent', async () => {
    expect(await stepsOf({ due, obstacles: ['halted'] })).toEqual([
      'decide: skip',
      'send to legacy',
      'failed: halted',
    ]);
  });
});

test('a plan says how long it would take, and changes nothing', async () => {
  const { wayBack, steps } = begin();
  expect(await wayBack.plan(SERVICE, 'all')).toMatchObject({ seconds: 6, ownItems: [] });
  expect(steps).toEqual([]);
});
