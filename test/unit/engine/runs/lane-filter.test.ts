import { expect, test } from 'vitest';
import type { Clock } from '../../../../src/shared/clock.ts';
import { LaneFilter } from '../../../../src/engine/runs/lane-filter.ts';
import { coverageOf, orchestratorWith, ownerNamed, serviceWith, viewOf } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');

/** A clock that moves when somebody sleeps on it. */
function sleptOnClock(): Clock {
  let nowMs = 0;
  const sleep = async (ms: number): Promise<void> => {
    nowMs += ms;
  };
  return { now: () => nowMs, wallMs: () => nowMs, sleep };
}

/** What was asked of the legacy store and the orchestrator, and when, while agents' requests queue as said. */
function siftBeside(queuedAt: (nowMs: number) => number) {
  const clock = sleptOnClock();
  const asked: { readonly what: string; readonly atMs: number }[] = [];
  const saw = (what: string): void => void asked.push({ what, atMs: clock.now() });
  const laneFilter = new LaneFilter({
    clock,
    timeoutMs: 1_000,
    isSpilling: () => false,
    coverage: coverageOf(1),
    baselines: { summaries: async () => new Map() },
    journal: { fences: async (keys) => new Map(keys.map((key) => [key, viewOf({ key })])) },
    orchestrator: orchestratorWith({
      read: async () => {
        saw('orchestrator');
        return { data: { sessions: [] }, text: '{}' };
      },
    }),
  });
  const service = serviceWith({
    access: {
      jsonFile: async () => {
        saw('legacy');
        return '{}';
      },
    },
    legacy: {
      ...serviceWith().legacy,
      load: () => ({ inFlight: 1, queued: queuedAt(clock.now()), isConnected: true, breaker: 'closed' }),
    },
  });
  return { asked, sift: () => laneFilter.sift(service, [OWNER]) };
}

test('a service is not read while its agents queue', async () => {
  const busy = siftBeside((nowMs) => (nowMs < 500 ? 3 : 0));
  await busy.sift();
  expect(busy.asked.map(({ what }) => what).sort()).toEqual(['legacy', 'orchestrator']);
  expect(Math.min(...busy.asked.map(({ atMs }) => atMs))).toBeGreaterThanOrEqual(500);
  const quiet = siftBeside(() => 0);
  await quiet.sift();
  expect(quiet.asked.map(({ atMs }) => atMs)).toEqual([0, 0]);
});

test('a service whose agents always queue is compared, in steps of two seconds', async () => {
  const { asked, sift } = siftBeside(() => 1);
  await sift();
  await sift();
  const times = asked.filter(({ what }) => what === 'legacy').map(({ atMs }) => atMs);
  expect(times).toEqual([2_000, 4_000]);
});
