import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { itemKeyOf } from '../../../../src/domain/comparison.ts';
import { beginShadowReads, replyOf } from './shadow-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const LOOKS_MS = 10_000;

test('a difference of a flipped lane is listed, and counts against legacy alone', async () => {
  const read = beginShadowReads({ isFlipped: true });
  read.answers.legacy = replyOf('y');
  await read.offer(read.answers.orchestrator, 'orchestrator');
  await read.pass(LOOKS_MS);
  expect(read.verdict('flipped:compared')).toMatchObject({
    verdict: 'mismatch',
    differences: [{ hint: 'flipped_lane' }],
  });
  expect(read.names()).not.toContain('shadow:compared');
  expect(read.stored).toMatchObject([{ primary: 'orchestrator', comparison: { verdict: 'mismatch' } }]);
});

// The failure: a delete that was missed in the other direction came back.
test('a deleted item that legacy shows of a flipped lane is found at the first look', async () => {
  const removed = async () => new Set([itemKeyOf(['y'])]);
  const read = beginShadowReads({ isFlipped: true, removed });
  read.answers.legacy = replyOf('y');
  await read.offer(read.answers.orchestrator, 'orchestrator');
  await read.pass(LOOKS_MS);
  expect(read.verdict('flipped:compared')).toMatchObject({ verdict: 'mismatch', deletedReturned: 1 });
  expect(read.names()).toContain('flipped:deleted_returned');
  expect(read.names()).not.toContain('comparison:deleted_returned');
});

test('equal answers of a flipped lane are no evidence', async () => {
  const read = beginShadowReads({ isFlipped: true });
  await read.offer(read.answers.orchestrator, 'orchestrator');
  await read.pass(LOOKS_MS);
  expect(read.verdict('flipped:compared')?.verdict).toBe('match');
  expect(read.names()).not.toContain('shadow:compared');
});

test('a flipped lane is not comparable while legacy lacks a write', async () => {
  const read = beginShadowReads({ isFlipped: true });
  read.answers.legacy = replyOf('y');
  read.write();
  await read.offer(read.answers.orchestrator, 'orchestrator');
  await read.pass(LOOKS_MS);
  expect(read.verdict('flipped:compared')).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
  expect(read.asked).toEqual([]);
});

test('a flipped lane is not comparable while a write is being closed', async () => {
  const read = beginShadowReads({ isFlipped: true });
  read.lane.beginClosing();
  await read.offer(read.answers.orchestrator, 'orchestrator');
  await read.pass(LOOKS_MS);
  expect(read.verdict('flipped:compared')?.verdict).toBe('not_comparable');
  expect(read.asked).toEqual([]);
});

test.each(['loads', 'cuts'] as const)(
  'a read of a flipped lane that %s does not reach legacy',
  async (effect) => {
    const read = beginShadowReads({ isFlipped: true, effect });
    await read.offer(read.answers.orchestrator, 'orchestrator');
    await read.pass(LOOKS_MS);
    expect(read.asked).toEqual([]);
  },
);

test('an answer from before a flip proves nothing', async () => {
  const read = beginShadowReads();
  read.answers.orchestrator = replyOf('y');
  read.lane.sawPrimary({ primary: 'orchestrator', epoch: 1 }, 0);
  await read.offer();
  await read.pass(LOOKS_MS);
  expect(read.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
});
