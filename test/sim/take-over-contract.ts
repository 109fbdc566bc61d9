import { expect, test } from 'vitest';
import { Lane, type JournalUnderTest } from './journal-contract-lane.ts';
import { takenBy, type MakePair } from './replica-pair.ts';

const BY = { person: 'ann', reason: 'restored' };

/** What a replica finds that takes over what a dead one has left. */
export function testTakeOver(makePair: MakePair): void {
  test('a write under way in a living replica is left to that replica', async () => {
    const { here, there } = await makePair();
    await here.lane.write();
    const { dirty, pending } = await there.journal.recover();
    expect([...dirty, ...pending.map(({ lane }) => lane)]).not.toContain(here.lane.key);
    expect(await here.lane.state()).toMatchObject({ condition: 'clean', isHome: true });
  });

  test('only the home of a lane gets its writes', async () => {
    const { here, there } = await makePair();
    const ref = await here.lane.write('applied');
    expect([await here.lane.pending(), await there.lane.pending()]).toEqual([[1], []]);
    await here.journal.delivered(ref);
    await there.lane.write('applied');
    expect([await here.lane.pending(), await there.lane.pending()]).toEqual([[], [2]]);
  });

  test('a dead replica’s open write becomes unknown, and its lane gets another home', async () => {
    const { here, there, dies } = await makePair();
    const ref = await here.lane.write();
    await dies();
    expect((await there.journal.recover()).dirty).toContain(there.lane.key);
    await here.journal.recordOutcome({ ref, outcome: 'applied' });
    expect(await there.lane.pending()).toEqual([]);
    expect(await there.lane.state()).toMatchObject({
      condition: 'dirty',
      reason: 'unsettled',
      isHome: true,
    });
    expect(await there.journal.append(there.lane.intent())).toMatchObject({ sequence: 2 });
  });

  test('a dead replica’s missing outcome is unknown, even after writes of others', async () => {
    const { here, there, dies } = await makePair();
    await here.lane.write();
    await here.lane.write('applied');
    await there.lane.write('applied');
    await dies();
    const { dirty } = await there.journal.recover();
    const told = await takenBy(there, there.lane.key);
    expect(dirty.includes(there.lane.key) || told?.condition === 'dirty').toBe(true);
    expect(await there.lane.state()).toMatchObject({ condition: 'dirty', reason: 'unsettled' });
  });

  test('a dead replica’s unknown outcome makes its lane dirty, even after other writes', async () => {
    const { here, there, dies } = await makePair();
    await here.lane.write('unknown');
    await there.lane.write('applied');
    await dies();
    const { dirty } = await there.journal.recover();
    const told = await takenBy(there, there.lane.key);
    expect(dirty.includes(there.lane.key) || told?.condition === 'dirty').toBe(true);
  });

  test('a dead replica’s waiting writes are found, once by each home', async () => {
    const { here, there, dies } = await makePair();
    for (const outcome of ['applied', 'applied', 'refused'] as const) await here.lane.write(outcome);
    await dies();
    const found = { lane: there.lane.key, newest: 2 };
    expect((await there.journal.recover()).pending).toContainEqual(found);
    expect((await there.journal.recover()).pending).toContainEqual(found);
    expect((await here.journal.recover()).pending).not.toContainEqual(found);
  });

  test('a replica that finds a lane without a home uncertain becomes its home', async () => {
    const { here, there } = await makePair();
    await here.journal.delivered(await here.lane.write('applied'));
    await there.journal.markDirty(there.lane.key, 'unknown_outcome');
    expect(await there.lane.state()).toMatchObject({ isHome: true, condition: 'dirty' });
    expect(await there.journal.unwell()).toContain(there.lane.key);
    expect(await here.journal.unwell()).not.toContain(here.lane.key);
    await there.journal.beginCopy(there.lane.key);
    expect(await there.journal.unwell()).toContain(there.lane.key);
    await there.lane.copied(1, 1);
    expect(await there.journal.unwell()).not.toContain(there.lane.key);
  });

  test('a lane that another replica found uncertain is copied once its home knows', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await there.journal.markDirty(there.lane.key, 'unknown_outcome');
    expect(await here.journal.beginCopy(here.lane.key)).toBeUndefined();
    expect(await here.lane.state()).toMatchObject({ condition: 'dirty', generation: 0 });
    const told = await takenBy(here, here.lane.key);
    expect(told).toMatchObject({ condition: 'dirty', foundUncertain: 1 });
    await takenBy(here, here.lane.key);
    await there.lane.write('applied');
    await there.journal.tellHome(there.lane.key);
    expect(await here.lane.state()).toMatchObject({ foundUncertain: 1 });
    expect(await here.journal.beginCopy(here.lane.key)).toMatchObject({
      condition: 'copying',
      generation: 1,
    });
  });

  test('a lane that another replica’s unjournaled write changed late is seeded again', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await here.journal.beginCopy(here.lane.key);
    await here.lane.copied(1, 1);
    expect(await here.lane.state()).toMatchObject({ seededCoverage: 1 });
    await here.lane.write('applied');
    await there.journal.markDirty(there.lane.key, 'unknown_outcome');
    expect(await here.lane.state()).toMatchObject({ seededCoverage: 1 });
    await there.journal.markDirty(there.lane.key, 'late_unjournaled');
    const unseeded = { condition: 'dirty', reason: 'late_unjournaled', seededCoverage: 0 };
    expect(await takenBy(here, here.lane.key)).toMatchObject(unseeded);
  });

  test('a broken copy of a dead replica is begun again', async () => {
    const { here, there, dies } = await makePair();
    await here.journal.beginCopy(here.lane.key);
    expect((await there.journal.recover()).dirty).not.toContain(there.lane.key);
    await dies();
    expect((await there.journal.recover()).dirty).toContain(there.lane.key);
    expect(await here.lane.copied(2, 0)).toBeUndefined();
  });
}

