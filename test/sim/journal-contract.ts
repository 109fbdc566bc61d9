import { beforeAll, describe, expect, test } from 'vitest';
import type { LaneKey } from '../../src/domain/ids.ts';
import type { Journal, WriteRef } from '../../src/engine/ports/ports.ts';
import { describeServiceWrites } from './service-writes-contract.ts';
import { Lane, type Begin, type JournalUnderTest } from './journal-contract-lane.ts';
import { describeFlips } from './flip-contract.ts';
import { describeLateReplies } from './journal-contract-late.ts';
import { describeReplies } from './journal-contract-replies.ts';
import { describeReplicas } from './replica-contract.ts';
import { describeRestored } from './restored-contract.ts';
import { describeReverse } from './reverse-contract.ts';
import { describeWayBack } from './way-back-contract.ts';

/** What the engine relies on in a journal: the same for the tables in memory and for the SQL they stand for. */
export function describeJournal(name: string, make: () => Promise<JournalUnderTest>): void {
  describe(name, () => {
    let subject: JournalUnderTest;
    beforeAll(async () => {
      subject = await make();
    });
    const begin: Begin = () => {
      const opened = subject.open();
      return { ...opened, lane: new Lane(opened.journal) };
    };
    testWrites(begin);
    testCopies(begin);
    testRecovery(begin, () => subject.open().journal);
    testCoverage(begin);
    describeLateReplies(begin);
    describeReplicas(() => subject, begin);
    describeFlips(begin, (versions) => subject.open(undefined, versions));
    describeServiceWrites(begin, (lane) => subject.flip(lane));
    describeReplies(begin, () => subject.open());
    describeReverse(() => subject, begin);
    describeWayBack(() => subject, begin);
    describeRestored(() => subject, begin);
  });
}

