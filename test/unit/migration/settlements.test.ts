import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Journal } from '../../../src/migration/ports.ts';
import { Settlements } from '../../../src/migration/settlements/settlements.ts';
import { fakeClock, laneNamed, recorder, writeOf } from './engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** With an outcome on its way to a journal that has not answered yet. */
function createStopping() {
  const clock = fakeClock();
  let answer: () => void = () => undefined;
  const journal = {
    settle: () =>
      new Promise<void>((resolve) => {
        answer = resolve;
      }),
  } as unknown as Journal;
  const settlements = new Settlements({ journal, clock, emit: recorder().emit });
  const recorded = settlements.record({ ref: writeOf(laneNamed('ann'), 1), outcome: 'applied' });
  let isStopped = false;
  void settlements.stop().then(() => (isStopped = true));
  return { clock, recorded, answer: () => answer(), isStopped: () => isStopped };
}

test('a process that ends has its outcomes written down: others would find them open', async () => {
  const { clock, recorded, answer, isStopped } = createStopping();
  await clock.pass(500);
  expect(isStopped()).toBe(false);
  answer();
  expect(await recorded).toBe(true);
  await clock.pass(1);
  expect(isStopped()).toBe(true);
});

test('a journal that does not answer keeps nobody from ending', async () => {
  const { clock, isStopped } = createStopping();
  for (let ms = 0; ms < 2_100; ms += 50) await clock.pass(50);
  expect(isStopped()).toBe(true);
});
