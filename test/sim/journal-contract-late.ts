import { describe, expect, test } from 'vitest';
import { present } from '../integration/storage/journal-under-test.ts';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import type { Begin } from './journal-contract-lane.ts';

/** A lane that was seeded, and became dirty with the unknown outcome of its newest write. */
async function uncertain({ journal, coverage, lane }: ReturnType<Begin>) {
  const number = await coverage.begin(lane.service);
  await journal.recordOutcome({ ref: await lane.write(), outcome: 'applied', seedsUnder: number });
  const ref = await lane.write('unknown');
  await journal.markDirty(lane.key, 'unknown_outcome');
  return ref;
}

const late = (ref: WriteRef, generation = 0) => ({ ref, outcome: 'applied' as const, generation });

/** W8: what a late reply proves, and what it does not. */
export function describeLateReplies(begin: Begin): void {
  describe('a late reply', () => {
    test('makes the outcome known and the lane clean, once', async () => {
      const at = begin();
      const ref = await uncertain(at);
      expect(await at.journal.counts(at.lane.service)).toMatchObject({ unknown: 1 });
      expect(await at.journal.resolveLate(late(ref))).toMatchObject({ condition: 'clean', reason: '' });
      expect(await at.lane.pending()).toEqual([1, 2]);
      expect(await at.lane.state()).toMatchObject({ condition: 'clean' });
      expect(await at.journal.counts(at.lane.service)).toMatchObject({ unknown: 0 });
      expect(await at.journal.resolveLate(late(ref))).toBeUndefined();
    });

    test('of a refusal leaves nothing to deliver', async () => {
      const at = begin();
      const ref = await uncertain(at);
      await at.journal.resolveLate({ ...late(ref), outcome: 'refused' });
      expect(await at.lane.undelivered()).toEqual([1]);
    });

    test('of the write that begins a lane seeds it', async () => {
      const { journal, coverage, lane } = begin();
      const number = await coverage.begin(lane.service);
      const ref = await lane.write('unknown');
      await journal.markDirty(lane.key, 'unknown_outcome');
      expect(await journal.resolveLate(late(ref))).toBeUndefined();
      const resolved = await journal.resolveLate({ ...late(ref), seedsUnder: number });
      expect(resolved).toMatchObject({ condition: 'clean', seededCoverage: number });
    });

    test('proves nothing once a copy has begun', async () => {
      const at = begin();
      const ref = await uncertain(at);
      await at.journal.beginCopy(at.lane.key);
      await at.journal.markDirty(at.lane.key, 'unknown_outcome');
      expect(await at.journal.resolveLate(late(ref))).toBeUndefined();
      expect(await at.lane.pending()).toEqual([1]);
    });

    test('proves nothing once a copy has read after the write, even if it began earlier', async () => {
      const at = begin();
      const number = await at.coverage.begin(at.lane.service);
      await at.journal.recordOutcome({ ref: await at.lane.write(), outcome: 'applied', seedsUnder: number });
      const { generation } = present(await at.journal.beginCopy(at.lane.key));
      const ref = await at.lane.write('unknown');
      await at.journal.markDirty(at.lane.key, 'unknown_outcome');
      const finished = { generation, sequence: ref.sequence, coverage: number, exceptions: [] };
      await at.journal.finishCopy(at.lane.key, finished);
      expect(await at.journal.resolveLate(late(ref, generation))).toBeUndefined();
    });

    test('proves nothing if another write followed, or another is unknown too', async () => {
      const [behind, before] = [begin(), begin()];
      const overtaken = await uncertain(behind);
      await behind.lane.write('applied');
      expect(await behind.journal.resolveLate(late(overtaken))).toBeUndefined();
      await uncertain(before);
      const newest = await before.lane.write('unknown');
      expect(await before.journal.resolveLate(late(newest))).toBeUndefined();
      expect(await before.lane.state()).toMatchObject({ condition: 'dirty' });
    });

    test('heals nothing else that is wrong with the lane', async () => {
      const at = begin();
      const ref = await uncertain(at);
      await at.journal.markDirty(at.lane.key, 'delivery_altered');
      await at.journal.markDirty(at.lane.key, 'unknown_outcome');
      expect(await at.lane.state()).toMatchObject({ reason: 'delivery_altered' });
      expect(await at.journal.resolveLate(late(ref))).toBeUndefined();
    });
  });
}
