import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Begin, JournalUnderTest } from './journal-contract-lane.ts';
import { eventually } from '../support/eventually.ts';
import type { Beat } from '../../src/engine/ports/replica-ports.ts';
import { pairsOf, takenBy, type MakePair } from './replica-pair.ts';
import { testReplays } from './replay-contract.ts';
import { testReplay } from './spill-contract.ts';
import { testOpenWritesLeft, testTakeOver } from './take-over-contract.ts';

const SILENT_MS = 2_200;

/** What replicas that share a journal rely on. */
export function describeReplicas(subject: () => JournalUnderTest, begin: Begin): void {
  const makePair = pairsOf(subject, begin);
  describe('shared by replicas', () => {
    testOpenWrites(makePair);
    testHolds(makePair);
    testHomes(makePair);
    testForeign(makePair, subject);
    testInterrupted(makePair);
    testFences(makePair, subject);
    testRegister(makePair, subject);
    testTakeOver(makePair);
    testOpenWritesLeft(makePair, subject);
    testOutdated(begin);
    testReplay(begin, makePair);
    testReplays(makePair);
  });
}

function testOpenWrites(makePair: MakePair): void {
  test('a lane with an open write takes no write of another replica before its outcome', async () => {
    const { here, there } = await makePair();
    const ref = await here.lane.write();
    expect(await there.journal.append(there.lane.intent())).toBeUndefined();
    expect(await here.lane.state()).toMatchObject({ sequence: 1 });
    await here.journal.recordOutcome({ ref, outcome: 'unknown' });
    expect(await there.journal.append(there.lane.intent())).toMatchObject({ sequence: 2, isHome: false });
    expect(await here.journal.append(here.lane.intent())).toBeUndefined();
  });

  test('a write that a copy has settled is no longer open', async () => {
    const { here, there } = await makePair();
    await here.lane.write();
    await here.journal.beginCopy(here.lane.key);
    await here.lane.copied(1, 1);
    expect(await there.journal.append(there.lane.intent())).toMatchObject({ sequence: 2 });
  });

  test('a replica’s own writes do not wait for each other', async () => {
    const { here } = await makePair();
    await here.lane.write();
    expect(await here.journal.append(here.lane.intent())).toMatchObject({ sequence: 2, isHome: true });
  });
}

function testHolds(makePair: MakePair): void {
  test('a held lane takes only the writes of its holder, until the release', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    expect(await there.journal.hold(there.lane.key, 30)).toMatchObject({ sequence: 1, isHome: false });
    expect(await here.journal.append(here.lane.intent())).toBeUndefined();
    expect(await here.journal.hold(here.lane.key, 30)).toBeUndefined();
    expect(await there.journal.hold(there.lane.key, 30)).toBeDefined();
    await here.journal.releaseHold(here.lane.key);
    expect(await here.journal.append(here.lane.intent())).toBeUndefined();
    await there.journal.releaseHold(there.lane.key);
    expect(await here.journal.append(here.lane.intent())).toMatchObject({ sequence: 2 });
  });

  test('a lane with an open write is not held by another replica', async () => {
    const { here, there } = await makePair();
    await here.lane.write();
    expect(await there.journal.hold(there.lane.key, 30)).toBeUndefined();
    expect(await here.journal.hold(here.lane.key, 30)).toBeDefined();
  });

  test('a lane is not held while a living replica has not recorded an earlier outcome', async () => {
    const { here, there } = await makePair();
    const ref = await here.lane.write();
    await here.lane.write('applied');
    expect(await there.journal.hold(there.lane.key, 30)).toBeUndefined();
    await here.journal.recordOutcome({ ref, outcome: 'applied' });
    expect(await there.journal.hold(there.lane.key, 30)).toMatchObject({ sequence: 2 });
  });

  test('a hold ends by its time', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await there.journal.hold(there.lane.key, 0.05);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(await here.journal.append(here.lane.intent())).toMatchObject({ sequence: 2 });
  });

  test('a lane that was never written cannot be held', async () => {
    const { here } = await makePair();
    expect(await here.journal.hold(here.lane.key, 30)).toBeUndefined();
  });
}