/** Writes that a dead replica has left open keep nobody waiting, and whoever must look at their lane is told. */
export function testOpenWritesLeft(makePair: MakePair, subject: () => JournalUnderTest): void {
  test.for(['clean', 'copying', 'stopped'] as const)(
    'a dead replica’s open write in a lane that is %s blocks no writer',
    async (condition) => {
      const { here, there, dies } = await makePair();
      await there.lane.write('applied');
      if (condition === 'copying') await there.journal.beginCopy(there.lane.key);
      await here.lane.write();
      if (condition === 'stopped') await there.journal.stopLane(there.lane.key, 'lost');
      expect(await there.journal.hold(there.lane.key, 30)).toBeUndefined();
      await dies();
      const found = await there.journal.recover();
      const isStopped = condition === 'stopped';
      expect(found.dirty.includes(there.lane.key)).toBe(!isStopped);
      expect(await there.journal.hold(there.lane.key, 30)).toMatchObject({
        condition: isStopped ? 'stopped' : 'dirty',
      });
      expect(await takenBy(there, there.lane.key)).toBeUndefined();
    },
  );

  test('a dead replica’s open write does not prevent that writes are given again', async () => {
    const { here, there, dies } = await makePair();
    await there.lane.write('applied');
    await subject().flip(there.lane.key);
    await here.lane.write();
    const at = { epoch: 1, generation: 0, sequence: 1 };
    const found = { lane: there.lane.key, older: 'orchestrator', journal: at, orchestrator: at } as const;
    await there.restored.found([found]);
    const holds = async (): Promise<boolean> => (await there.journal.hold(there.lane.key, 30)) !== undefined;
    expect(await holds(), 'while the other replica lives').toBe(false);
    await dies();
    await there.journal.recover();
    expect(await holds()).toBe(true);
    expect(await there.journal.append(there.lane.intent()), 'a new write').toBeUndefined();
    await there.restored.redelivered(there.lane.key, { writes: 1, isComplete: true });
    await there.restored.accept(there.lane.service, [{ lane: there.lane.key, orchestrator: at }], BY);
    await there.journal.releaseHold(there.lane.key);
    expect(await holds(), 'after the decision').toBe(false);
  });

  test('the replica that takes over notifies a living home of uncertain lanes', async () => {
    const { here, there, dies } = await makePair();
    const third = subject().open();
    await third.replicas.register(third.identity.id);
    await there.lane.write('applied');
    await here.lane.write();
    await dies();
    expect((await third.journal.recover()).dirty).not.toContain(there.lane.key);
    expect(await takenBy(there, there.lane.key)).toMatchObject({ condition: 'dirty', reason: 'unsettled' });
  });

  test('a dead replica’s late durable intent is found although its lane is busy', async () => {
    const { here, there, dies } = await makePair();
    const other = new Lane(here.journal);
    await dies();
    expect((await there.journal.recover()).dirty).not.toContain(there.lane.key);
    for (const lane of [here.lane, other]) await lane.write();
    expect(await there.journal.append(there.lane.intent())).toBeUndefined();
    expect(await there.journal.recover(there.lane.key)).toMatchObject({ dirty: [there.lane.key] });
    expect(await there.journal.append(there.lane.intent())).toMatchObject({ sequence: 2, isHome: true });
    expect(await there.journal.append(other.intent())).toBeUndefined();
  });

  test('a dead replica’s hold of a lane is released', async () => {
    const { here, there, dies } = await makePair();
    await here.lane.write('applied');
    await here.journal.hold(here.lane.key, 30);
    expect(await there.journal.append(there.lane.intent())).toBeUndefined();
    await dies();
    await there.journal.recover();
    expect(await there.journal.append(there.lane.intent())).toMatchObject({ sequence: 2 });
  });
}
