import { describe, expect, test } from 'vitest';
import { delivered, flipped, type Subject } from './flip-steps.ts';

/** What is known of the lanes that move. */
export function describeFlipBook(begin: () => Promise<Subject>): void {
  describe('the book of flips', () => {
    const DIGEST = 'as judged now';

    test('lists the lanes on legacy, with what makes each of them unclean', async () => {
      const subject = await begin();
      const { book, journal, lane } = subject;
      const clean = await delivered(subject);
      const query = { after: 0, limit: 10, digest: DIGEST };
      expect(await book.candidates(lane.service, query)).toEqual([
        { id: clean.laneId, lane: lane.key, owner: lane.owner },
      ]);
      expect(await book.candidates(lane.service, { ...query, after: clean.laneId })).toEqual([]);
      expect(await book.candidates(lane.service, { ...query, isEveryHome: true })).toHaveLength(1);
      await journal.deadLetter({ ref: clean, code: 'x', reason: 'y' });
      expect(await book.candidate(lane.key, DIGEST)).toMatchObject({ unclean: 'dead_letter' });
      await journal.markDirty(lane.key, 'asked_for');
      expect(await book.candidate(lane.key, DIGEST)).toMatchObject({ unclean: 'dirty' });
    });

    test('a comparison counts only under the digest it was judged by', async () => {
      const subject = await begin();
      const { book, lane } = subject;
      await delivered(subject);
      await book.verified([lane.key], 'as judged before');
      expect((await book.candidate(lane.key, DIGEST))?.verifiedAgoSeconds).toBeUndefined();
      await book.verified([lane.key], DIGEST);
      expect((await book.candidate(lane.key, DIGEST))?.verifiedAgoSeconds).toBeLessThan(60);
    });

    test('failed flips are counted until the lane has moved', async () => {
      const subject = await begin();
      const { book, lane } = subject;
      await delivered(subject);
      await book.failed(lane.key, 'busy', 60);
      await book.failed(lane.key, 'not_drained', 120);
      expect(await book.among([lane.key], DIGEST)).toMatchObject([
        { lane: lane.key, attempts: { failed: 2, reason: 'not_drained' } },
      ]);
      expect(await book.standing(lane.service)).toMatchObject({ isAnyFlipped: false, movedLately: 0 });
      expect(await book.flipped(lane.service)).toBe(0);
      await flipped(subject);
      expect(await book.standing(lane.service)).toMatchObject({ isAnyFlipped: true, movedLately: 1 });
      expect(await book.flipped(lane.service)).toBe(1);
      expect(await book.among([lane.key], DIGEST)).toEqual([]);
      expect(await book.candidates(lane.service, { after: 0, limit: 10, digest: DIGEST })).toEqual([]);
    });

    test('a flipped lane is compared once, when both backends have all its writes', async () => {
      const subject = await begin();
      const { book, lane } = subject;
      await delivered(subject);
      await flipped(subject);
      await lane.write('applied');
      expect(await book.uncompared([lane.service], 10)).toEqual([]);
      await delivered(subject);
      const [flip] = await book.uncompared([lane.service], 10);
      expect(flip).toMatchObject({ lane: lane.key, owner: lane.owner, epoch: 1 });
      if (flip !== undefined) await book.compared(flip, 'different');
      expect(await book.uncompared([lane.service], 10)).toEqual([]);
      expect(await book.standing(lane.service)).toMatchObject({ flippedDiffer: 1 });
      await book.verified([lane.key], DIGEST);
      expect(await book.standing(lane.service)).toMatchObject({ flippedDiffer: 0 });
    });
  });
}
