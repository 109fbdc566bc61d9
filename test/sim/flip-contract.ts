import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import { describeFlipBook } from './flip-book-contract.ts';
import { describeFlipPermission } from './flip-permission-contract.ts';
import {
  BUCKET,
  LONG_MS,
  decided,
  delivered,
  flipped,
  forgetReplicas,
  permitted,
  type Open,
  type Subject,
} from './flip-steps.ts';
import type { Begin } from './journal-contract-lane.ts';

const HOLD_MS = 250;

/** The only statement that changes which backend is primary for the writes of a lane. */
export function describeFlips(opened: Begin, open: Open): void {
  const begin = async (): Promise<Subject> => {
    const subject = opened();
    await forgetReplicas(subject);
    return subject;
  };

  describe('a flip of a lane', () => {
    test('raises the epoch, names the new primary, and ends the hold', async () => {
      const subject = await begin();
      await delivered(subject);
      expect(await flipped(subject)).toMatchObject({
        primary: 'orchestrator',
        epoch: 1,
        sequence: 1,
        generation: 0,
        isHome: false,
      });
      expect(await subject.journal.append(subject.lane.intent())).toMatchObject({
        primary: 'orchestrator',
        epoch: 1,
        sequence: 2,
      });
    });

    test('back to legacy opens a generation and leaves the lane to be copied', async () => {
      const subject = await begin();
      const { coverage, journal, lane } = subject;
      const number = await coverage.begin(lane.service);
      await journal.beginCopy(lane.key);
      await lane.copied(1, 0, number);
      await delivered(subject);
      expect(await flipped(subject)).toMatchObject({ seededCoverage: number, generation: 1 });
      expect(await journal.returned(lane.service, number)).toEqual([]);
      expect(await flipped(subject, 'legacy')).toMatchObject({
        primary: 'legacy',
        epoch: 2,
        generation: 2,
        seededCoverage: -number,
      });
      expect(await journal.returned(lane.service, number)).toEqual([lane.owner]);
    });

    test('stores what the orchestrator holds, so that an older copy is noticed', async () => {
      const subject = await begin();
      await delivered(subject);
      const { flips, restored, lane } = subject;
      const held = { epoch: 0, generation: 0, sequence: 1 };
      await flips.flip(lane.key, { ...(await decided(subject, 'orchestrator')), held });
      expect(await restored.positions([lane.key])).toMatchObject([{ epoch: 1, mark: held, applied: 0 }]);
    });

    test('has no effect once any fact of its decision has changed', async () => {
      const subject = await begin();
      await delivered(subject);
      const right = await decided(subject, 'orchestrator');
      const { flips, lane } = subject;
      for (const wrong of [
        { epoch: 1 },
        { sequence: 2 },
        { claim: right.claim + 1 },
        { to: 'legacy' },
      ] as const)
        expect(await flips.flip(lane.key, { ...right, ...wrong })).toBeUndefined();
      expect(await flips.flip(lane.key, right)).toMatchObject({ epoch: 1 });
      expect(await flips.flip(lane.key, right)).toBeUndefined();
    });

    test('is made although a delivery that was recorded meanwhile has ended the claim', async () => {
      const subject = await begin();
      const { flips, journal, lane } = subject;
      const ref = await delivered(subject);
      const decision = await decided(subject, 'orchestrator');
      await journal.delivered(ref);
      expect(await lane.state()).toMatchObject({ isHome: false });
      expect(await flips.flip(lane.key, decision)).toMatchObject({ epoch: 1 });
    });

    test('needs its hold, of this replica, which ends by its time', async () => {
      const subject = await begin();
      const { flips, journal, lane } = subject;
      await delivered(subject);
      const decision = await decided(subject, 'orchestrator');
      await journal.releaseHold(lane.key);
      expect(await flips.flip(lane.key, decision)).toBeUndefined();
      const late = await decided(subject, 'orchestrator', 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await flips.flip(lane.key, late)).toBeUndefined();
    });

    test.each(['applied', 'unknown', undefined] as const)(
      'waits for a write that only one backend may have (%s)',
      async (outcome) => {
        const subject = await begin();
        await delivered(subject);
        await subject.lane.write(outcome);
        expect(await flipped(subject)).toBeUndefined();
        expect(await subject.lane.state()).toMatchObject({ primary: 'legacy', epoch: 0 });
      },
    );

    test('does not wait for a write without effect', async () => {
      const subject = await begin();
      await delivered(subject);
      await subject.lane.write('refused');
      await subject.lane.write('not_applied');
      expect(await flipped(subject)).toMatchObject({ sequence: 3, deliveredSequence: 3 });
    });

    test('does not happen to a dirty, stopped or copying lane, or beside a dead letter', async () => {
      for (const spoil of [
        ({ journal, lane }: Subject) => journal.markDirty(lane.key, 'asked_for'),
        ({ journal, lane }: Subject) => journal.stopLane(lane.key, 'lost'),
        ({ journal, lane }: Subject) => journal.beginCopy(lane.key),
        ({ journal }: Subject, ref: WriteRef) => journal.deadLetter({ ref, code: 'x', reason: 'y' }),
      ]) {
        const subject = await begin();
        const ref = await delivered(subject);
        await spoil(subject, ref);
        expect(await flipped(subject)).toBeUndefined();
      }
    });

    test('needs a coverage under which the lane is seeded', async () => {
      const subject = await begin();
      const { coverage, lane } = subject;
      await delivered(subject);
      await coverage.end(lane.service);
      expect(await flipped(subject)).toBeUndefined();
      await coverage.begin(lane.service);
      expect(await flipped(subject)).toBeUndefined();
    });

    test('leaves out what an older replica spilled for legacy, and compares the lane', async () => {
      const subject = await begin();
      const { book, identity, lane, spills } = subject;
      await delivered(subject);
      await flipped(subject);
      for (const flip of await book.uncompared([lane.service], 10)) await book.compared(flip, 'equal');
      const intent = { ...lane.intent(), kind: 'intent', number: 1, replica: identity.id } as const;
      const page = { spill: randomUUID(), after: 0, through: 1, intents: [intent], earlier: [] };
      const outcomes = new Map([[intent.operationId, 'applied' as const]]);
      const lanes = await spills.replay({ ...page, outcomes, settled: [], isOutOfOrder: () => false });
      expect(lanes?.size).toBe(0);
      expect(await lane.state()).toMatchObject({ sequence: 1, condition: 'clean' });
      expect(await book.uncompared([lane.service], 10)).toMatchObject([{ lane: lane.key, epoch: 1 }]);
    });

    test('leaves the coverage of its service open', async () => {
      const subject = await begin();
      const { coverage, lane } = subject;
      await delivered(subject);
      await flipped(subject);
      const { number } = await coverage.current(lane.service);
      expect(await coverage.end(lane.service)).toBe(false);
      expect(await coverage.current(lane.service)).toMatchObject({ number });
      await flipped(subject, 'legacy');
      expect(await coverage.end(lane.service)).toBe(true);
    });
  });

  describeFlipPermission(begin, open);

  describe('the birth of a lane', () => {
    test('makes the row of a new owner with the orchestrator as primary', async () => {
      const subject = await begin();
      const { coverage, flips, journal, lane } = subject;
      const number = await coverage.begin(lane.service);
      const permission = await permitted(subject);
      expect(await flips.bear(lane.key, permission)).toMatchObject({
        primary: 'orchestrator',
        epoch: 1,
        sequence: 0,
        seededCoverage: number,
      });
      expect(await flips.bear(lane.key, permission)).toBeUndefined();
      expect(await journal.append(lane.intent())).toMatchObject({ primary: 'orchestrator', sequence: 1 });
    });

    // Without it, no comparison of a lane that agents always write to says what legacy should hold.
    test('notes that both backends held nothing', async () => {
      const subject = await begin();
      const { baselines, coverage, flips, lane } = subject;
      await coverage.begin(lane.service);
      await flips.bear(lane.key, await permitted(subject));
      expect(await baselines.of(lane.key)).toEqual({ sequence: 0, items: [] });
    });

    test('happens to no owner with a row, and not without a permission', async () => {
      const subject = await begin();
      const { coverage, flips, lane } = subject;
      const permission = await permitted(subject);
      expect(await flips.bear(lane.key, permission)).toBeUndefined();
      await coverage.begin(lane.service);
      expect(await flips.bear(lane.key, { ...permission, bucket: BUCKET + 1 })).toBeUndefined();
      expect(await flips.bear(lane.key, { ...permission, share: permission.share + 1 })).toBeUndefined();
      await lane.write('applied');
      expect(await flips.bear(lane.key, permission)).toBeUndefined();
      expect(await lane.state()).toMatchObject({ primary: 'legacy', epoch: 0 });
    });
  });

  describeFlipBook(begin);

  describe('an announced flip', () => {
    test('keeps the intents of other replicas out, and ends by its time', async () => {
      const subject = await begin();
      const { flips, lane, replicas, identity } = subject;
      await replicas.register(identity.id);
      await delivered(subject);
      expect(await flips.announce(lane.key, HOLD_MS)).toBeDefined();
      const other = opened();
      expect(await other.journal.append(lane.intent())).toBeUndefined();
      expect(await other.flips.announce(lane.key, HOLD_MS)).toBeUndefined();
      await new Promise((resolve) => setTimeout(resolve, HOLD_MS + 50));
      expect(await other.journal.append(lane.intent())).toMatchObject({ sequence: 2 });
    });

    test('leaves no trace when it is withdrawn', async () => {
      const subject = await begin();
      const { flips, lane, replicas, identity } = subject;
      await replicas.register(identity.id);
      await delivered(subject);
      const before = await lane.state();
      await flips.announce(lane.key, LONG_MS);
      expect(await lane.state()).toMatchObject({ isHome: true });
      await flips.withdraw(lane.key);
      await flips.withdraw(lane.key);
      expect(await lane.state()).toEqual(before);
      expect(await opened().journal.append(lane.intent())).toMatchObject({ sequence: 2 });
    });

    test('reads the notes of a home that is gone, because no other replica does', async () => {
      const subject = await begin();
      const { flips, journal, lane, coverage, replicas, identity } = subject;
      await replicas.register(identity.id);
      const seedsUnder = await coverage.begin(lane.service);
      const ref = await lane.write();
      await journal.recordOutcome({ ref, outcome: 'applied', seedsUnder });
      await opened().journal.tellHome(lane.key);
      await journal.delivered(ref);
      expect(await lane.state()).toMatchObject({ isHome: false });
      await replicas.leave(identity.id);
      expect(await flips.flip(lane.key, await decided(subject, 'orchestrator'))).toMatchObject({ epoch: 1 });
    });

    test('is not made by another replica than the home, or while a write is open', async () => {
      const subject = await begin();
      const { lane, replicas, identity } = subject;
      await replicas.register(identity.id);
      await lane.write('applied');
      const other = opened();
      expect(await other.flips.announce(lane.key, HOLD_MS)).toBeUndefined();
      const { lane: open } = subject;
      await open.write();
      expect(await other.flips.announce(open.key, HOLD_MS)).toBeUndefined();
    });
  });

  describe('nothing copies over an orchestrator that is primary', () => {
    test('no copy begins or ends, and no mark makes the lane dirty or stopped', async () => {
      const subject = await begin();
      const { journal, lane } = subject;
      await delivered(subject);
      const seeded = await lane.state();
      await flipped(subject);
      expect(await journal.beginCopy(lane.key)).toBeUndefined();
      expect(await lane.copied(0, 1, 9)).toBeUndefined();
      await journal.markDirty(lane.key, 'asked_for');
      await journal.stopLane(lane.key, 'lost');
      expect(await lane.state()).toMatchObject({
        condition: 'clean',
        seededCoverage: seeded?.seededCoverage,
      });
    });
  });
}