function testWrites(begin: Begin): void {
  test('concurrent intents of a lane get consecutive sequences', async () => {
    const { journal, lane } = begin();
    const states = await Promise.all(Array.from({ length: 20 }, () => journal.append(lane.intent())));
    expect(states.map((state) => state?.sequence)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
    expect(await lane.state()).toMatchObject({ sequence: 20, generation: 0, condition: 'clean' });
  });

  test('only applied writes that are not delivered wait, in sequence', async () => {
    const { journal, lane } = begin();
    const refs: WriteRef[] = [];
    for (const outcome of ['applied', 'refused', 'applied', 'unknown', undefined, 'applied'] as const)
      refs.push(await lane.write(outcome));
    expect(await lane.pending()).toEqual([1, 3]);
    expect(await lane.pending(1)).toEqual([3]);
    expect(await lane.undelivered()).toEqual([1, 3, 4, 5, 6]);
    expect(await lane.undelivered(4)).toEqual([1, 3, 4]);
    const [, , third, , fifth] = refs;
    if (fifth !== undefined) await journal.recordOutcome({ ref: fifth, outcome: 'refused' });
    expect(await lane.pending()).toEqual([1, 3, 6]);
    if (third !== undefined) await journal.delivered(third);
    // What is recorded as delivered is returned again after what a restored secondary holds.
    const since = await journal.undelivered(lane.key, 100, 1);
    expect(since.map(({ sequence }) => sequence)).toEqual([3, 4, 6]);
    expect((await journal.undelivered(lane.key, 100, 100)).map(({ sequence }) => sequence)).toEqual(
      await lane.undelivered(),
    );
    expect(await lane.pending()).toEqual([6]);
    expect(await lane.state()).toMatchObject({ deliveredSequence: 3 });
  });

  test('delivery waits for a write without a durable outcome, even if a later one has it', async () => {
    const { journal, lane } = begin();
    const late = await lane.write();
    await lane.write('applied');
    expect(await lane.pending()).toEqual([]);
    await journal.recordOutcome({ ref: late, outcome: 'applied' });
    expect(await lane.pending()).toEqual([1, 2]);
  });

  test('a write of unknown outcome may delete for two minutes, whatever was delivered', async () => {
    const { journal, lane } = begin();
    const isOld = await lane.write('unknown');
    const isYoung = await lane.write('unknown', Date.now() - 60_000);
    await lane.write('applied', Date.now());
    await journal.beginCopy(lane.key);
    await lane.copied(1, 3);
    expect(isOld.sequence).toBe(1);
    expect(await lane.undelivered()).toEqual([isYoung.sequence]);
  });

  test('a waiting write lists the writes whose effect is unknown', async () => {
    const { journal, lane } = begin();
    for (const outcome of ['applied', 'unknown', undefined, 'applied'] as const) await lane.write(outcome);
    const waiting = await journal.undelivered(lane.key, 4);
    expect(waiting.map(({ isUncertain = false }) => isUncertain)).toEqual([false, true, true, false]);
    const delivered = await journal.pending(lane.key, 0, { writes: 10, bytes: 1_000_000 });
    expect(delivered.some(({ isUncertain = false }) => isUncertain)).toBe(false);
  });

  test('a waiting write says whether it is covered by the present coverage', async () => {
    const { journal, coverage, lane } = begin();
    const number = await coverage.begin(lane.service);
    for (const under of [number, 0, number + 1_000]) {
      await journal.append({ ...lane.intent(), coverage: under });
      const refs = await journal.undelivered(lane.key, 100);
      const ref = refs.at(-1);
      if (ref !== undefined) await journal.recordOutcome({ ref, outcome: 'applied' });
    }
    const covered = async (): Promise<boolean[]> =>
      (await journal.undelivered(lane.key, 100)).map(({ isCovered = false }) => isCovered);
    expect(await covered()).toEqual([true, false, false]);
    await coverage.end(lane.service);
    await coverage.begin(lane.service);
    expect(await covered()).toEqual([false, false, false]);
  });

  test('the applied writes that were delivered since the last copy are known', async () => {
    const { journal, lane } = begin();
    const known = async (): Promise<number[]> =>
      (await journal.deliveredSinceCopy(lane.key)).map(({ sequence }) => sequence);
    const refs = [await lane.write('applied'), await lane.write('refused'), await lane.write('applied')];
    await lane.write('applied');
    expect(await known()).toEqual([]);
    for (const ref of refs) await journal.delivered(ref);
    expect(await known()).toEqual([1, 3]);
    const { generation } = (await journal.beginCopy(lane.key)) ?? { generation: 0 };
    expect(await known()).toEqual([1, 3]);
    await lane.copied(generation, 2);
    expect(await known()).toEqual([3]);
  });

  test('the clock of the journal gives the age of a lane’s first and last applied writes', async () => {
    const { journal, lane } = begin();
    const hour = 3_600_000;
    await lane.write('refused');
    expect(await journal.lastApplied(lane.key)).toEqual({ nowMs: expect.any(Number) as number });
    await lane.write('applied', Date.now() + hour);
    await lane.write('refused');
    const { nowMs, first, atMs = 0 } = await journal.lastApplied(lane.key);
    expect(first).toEqual({ sequence: 2, atMs, sentMs: expect.any(Number) as number });
    expect(first?.sentMs).toBeLessThanOrEqual(atMs);
    expect(first?.sentMs).toBeGreaterThan(atMs - hour / 2);
    expect(Math.abs(nowMs - Date.now())).toBeLessThan(hour / 2);
    expect(atMs).toBeGreaterThan(nowMs - hour / 2);
    expect(atMs).toBeLessThanOrEqual(nowMs);
    const { sequence } = await lane.write('applied');
    expect((await journal.lastApplied(lane.key, undefined, 3)).first).toMatchObject({ sequence });
    expect((await journal.lastApplied(lane.key, undefined, sequence + 1)).first).toBeUndefined();
    expect((await journal.lastApplied(lane.key, sequence)).atMs).toBe(atMs);
  });

  test('a write’s first outcome stays', async () => {
    const { journal, lane } = begin();
    const ref = await lane.write('refused');
    await journal.recordOutcome({ ref, outcome: 'applied' });
    expect(await lane.pending()).toEqual([]);
  });

  test('an intent that may not be durable can be abandoned, also if it is absent', async () => {
    const { journal, lane } = begin();
    const intent = lane.intent();
    await journal.abandon(lane.key, intent.operationId);
    const state = await journal.append(intent);
    await journal.abandon(lane.key, intent.operationId);
    const ref = { laneId: state?.id ?? 0, lane: lane.key, sequence: 1 };
    await journal.recordOutcome({ ref, outcome: 'applied' });
    expect(await lane.pending()).toEqual([]);
    expect(await lane.undelivered()).toEqual([]);
  });

  test('a write that proves its lane empty seeds it', async () => {
    const { journal, lane } = begin();
    const ref = await lane.write();
    await journal.recordOutcome({ ref, outcome: 'applied', seedsUnder: 7 });
    expect(await lane.state()).toMatchObject({ seededCoverage: 7, deliveredSequence: 0 });
  });

  test('the items that an open write names are stored with it', async () => {
    const { journal, lane } = begin();
    await lane.write('applied');
    const items = [{ digest: 'd', newer: 2 }];
    const ref = await lane.write();
    expect(await journal.nameItems(ref, items)).toBe(true);
    await journal.recordOutcome({ ref, outcome: 'applied' });
    expect(
      (await journal.pending(lane.key, 1, { writes: 10, bytes: 1_000_000 })).map((write) => write.items),
    ).toEqual([items]);
    expect((await journal.undelivered(lane.key, 2)).map((write) => write.items)).toEqual([undefined, items]);
  });

  test('what a write names is unknown while an earlier one may still take effect', async () => {
    const { journal, lane } = begin();
    await lane.write('unknown', Date.now());
    const ref = await lane.write(undefined, Date.now());
    expect(await journal.nameItems(ref, [])).toBe(false);
    await journal.beginCopy(lane.key);
    await lane.copied(1, 2);
    const second = await lane.write(undefined, Date.now());
    expect(await journal.nameItems(second, [])).toBe(false);
    expect((await journal.undelivered(lane.key, 3)).some((write) => write.items !== undefined)).toBe(false);
  });

  test('a dead letter counts once', async () => {
    const { journal, lane } = begin();
    const ref = await lane.write('applied');
    await journal.deadLetter({ ref, code: 'validation_error', reason: '' });
    await journal.deadLetter({ ref, code: 'internal_error', reason: '' });
    expect(await journal.counts(lane.service)).toMatchObject({ lanes: 1, deadLetters: 1 });
    expect(await journal.pending(lane.key, 0, { writes: 10, bytes: 1_000_000 })).toMatchObject([
      { sequence: 1, letter: 'open' },
    ]);
  });

  test('a copy deals with the dead letters that it covers, and with no other', async () => {
    const { journal, lane } = begin();
    for (let letters = 0; letters < 2; letters += 1)
      await journal.deadLetter({ ref: await lane.write('applied'), code: 'validation_error', reason: '' });
    await journal.beginCopy(lane.key);
    await lane.copied(1, 1);
    expect(await journal.counts(lane.service)).toMatchObject({ deadLetters: 1 });
    expect(await journal.pending(lane.key, 0, { writes: 10, bytes: 1_000_000 })).toMatchObject([
      { sequence: 2, letter: 'open' },
    ]);
  });
}

function testCopies(begin: Begin): void {
  test('a copy makes the lane, raises its generation and covers what came before it', async () => {
    const { journal, lane } = begin();
    expect(await journal.beginCopy(lane.key)).toMatchObject({
      generation: 1,
      sequence: 0,
      condition: 'copying',
    });
    await lane.write('applied');
    await lane.write('applied');
    expect(await journal.beginCopy(lane.key)).toMatchObject({ generation: 2, sequence: 2 });
    expect(await lane.copied(2, 1)).toMatchObject({ condition: 'clean', seededCoverage: 1 });
    expect(await lane.pending()).toEqual([2]);
  });

  test.each([0, 4])(
    'a copy begins above the generation that it is given, the lane having had %i',
    async (had) => {
      const { journal, lane } = begin();
      for (let copies = 0; copies < had; copies += 1) await journal.beginCopy(lane.key);
      expect(await journal.beginCopy(lane.key, 21)).toMatchObject({ generation: 22, condition: 'copying' });
      expect(await journal.beginCopy(lane.key, 5)).toMatchObject({ generation: 23 });
    },
  );

  test('a copy of an older generation finishes nothing', async () => {
    const { journal, lane } = begin();
    await lane.write('applied');
    await journal.beginCopy(lane.key);
    await journal.beginCopy(lane.key);
    expect(await lane.copied(1, 1)).toBeUndefined();
    expect(await lane.state()).toMatchObject({
      condition: 'copying',
      seededCoverage: 0,
      deliveredSequence: 0,
    });
  });

  test('a lane that became dirty during its copy stays dirty', async () => {
    const { journal, lane } = begin();
    await lane.write('applied');
    await journal.beginCopy(lane.key);
    await journal.markDirty(lane.key, 'unknown_outcome');
    await lane.copied(1, 1);
    expect(await lane.state()).toMatchObject({
      condition: 'dirty',
      reason: 'unknown_outcome',
      deliveredSequence: 1,
    });
  });

  test('a stopped lane is not made dirty', async () => {
    const { journal, lane } = begin();
    await lane.write('applied');
    await journal.stopLane(lane.key, 'lost');
    await journal.markDirty(lane.key, 'unknown_outcome');
    expect(await lane.state()).toMatchObject({ condition: 'stopped', reason: 'lost' });
  });

  test('items that a copy had to leave out are counted', async () => {
    const { journal, lane } = begin();
    await journal.beginCopy(lane.key);
    const exception = { item: 'i', action: 'create', code: 'validation_error', reason: '' };
    const facts = { generation: 1, sequence: 0, coverage: 1 };
    expect(await journal.finishCopy(lane.key, { ...facts, exceptions: [exception] })).toMatchObject({
      exceptions: 1,
    });
    expect(await journal.finishCopy(lane.key, { ...facts, exceptions: [] })).toMatchObject({ exceptions: 0 });
  });
}

function testRecovery(begin: Begin, again: () => Journal): void {
  test('a start finds unsettled, unknown and waiting writes and broken copies', async () => {
    const lanes = { unsettled: begin(), unknown: begin(), copying: begin(), waiting: begin(), well: begin() };
    await lanes.unsettled.lane.write();
    await lanes.unknown.lane.write('unknown');
    await lanes.copying.journal.beginCopy(lanes.copying.lane.key);
    await lanes.waiting.lane.write('applied');
    await lanes.well.journal.delivered(await lanes.well.lane.write('applied'));
    const { dirty, pending } = await again().recover();
    const keysIn = (found: readonly LaneKey[]) =>
      Object.entries(lanes).flatMap(([name, { lane }]) => (found.includes(lane.key) ? [name] : []));
    expect(keysIn(dirty)).toEqual(['unsettled', 'unknown', 'copying']);
    expect(keysIn(pending.map(({ lane }) => lane))).toEqual(['waiting']);
    expect(await lanes.copying.lane.state()).toMatchObject({
      condition: 'dirty',
      reason: 'copy_interrupted',
    });
    expect(await lanes.unknown.lane.state()).toMatchObject({ condition: 'dirty', reason: 'unsettled' });
  });

  test('a start finds lanes whose unknown writes may still take effect, settled or not', async () => {
    const lanes = { young: begin(), known: begin(), open: begin() };
    await lanes.young.lane.write('unknown', Date.now() - 60_000);
    await lanes.known.lane.write('applied', Date.now());
    await lanes.open.lane.write(undefined, Date.now());
    for (const { journal, lane } of [lanes.young, lanes.open]) {
      await journal.beginCopy(lane.key);
      await lane.copied(1, 1);
    }
    const unclosed = async (): Promise<string[]> => {
      const found = new Set((await again().recover()).unclosed);
      return Object.entries(lanes).flatMap(([name, { lane }]) => (found.has(lane.key) ? [name] : []));
    };
    // Nobody lives who could be their home.
    for (const { replicas, identity } of Object.values(lanes)) await replicas.leave(identity.id);
    expect(await unclosed()).toEqual(['young', 'open']);
  });

  test('a write that a copy has covered is settled, whatever its outcome', async () => {
    const { journal, lane } = begin();
    await lane.write('unknown');
    await journal.beginCopy(lane.key);
    await lane.copied(1, 1);
    expect((await again().recover()).dirty).not.toContain(lane.key);
  });
}

function testCoverage(begin: Begin): void {
  test('coverage begins once, ends, and begins again under a higher number', async () => {
    const { coverage, lane } = begin();
    const none = { number: 0, isQuiet: false };
    expect(await coverage.current(lane.service)).toEqual(none);
    const first = await coverage.begin(lane.service);
    expect(first).toBeGreaterThan(0);
    expect(await coverage.begin(lane.service)).toBe(first);
    await coverage.quiet(lane.service);
    expect(await coverage.current(lane.service)).toEqual({ number: first, isQuiet: true });
    await coverage.end(lane.service);
    expect(await coverage.current(lane.service)).toEqual(none);
    await coverage.quiet(lane.service);
    const second = await coverage.begin(lane.service);
    expect(second).toBeGreaterThan(first);
    expect(await coverage.current(lane.service)).toEqual({ number: second, isQuiet: false });
  });
}
