import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Turn } from '../../../../src/engine/lane/turn.ts';
import { fakeClock } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const LATE_MS = 1_000;

test('a turn is given in the order in which it was asked for', async () => {
  const turn = new Turn(fakeClock());
  const order: number[] = [];
  const held = await turn.take(LATE_MS);
  const waiting = [1, 2, 3].map(async (number) => {
    const release = await turn.take(LATE_MS);
    order.push(number);
    release();
  });
  expect(turn.isTaken).toBe(true);
  held();
  await Promise.all(waiting);
  expect(order).toEqual([1, 2, 3]);
  expect(turn.isTaken).toBe(false);
});

test('nobody slips in between the one who leaves and the next in line', async () => {
  const turn = new Turn(fakeClock());
  const held = await turn.take(LATE_MS);
  const order: string[] = [];
  const first = turn.take(LATE_MS).then((release) => {
    order.push('waited');
    release();
  });
  held();
  const second = turn.take(LATE_MS).then((release) => {
    order.push('came later');
    release();
  });
  await Promise.all([first, second]);
  expect(order).toEqual(['waited', 'came later']);
});

test('who waits past the deadline is told that nothing was done', async () => {
  const clock = fakeClock();
  const turn = new Turn(clock);
  const release = await turn.take(LATE_MS);
  const late = expect(turn.take(100)).rejects.toMatchObject({ effect: 'not_applied', reason: 'lane_busy' });
  await clock.pass(100);
  await late;
  release();
  expect(turn.isTaken).toBe(false);
});

test('who gave up waiting is not given the turn, and does not keep it from those behind', async () => {
  const clock = fakeClock();
  const turn = new Turn(clock);
  const release = await turn.take(LATE_MS);
  const impatient = expect(turn.take(100)).rejects.toThrow('busy');
  const patient = turn.take(LATE_MS);
  await clock.pass(100);
  await impatient;
  release();
  (await patient)();
  expect(turn.isTaken).toBe(false);
});

test('giving a turn back twice does not admit a second holder', async () => {
  const turn = new Turn(fakeClock());
  const release = await turn.take(LATE_MS);
  const next = turn.take(LATE_MS);
  release();
  release();
  const nextRelease = await next;
  expect(turn.isTaken).toBe(true);
  nextRelease();
  expect(turn.isTaken).toBe(false);
});