function testHomes(makePair: MakePair): void {
  test('the replica that writes first is the lane’s home, and copies it while it lives', async () => {
    const { here, there, dies } = await makePair();
    await here.lane.write('applied');
    expect(await here.lane.state()).toMatchObject({ isHome: true });
    expect(await there.lane.state()).toMatchObject({ isHome: false });
    expect(await there.journal.beginCopy(there.lane.key)).toBeUndefined();
    await dies();
    expect(await there.journal.beginCopy(there.lane.key)).toMatchObject({ generation: 1, isHome: true });
  });

  test('a lane without a waiting write has no home', async () => {
    const { here, there } = await makePair();
    await here.journal.delivered(await here.lane.write('applied'));
    expect(await here.lane.state()).toMatchObject({ isHome: false });
    expect(await there.journal.append(there.lane.intent())).toMatchObject({ isHome: true });
  });

  test('a lane that is not clean keeps its home', async () => {
    const { here } = await makePair();
    const ref = await here.lane.write('applied');
    await here.journal.markDirty(here.lane.key, 'unknown_outcome');
    await here.journal.delivered(ref);
    expect(await here.lane.state()).toMatchObject({ isHome: true });
  });

  test('a replica that leaves is the home of nothing', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await here.replicas.leave(here.identity.id);
    expect(await here.lane.state()).toMatchObject({ isHome: false });
    expect(await there.journal.tellHome(there.lane.key)).toMatchObject({ isHome: true });
  });
}

function testForeign(makePair: MakePair, subject: () => JournalUnderTest): void {
  test('a home is notified once of a write or an uncertainty of another replica', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await there.lane.write('applied');
    expect(await takenBy(here, here.lane.key)).toBeUndefined();
    expect(await there.journal.tellHome(there.lane.key)).toMatchObject({ isHome: false });
    expect(await takenBy(there, here.lane.key)).toBeUndefined();
    expect(await takenBy(here, here.lane.key)).toMatchObject({ sequence: 2, isHome: true });
    expect(await takenBy(here, here.lane.key)).toBeUndefined();
    await there.journal.markDirty(there.lane.key, 'unknown_outcome');
    expect(await takenBy(here, here.lane.key)).toMatchObject({ condition: 'dirty' });
  });

  test('a home is notified again until its next query confirms the answer', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    await there.lane.write('applied');
    await there.journal.tellHome(there.lane.key);
    const lost = subject().open(here.identity);
    expect(await takenBy(lost, here.lane.key)).toBeDefined();
    expect(await takenBy(here, here.lane.key)).toBeDefined();
    await there.journal.tellHome(there.lane.key);
    expect(await takenBy(here, here.lane.key)).toBeDefined();
    expect(await takenBy(here, here.lane.key)).toBeUndefined();
    expect(await takenBy(subject().open(here.identity), here.lane.key)).toBeUndefined();
  });

  test('a replica that notifies a dead home becomes the home', async () => {
    const { here, there, dies } = await makePair();
    await here.lane.write('applied');
    await there.lane.write('applied');
    await dies();
    expect(await there.journal.tellHome(there.lane.key)).toMatchObject({ isHome: true });
    expect(await takenBy(there, there.lane.key)).toBeUndefined();
  });

  test('a lane that does not exist notifies no home', async () => {
    const { here } = await makePair();
    expect(await here.journal.tellHome(here.lane.key)).toBeUndefined();
  });

  test('a copy without a running replica goes to the replica that requests it', async () => {
    const { here, there } = await makePair();
    await here.journal.beginCopy(here.lane.key);
    expect(await takenBy(there, here.lane.key)).toBeUndefined();
    await here.replicas.leave(here.identity.id);
    expect(await takenBy(there, here.lane.key)).toMatchObject({
      condition: 'dirty',
      reason: 'copy_interrupted',
      isHome: true,
    });
  });
}

function testInterrupted(makePair: MakePair): void {
  test('a copy whose home has died is begun again by the next writer', async () => {
    const { here, there, dies } = await makePair();
    await here.lane.write('applied');
    await here.journal.beginCopy(here.lane.key);
    await there.lane.write('applied');
    expect(await here.lane.state()).toMatchObject({ condition: 'copying', isHome: true });
    await dies();
    expect(await there.journal.append(there.lane.intent())).toMatchObject({
      condition: 'dirty',
      isHome: true,
    });
  });

  test('a copy whose home has died is begun again by the replica that notifies it', async () => {
    const { here, there, dies } = await makePair();
    await here.journal.beginCopy(here.lane.key);
    expect(await there.journal.tellHome(there.lane.key)).toMatchObject({ condition: 'copying' });
    await dies();
    expect(await there.journal.tellHome(there.lane.key)).toMatchObject({ condition: 'dirty', isHome: true });
  });

  test('a replica’s writes and notices do not interrupt its own copy', async () => {
    const { here } = await makePair();
    await here.journal.beginCopy(here.lane.key);
    expect(await here.journal.append(here.lane.intent())).toMatchObject({ condition: 'copying' });
    expect(await here.journal.tellHome(here.lane.key)).toMatchObject({ condition: 'copying', isHome: true });
  });
}

