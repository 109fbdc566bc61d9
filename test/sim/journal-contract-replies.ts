import { describe, expect, test } from 'vitest';
import type { KeptReplies } from '../../src/engine/writes/repeats.ts';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import type { Begin, JournalUnderTest } from './journal-contract-lane.ts';

const REPLY = { body: Buffer.from('{"status": "ok"}') };
const OVER_HTTP = { body: Buffer.from([0, 255]), http: { status: 201, headers: { 'x-a': ['b', 'c'] } } };

/** What the engine relies on where agents repeat what they got no reply to. */
export function describeReplies(begin: Begin, open: () => ReturnType<JournalUnderTest['open']>): void {
  describe('a reply that no agent has got', () => {
    const twinsOf = (kept: KeptReplies, ref: WriteRef) => kept.unanswered(ref, 'add');

    test('is given out once, byte for byte, to whichever replica asks', async () => {
      for (const reply of [REPLY, OVER_HTTP]) {
        const { kept, lane } = begin();
        const ref = await lane.write('applied');
        await kept.keep(ref, reply);
        const repeat = await lane.write();
        const other = open().kept;
        expect(await twinsOf(other, repeat)).toEqual([
          { sequence: 1, request: '{}', isUnsettled: false, hasReply: true },
        ]);
        const another = await lane.write();
        const taken = await Promise.all([other.take(repeat, [1]), kept.take(another, [1])]);
        expect(taken.filter((one) => one !== undefined)).toEqual([reply]);
        expect(await twinsOf(kept, repeat)).toEqual([]);
      }
    });

    test('is given again to the same repeat, and to no other', async () => {
      const { kept, lane } = begin();
      const ref = await lane.write('applied');
      await kept.keep(ref, REPLY);
      const repeat = await lane.write();
      expect(await kept.take(repeat, [1])).toEqual(REPLY);
      expect(await open().kept.take(repeat, [1])).toEqual(REPLY);
      expect(await kept.take(await lane.write(), [1])).toBeUndefined();
    });

    test('is looked for only if there may be one', async () => {
      const { journal, kept, lane } = begin();
      const ref = await lane.write('applied');
      expect(await lane.state()).toMatchObject({ mayRepeat: false });
      await kept.keep(ref, REPLY);
      expect(await journal.append(lane.intent())).toMatchObject({ mayRepeat: true });
      const { lane: unknown } = begin();
      await unknown.write();
      await journal.markDirty(unknown.key, 'unknown_outcome');
      expect(await unknown.state()).toMatchObject({ mayRepeat: true });
      const { lane: stopped } = begin();
      await stopped.write();
      await journal.stopLane(stopped.key, 'lost');
      await journal.markDirty(stopped.key, 'began_again');
      expect(await stopped.state()).toMatchObject({ mayRepeat: false });
      await journal.markDirty(stopped.key, 'unknown_outcome');
      expect(await stopped.state()).toMatchObject({ mayRepeat: true, condition: 'stopped', reason: 'lost' });
      const { lane: dirty } = begin();
      await dirty.write('applied');
      await journal.markDirty(dirty.key, 'began_again');
      expect(await dirty.state()).toMatchObject({ mayRepeat: false });
    });

    test('is dropped once a repeat has replaced its write', async () => {
      const { kept, lane } = begin();
      const ref = await lane.write('unknown');
      expect(await kept.take(ref, [ref.sequence])).toBeUndefined();
      await kept.keep(ref, REPLY);
      expect(await twinsOf(kept, await lane.write())).toEqual([]);
    });

    test('is missing after its process ended, so that one repeat is suspected', async () => {
      const { journal, kept, lane } = begin();
      const ref = await lane.write('applied');
      await kept.lost(ref);
      expect(await journal.append(lane.intent())).toMatchObject({ mayRepeat: true });
      const repeat = await lane.write();
      const twin = { sequence: 1, request: '{}', isUnsettled: false, hasReply: false };
      expect(await open().kept.unanswered(ref, 'add')).toEqual([]);
      expect((await twinsOf(open().kept, repeat)).filter(({ sequence }) => sequence === 1)).toEqual([twin]);
      expect(await kept.take(repeat, [1])).toBeUndefined();
      const later = await twinsOf(kept, await lane.write());
      expect(later.some(({ sequence }) => sequence === 1)).toBe(false);
    });

    test('of another action, or of a later write, is not given out', async () => {
      const { kept, lane } = begin();
      const first = await lane.write('applied');
      const second = await lane.write('applied');
      await kept.keep(first, REPLY);
      await kept.keep(second, REPLY);
      expect(await kept.unanswered(second, 'remove')).toEqual([]);
      expect((await twinsOf(kept, second)).map(({ sequence }) => sequence)).toEqual([1]);
    });
  });

  describe('a write of unknown outcome', () => {
    test('is unsettled until its lane was copied, or its reply came', async () => {
      const { journal, kept, lane } = begin();
      const first = await lane.write('unknown');
      await lane.write('unknown');
      const isUnsettled = async () =>
        (await kept.unanswered(await lane.write('not_applied'), 'add')).map((write) => write.isUnsettled);
      expect(await isUnsettled()).toEqual([true, true]);
      await kept.keep(first, REPLY);
      expect(await isUnsettled()).toEqual([false, true]);
      await journal.beginCopy(lane.key);
      await lane.copied(1, 4);
      expect(await isUnsettled()).toEqual([false, false]);
    });

    test('may be repeated although its process died before it marked the lane', async () => {
      const { lane } = begin();
      await lane.write('unknown');
      expect(await lane.state()).toMatchObject({ mayRepeat: true, condition: 'clean' });
    });

    test('of a replica that died may be repeated', async () => {
      const { lane } = begin();
      await lane.write();
      await open().journal.recover();
      expect(await lane.state()).toMatchObject({ mayRepeat: true, condition: 'dirty' });
      const later = await lane.write();
      expect(await twinsIn(later)).toEqual([true]);
    });
  });

  const twinsIn = async (ref: WriteRef): Promise<boolean[]> =>
    (await open().kept.unanswered(ref, 'add')).map(({ isUnsettled }) => isUnsettled);
}
