import { describe, expect, test } from 'vitest';
import type { FoundOlder, Position } from '../../src/engine/ports/restored-ports.ts';
import type { Begin, JournalUnderTest, Lane, Opened } from './journal-contract-lane.ts';

const BY = { person: 'ann', reason: 'restored' };
const AT = (sequence: number, epoch = 1): Position => ({ epoch, generation: 0, sequence });

/** What noticing restored databases relies on: the same for the tables in memory and for the SQL they stand for. */
export function describeRestored(subject: () => JournalUnderTest, begin: Begin): void {
  /** A lane with one applied write, whose writes have moved. */
  const moved = async (owner = 'ann', opened: Opened & { readonly lane: Lane } = begin()) => {
    const lane = opened.lane.of(owner);
    await lane.write('applied');
    await subject().flip(lane.key);
    const older = (facts: Partial<FoundOlder>): FoundOlder => ({
      lane: lane.key,
      older: 'journal',
      journal: AT(1),
      orchestrator: AT(3),
      ...facts,
    });
    return { ...opened, lane, older };
  };

  describe('restored databases', () => {
    test('moved lanes are paged by key, with their newest applied write', async () => {
      const { restored, lane, ...opened } = await moved('b');
      await lane.write('refused');
      const [before, unmoved] = [(await moved('a', { ...opened, restored, lane })).lane, lane.of('c')];
      await unmoved.write('applied');
      const keysAfter = async (after: string): Promise<readonly string[]> =>
        (await restored.moved(after)).map((row) => row.lane);
      const keys = await keysAfter('');
      expect(keys.indexOf(before.key)).toBeLessThan(keys.indexOf(lane.key));
      expect(keys).toContain(before.key);
      expect(keys).not.toContain(unmoved.key);
      expect(await keysAfter(before.key)).toContain(lane.key);
      expect(await keysAfter(lane.key)).not.toContain(lane.key);
      expect(await restored.positions([lane.key, lane.of('unknown').key])).toEqual([
        { lane: lane.key, primary: 'orchestrator', epoch: 1, generation: 0, sequence: 2, applied: 1 },
      ]);
    });

    test('a mark is kept, does not fall, and stays for an hour', async () => {
      const { restored, lane } = await moved();
      for (const sequence of [5, 4, 6]) {
        await restored.mark([{ lane: lane.key, ...AT(sequence) }]);
        expect(await restored.positions([lane.key])).toMatchObject([{ mark: AT(5) }]);
      }
    });

    test('a mark of a lane that legacy answers is not kept', async () => {
      const { restored, lane } = begin();
      await lane.write('applied');
      await restored.mark([{ lane: lane.key, ...AT(5) }]);
      expect(await restored.positions([lane.key])).toEqual([
        { lane: lane.key, primary: 'legacy', epoch: 0, generation: 0, sequence: 1, applied: 1 },
      ]);
    });

    test('a mark is of one epoch', async () => {
      const { restored, lane } = await moved();
      await restored.mark([{ lane: lane.key, ...AT(5) }]);
      await subject().flip(lane.key);
      expect((await restored.positions([lane.key]))[0]).not.toHaveProperty('mark');
      await restored.mark([{ lane: lane.key, ...AT(4, 2) }]);
      expect(await restored.positions([lane.key])).toMatchObject([{ mark: AT(4, 2) }]);
    });

    test('a lane is listed once, and waits until a person decides', async () => {
      const { restored, lane, older } = await moved();
      const { key, service } = lane;
      const before = await restored.version();
      expect(await restored.found([older({})])).toEqual([key]);
      expect(await restored.found([older({})])).toEqual([]);
      expect((await restored.version()).list).not.toBe(before.list);
      expect(await restored.open()).toContain(key);
      expect((await restored.counts()).get(service)).toBe(1);
      const accept = () => restored.accept(service, [{ lane: key, orchestrator: AT(3) }], BY);
      expect(await accept()).toEqual([key]);
      expect(await accept()).toEqual([]);
      expect(await restored.list({ service, limit: 10 })).toMatchObject([{ lane: key, decidedBy: BY }]);
      expect(await restored.list({ service, isOpen: true, limit: 10 })).toEqual([]);
      expect(await restored.open()).not.toContain(key);
    });

    test('a journal that was older continues after the orchestrator', async () => {
      const { restored, lane } = begin();
      const { key, service } = lane;
      await restored.found([{ lane: key, older: 'journal', journal: AT(0, 0), orchestrator: AT(7) }]);
      await restored.accept(service, [{ lane: key, orchestrator: AT(7) }], BY);
      expect(await lane.state()).toMatchObject({
        primary: 'orchestrator',
        epoch: 1,
        sequence: 7,
        deliveredSequence: 7,
      });
      expect((await lane.write()).sequence).toBe(8);
    });

    test('a lane that had returned to legacy is copied again', async () => {
      const { restored, lane, older } = await moved();
      const orchestrator = AT(3, 2);
      await restored.found([older({ orchestrator })]);
      await restored.accept(lane.service, [{ lane: lane.key, orchestrator }], BY);
      expect(await lane.state()).toMatchObject({
        primary: 'legacy',
        epoch: 2,
        sequence: 3,
        seededCoverage: 0,
      });
    });

    test('a lane is accepted only after the orchestrator got its writes again', async () => {
      const { restored, lane, older } = await moved();
      const { key, service } = lane;
      await restored.found([older({ older: 'orchestrator', journal: AT(4), orchestrator: AT(1) })]);
      expect(await restored.toRedeliver()).toContain(key);
      expect(await restored.accept(service, [{ lane: key, orchestrator: AT(1) }], BY)).toEqual([]);
      await restored.redelivered(key, { writes: 2, isComplete: false });
      expect(await restored.toRedeliver()).not.toContain(key);
      expect(await restored.list({ service, limit: 1 })).toMatchObject([
        { redelivered: 2, isIncomplete: true },
      ]);
      await restored.redelivered(key, { writes: 1, isComplete: true });
      expect(await restored.list({ service, limit: 1 })).toMatchObject([
        { redelivered: 3, isIncomplete: false },
      ]);
      expect(await restored.accept(service, [{ lane: key, orchestrator: AT(3) }], BY)).toEqual([key]);
      // What is gone for good is not found again.
      expect(await restored.positions([key])).toMatchObject([{ mark: AT(3), applied: 0 }]);
    });

    test('nothing of a listed lane is sent to legacy', async () => {
      const { restored, sends, lane, older } = await moved();
      const ref = await lane.write('applied');
      await restored.found([older({})]);
      const { operationId } = lane.intent();
      expect(await sends.begin({ ref, operationId, action: 'add', epoch: 1, attempt: 1 })).toBe(false);
    });
  });
}
