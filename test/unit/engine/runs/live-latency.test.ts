import { expect, test } from 'vitest';
import { LiveLatency } from '../../../../src/engine/runs/pace.ts';

function latencyAt() {
  let nowMs = 1_000_000;
  const clock = { now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined };
  const latency = new LiveLatency(clock);
  const replied = (durationMs: number): void =>
    latency.listener('operation:replied', { durationMs } as never);
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  /** So many operations a second, for so long. */
  const traffic = (perSecond: number, seconds: number, durationMs: number): void => {
    for (let at = 0; at < perSecond * seconds; at += 1) {
      pass(1_000 / perSecond);
      replied(durationMs);
    }
  };
  return { latency, replied, pass, traffic };
}

test('a second with fewer than 20 operations has no p95; slow ones are counted', () => {
  const { latency, traffic } = latencyAt();
  // Three quarters of a second, and the fourth has just begun.
  traffic(10, 3, 5);
  expect(latency.lastSecond()).toBeUndefined();
  expect(latency.slower(4)).toEqual({ slower: 8, of: 8 });
  expect(latency.slower(5)).toEqual({ slower: 0, of: 8 });
  traffic(40, 2, 7);
  expect(latency.lastSecond()).toBe(7);
});

test('if the last second saw fewer than two operations, the last five count', () => {
  const { latency, traffic, pass } = latencyAt();
  traffic(1, 20, 5);
  expect(latency.slower(0)).toEqual({ slower: 5, of: 5 });
  pass(5_000);
  expect(latency.slower(0)).toEqual({ slower: 0, of: 0 });
});

test('one operation per ten seconds is enough for a reference, one per 30 min is not', () => {
  const { latency, traffic } = latencyAt();
  traffic(0.1, 300, 5);
  expect(latency.lately()).toBe(5);
  const rare = latencyAt();
  rare.traffic(1 / 1_800, 18_000, 5);
  expect(rare.latency.lately()).toBeUndefined();
});

test('slow operations older than half a minute leave the reference', () => {
  const { latency, traffic } = latencyAt();
  traffic(10, 60, 50);
  traffic(10, 31, 5);
  expect(latency.lately()).toBe(5);
});
