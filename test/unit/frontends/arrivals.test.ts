import { expect, test } from 'vitest';
import { Arrivals } from '../../../src/frontends/arrivals.ts';
import type { Clock } from '../../../src/shared/clock.ts';

const MIB = 1_048_576;

/** A pool of 8 MiB, with a clock that is moved by hand. */
function pool() {
  const sleeping: { untilMs: number; wake: () => void }[] = [];
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: (ms) => new Promise<void>((wake) => sleeping.push({ untilMs: nowMs + ms, wake })),
  };
  const arrivals = new Arrivals({ limitBytes: 8 * MIB, clock });
  const arriving = () => {
    const seen = { isPaused: false, isCut: false };
    const arrival = arrivals.begin({
      pause: () => (seen.isPaused = true),
      resume: () => (seen.isPaused = false),
      cut: () => (seen.isCut = true),
    });
    return { arrival, seen };
  };
  const pass = async (ms: number) => {
    const endMs = nowMs + ms;
    while (nowMs < endMs) {
      nowMs += 50;
      for (const one of sleeping.splice(0)) {
        if (one.untilMs <= nowMs) one.wake();
        else sleeping.push(one);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return { arrivals, arriving, pass };
}

test('connections without received bytes use no budget', () => {
  const { arrivals, arriving } = pool();
  for (let count = 0; count < 1_000; count += 1) arriving();
  const { arrival, seen } = arriving();
  arrival.grew(4 * MIB);
  expect([arrivals.usedBytes, seen.isPaused]).toEqual([4 * MIB, false]);
});

test('above the limit long messages are paused, short ones are not', () => {
  const { arrivals, arriving } = pool();
  const first = arriving();
  first.arrival.grew(7 * MIB);
  const second = arriving();
  second.arrival.grew(2 * MIB);
  const short = arriving();
  short.arrival.grew(60_000);
  expect([first.seen.isPaused, second.seen.isPaused, short.seen.isPaused]).toEqual([false, true, false]);
  first.arrival.becameWhole();
  first.arrival.end();
  expect(second.seen.isPaused).toBe(false);
  second.arrival.end();
  short.arrival.end();
  expect(arrivals.usedBytes).toBe(0);
});

test('if all messages are paused, the oldest one is resumed', () => {
  const { arriving } = pool();
  const [first, second] = [arriving(), arriving()];
  first.arrival.grew(5 * MIB);
  second.arrival.grew(4 * MIB);
  first.arrival.grew(MIB);
  expect([first.seen.isPaused, second.seen.isPaused]).toEqual([false, true]);
});

test('a message that blocks others is dropped', async () => {
  const { arriving, pass } = pool();
  const idle = [arriving(), arriving()];
  for (const { arrival } of idle) arrival.grew(4 * MIB);
  const waiting = arriving();
  waiting.arrival.grew(MIB);
  expect(waiting.seen.isPaused).toBe(true);
  await pass(300);
  expect(idle.map(({ seen }) => seen.isCut)).toEqual([false, false]);
  await pass(1_000);
  expect(idle.map(({ seen }) => seen.isCut)).toEqual([true, true]);
  expect(waiting.seen).toEqual({ isPaused: false, isCut: false });
});

test('a complete message that waits for room is not dropped', async () => {
  const { arriving, pass } = pool();
  const whole = arriving();
  whole.arrival.grew(9 * MIB);
  whole.arrival.becameWhole();
  const waiting = arriving();
  waiting.arrival.grew(MIB);
  await pass(3_000);
  expect([whole.seen.isCut, waiting.seen.isCut, waiting.seen.isPaused]).toEqual([false, false, true]);
});

test('short unfinished messages get twice the budget, and are dropped if others wait', async () => {
  const { arrivals, arriving, pass } = pool();
  const short = Array.from({ length: 400 }, () => arriving());
  for (const { arrival, seen } of short) if (!seen.isPaused) arrival.grew(60_000);
  expect(short.filter(({ seen }) => seen.isPaused).length).toBeGreaterThan(100);
  await pass(1_000);
  expect([short[0]?.seen.isCut, short.at(-1)?.seen]).toEqual([true, { isPaused: false, isCut: false }]);
  expect(arrivals.usedBytes).toBeLessThanOrEqual(16 * MIB);
});
