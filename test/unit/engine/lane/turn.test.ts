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

test('turns are given in the order of the requests', async () => {
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

test('no other call gets in between a release and the next turn', async () => {
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

test('a wait past the deadline fails, and nothing was done', async () => {
  const clock = fakeClock();
  const turn = new Turn(clock);
  const release = await turn.take(LATE_MS);
  const late = expect(turn.take(100)).rejects.toMatchObject({ effect: 'not_applied', reason: 'lane_busy' });
  await clock.pass(100);
  await late;
  release();
  expect(turn.isTaken).toBe(false);
});

test('a call that stopped waiting gets no turn, and blocks no other', async () => {
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

test('returning a turn twice does not admit a second holder', async () => {
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
