import { expect, test } from 'vitest';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import type { FlipFact } from '../../../../src/engine/flips/eligibility.ts';
import { LaneCounter } from '../../../../src/engine/flips/lane-counts.ts';
import type { FlipCandidate } from '../../../../src/engine/ports/flip-ports.ts';
import { ownerNamed, SERVICE } from '../engine-parts.ts';

const SHARED: FlipFact = { fact: 'in_share' };

interface World {
  readonly lanes: readonly FlipCandidate[];
  /** By owner. @defaultValue every fact holds */
  readonly facts?: Readonly<Record<string, readonly FlipFact[]>>;
}

function lane(id: number, name: string, more: Partial<FlipCandidate> = {}): FlipCandidate {
  const owner = ownerNamed(name);
  return { id, lane: laneKeyOf(SERVICE, owner), owner, ...more };
}

function begin({ lanes, facts = {} }: World) {
  const world = { nowMs: 0, reads: 0, sleptMs: 0, tookMs: 0, isAway: false };
  const counter = new LaneCounter({
    book: {
      async candidates(_service, { after, limit, isEveryHome }) {
        expect(isEveryHome).toBe(true);
        if (world.isAway) throw new Error('away');
        world.reads += 1;
        world.nowMs += world.tookMs;
        return lanes.filter(({ id }) => id > after).slice(0, limit);
      },
    },
    digestOf: () => 'digest',
    judgeOf: async () => (one) => facts[one.owner] ?? [SHARED],
    clock: {
      now: () => world.nowMs,
      wallMs: () => world.nowMs,
      async sleep(ms) {
        world.sleptMs += ms;
      },
    },
  });
  return { world, count: () => counter.of(SERVICE) };
}

const ATTEMPTS = { failed: 2, reason: 'not_drained', dueInSeconds: 5 };

test('each lane inside the share is eligible, waiting or stuck', async () => {
  const { count } = begin({
    lanes: [
      lane(1, 'ready'),
      lane(2, 'unverified'),
      lane(3, 'copied', { unclean: 'copying' }),
      lane(4, 'reads', {}),
      lane(5, 'tried', { attempts: ATTEMPTS }),
      lane(6, 'excepted', { unclean: 'excepted' }),
      lane(7, 'outside', { unclean: 'stopped' }),
    ],
    facts: {
      unverified: [SHARED, { fact: 'verified', reason: 'not_verified' }],
      copied: [SHARED, { fact: 'clean', reason: 'copying' }],
      reads: [SHARED, { fact: 'reads_moved', reason: 'reads_on_legacy' }],
      excepted: [SHARED, { fact: 'clean', reason: 'excepted' }],
      outside: [{ fact: 'in_share', reason: 'outside_share' }],
    },
  });
  expect(await count()).toMatchObject({ eligible: 2, waiting: 2, stuck: 2, isWhole: true });
  expect((await count()).stuckLanes).toEqual([
    { lane: `${SERVICE}/tried`, reason: 'not_drained', failed: 2, dueInSeconds: 5 },
    { lane: `${SERVICE}/excepted`, reason: 'excepted', failed: 0, dueInSeconds: 0 },
  ]);
});

test('lanes are read in pages with pauses, and at most 10,000 of them', async () => {
  const lanes = Array.from({ length: 10_500 }, (_, index) => lane(index + 1, `o-${index}`));
  const { world, count } = begin({ lanes });
  world.tookMs = 10;
  expect(await count()).toMatchObject({ eligible: 10_000, isWhole: false });
  expect([world.reads, world.sleptMs]).toEqual([20, 200]);
});

test('counts are kept for ten seconds, and longer if they took long', async () => {
  const { world, count } = begin({ lanes: [lane(1, 'ann')] });
  await count();
  world.nowMs += 9_999;
  await count();
  expect(world.reads).toBe(1);
  world.nowMs += 1;
  world.tookMs = 1_000;
  // The old counts are shown while new ones are made.
  await count();
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(world.reads).toBe(2);
  world.nowMs += 19_000;
  await count();
  expect(world.reads).toBe(2);
});

test('callers at the same time share one count, and a failure is not kept', async () => {
  const { world, count } = begin({ lanes: [lane(1, 'ann')] });
  world.isAway = true;
  await expect(count()).rejects.toThrow('away');
  world.isAway = false;
  await Promise.all([count(), count()]);
  expect(world.reads).toBe(1);
});