function testFences(makePair: MakePair, subject: () => JournalUnderTest): void {
  test('a lane’s fence shows acknowledged, undelivered writes of every replica', async () => {
    const { here, there } = await makePair();
    const { key, service } = here.lane;
    expect(await there.journal.fence(key)).toBeUndefined();
    const ref = await here.lane.write();
    expect(await there.journal.fence(key)).toMatchObject({ isBehind: true, coverage: 0 });
    await here.journal.recordOutcome({ ref, outcome: 'refused' });
    const number = await here.coverage.begin(service);
    expect(await there.journal.fence(key)).toMatchObject({ isBehind: false, coverage: number });
    const next = await here.lane.write('applied');
    expect(await there.journal.fence(key)).toMatchObject({ isBehind: true, state: { sequence: 2 } });
    await here.journal.delivered(next);
    expect(await there.journal.fence(key)).toMatchObject({ isBehind: false });
  });

  test('a fence shows a replica that may spill and has been silent for two seconds', async () => {
    const { here, there } = await makePair();
    await here.lane.write('applied');
    const isSilent = async () => (await here.journal.fence(here.lane.key))?.isReplicaSilent;
    const isHeardOf = async (): Promise<boolean> => {
      await there.replicas.heartbeat(there.identity.id, beatOf({}));
      return (await isSilent()) === false;
    };
    await subject().silence(there.identity.id, SILENT_MS);
    expect(await isSilent()).toBe(false);
    await there.replicas.register(there.identity.id, randomUUID());
    await eventually('its heartbeat', isHeardOf);
    await subject().silence(there.identity.id, SILENT_MS);
    expect(await isSilent()).toBe(true);
    await eventually('its heartbeat', isHeardOf);
    await there.replicas.leave(there.identity.id);
  });
}

function beatOf(coverage: Readonly<Record<string, number>>): Beat {
  return { coverage, shares: {}, isSpilling: false };
}

function testRegister(makePair: MakePair, subject: () => JournalUnderTest): void {
  test('a heartbeat shows all that are registered, and what they act on', async () => {
    const { here, there } = await makePair();
    await here.replicas.heartbeat(here.identity.id, beatOf({ notes: 3 }));
    await subject().silence(there.identity.id, 1_000);
    const { replicas: reports } = await here.replicas.heartbeat(here.identity.id, beatOf({ notes: 4 }));
    const known = new Map(reports.map((report) => [report.replica, report]));
    expect(known.get(here.identity.id)).toMatchObject({ silentMs: 0, coverage: { notes: 4 } });
    expect(known.get(there.identity.id)?.silentMs).toBeGreaterThan(900);
  });

  test('a replica that others removed does not find itself', async () => {
    const { here, there, dies } = await makePair();
    await dies();
    await there.journal.recover();
    const ids = async () =>
      (await here.replicas.heartbeat(here.identity.id, beatOf({}))).replicas.map(({ replica }) => replica);
    expect(await ids()).not.toContain(here.identity.id);
    expect(await ids()).toContain(there.identity.id);
    await here.replicas.register(here.identity.id);
    expect(await ids()).toContain(here.identity.id);
  });

  test('a replica that registers gets the number of the others', async () => {
    const { here } = await makePair();
    const again = await here.replicas.register(here.identity.id);
    const newcomer = subject().open();
    expect(await newcomer.replicas.register(newcomer.identity.id)).toBe(again + 1);
  });
}

function testOutdated(begin: Begin): void {
  test('owners whose lanes are of an older coverage, or were never copied, are found', async () => {
    const { journal, lane } = begin();
    await journal.beginCopy(lane.key);
    expect(await journal.outdated(lane.service, 2)).toEqual([lane.owner]);
    await lane.copied(1, 0, 1);
    expect(await journal.outdated(lane.service, 1)).toEqual([]);
    expect(await journal.outdated(lane.service, 2)).toEqual([lane.owner]);
  });
}
