import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { OperationId } from '../../src/domain/ids.ts';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import { forgetReplicas } from './flip-steps.ts';
import type { Begin, JournalUnderTest, Lane, Opened } from './journal-contract-lane.ts';

const BY = { person: 'ann', reason: 'a test', acceptsLoss: false };
const LONG_MS = 60_000;
const VERSION = '1-tested';

type Subject = Opened & { readonly lane: Lane };

/** What the way back relies on: the same for the tables in memory and for the SQL they stand for. */
export function describeWayBack(subject: () => JournalUnderTest, begin: Begin): void {
  /** A lane whose one write is on both backends, and whose writes have moved. */
  const move: Move = async ({ journal }, lane) => {
    await journal.delivered(await lane.write('applied'));
    await subject().flip(lane.key);
  };
  const moved = async (): Promise<Subject> => {
    const opened = begin();
    await move(opened, opened.lane);
    return opened;
  };

  describe('the plan of a return', () => testPlans(moved, begin, move));
  describe('what keeps a lane from its return', () => testObstacles(moved, subject));
  describe('a rollback', () => testRollbacks(moved, move, subject));
}

/** An applied write of a flipped lane, with an attempt to send it to legacy. */
async function sent({ sends, lane }: Subject): Promise<{ readonly ref: WriteRef; readonly id: OperationId }> {
  const ref = await lane.write('applied');
  const { operationId: id } = lane.intent();
  await sends.begin({ ref, operationId: id, action: 'add', epoch: 1, attempt: 1 });
  return { ref, id };
}

async function halted(opened: Subject): Promise<{ readonly ref: WriteRef; readonly id: OperationId }> {
  const made = await sent(opened);
  await opened.sends.halt(made.ref, 1, 'refused');
  return made;
}

/** Undefined if the statement is refused. */
async function flippedBack({ flips, lane }: Subject): Promise<unknown> {
  const held = await flips.announce(lane.key, LONG_MS);
  if (held === undefined) throw new Error('the lane cannot be held');
  const { epoch, sequence } = held.state;
  return flips.flip(lane.key, { to: 'legacy', epoch, sequence, claim: held.claim });
}

async function returned(subject: Subject): Promise<void> {
  expect(await flippedBack(subject)).toMatchObject({ primary: 'legacy' });
}

type Move = (opened: Opened, lane: Lane) => Promise<void>;

function testPlans(moved: () => Promise<Subject>, begin: Begin, move: Move): void {
  test('counts what waits, and loses nothing while legacy gets it', async () => {
    const { wayBack, lane } = await moved();
    await lane.write('applied');
    await lane.write();
    expect(await wayBack.plan(lane.service, 'all')).toEqual({
      lanes: 1,
      waitingWrites: 1,
      openWrites: 1,
      lostWrites: 0,
      lost: [],
      lostWaysBack: [],
      forgottenWrites: 0,
      isForgettingAccepted: false,
      largestShiftMs: expect.any(Number),
      sendMs: null,
    });
  });

  test.each(['skipped', 'halted'] as const)('names a %s write as lost', async (cause) => {
    const opened = await moved();
    const { wayBack, sends, lane } = opened;
    const { ref } = cause === 'halted' ? await halted(opened) : await sent(opened);
    if (cause === 'skipped') await sends.end({ ref, attempt: 1, ending: 'skipped' });
    const { key, service } = lane;
    expect(await wayBack.plan(service, 'all')).toMatchObject({
      lostWrites: 1,
      lost: [{ lane: key, sequence: ref.sequence, action: 'add', cause }],
    });
    expect(await wayBack.readiness(service)).toMatchObject({
      lanes: { legacy: 0, orchestrator: 1 },
      lostWrites: 1,
      returning: 0,
    });
  });

  test('counts what legacy has forgotten, and how long a send took', async () => {
    const opened = await moved();
    const { wayBack, sends, lane } = opened;
    const { ref } = await sent(opened);
    await sends.end({ ref, attempt: 1, ending: 'forgotten' });
    await sends.end({ ref: (await sent(opened)).ref, attempt: 1, ending: 'applied' });
    const plan = await wayBack.plan(lane.service, 'all');
    expect(plan).toMatchObject({ forgottenWrites: 1, sendMs: expect.any(Number), lostWrites: 0 });
    expect((await wayBack.readiness(lane.service)).sendMs).toBe(plan.sendMs);
  });

  test('counts the time of sends that overlap once', async () => {
    const opened = begin();
    const lanes = ['low', 'middle', 'high'].map((owner) => opened.lane.of(owner));
    for (const lane of lanes) await move(opened, lane);
    const fromMs = performance.now();
    const begun = await Promise.all(lanes.map((lane) => sent({ ...opened, lane })));
    await sleep(50);
    for (const { ref } of begun) await opened.sends.end({ ref, attempt: 1, ending: 'applied' });
    const { sendMs } = await opened.wayBack.readiness(opened.lane.service);
    expect(sendMs).toBeLessThanOrEqual((performance.now() - fromMs) / lanes.length);
  });

  test('is of the lanes by owner, by percentage, or of all', async () => {
    const opened = begin();
    const { wayBack, shares, flips, coverage, lane } = opened;
    const { service } = lane;
    await forgetReplicas(opened);
    await coverage.begin(service);
    await shares.resize(service, 100, VERSION);
    const { number: share = 0 } = (await shares.shares()).get(service) ?? {};
    for (const [owner, bucket] of Object.entries({ low: 10, high: 90 }))
      await flips.bear(lane.of(owner).key, { share, bucket, version: VERSION });
    await lane.write('applied');
    const lanes = async (choice: Parameters<typeof wayBack.plan>[1]): Promise<number> =>
      (await wayBack.plan(service, choice)).lanes;
    expect(await lanes('all')).toBe(2);
    expect(await lanes({ owner: lane.of('low').owner })).toBe(1);
    expect(await lanes({ owner: lane.owner })).toBe(0);
    expect(await lanes({ beyondPercentage: 25 })).toBe(1);
    expect(await lanes({ beyondPercentage: 90 })).toBe(0);
    expect(await wayBack.owners(service, 'all', '')).toEqual(['high', 'low']);
    expect(await wayBack.owners(service, 'all', 'high')).toEqual(['low']);
    expect(await wayBack.owners(service, { beyondPercentage: 25 }, '')).toEqual(['high']);
  });
}

function testObstacles(moved: () => Promise<Subject>, subject: () => JournalUnderTest): void {
  test('is nothing where legacy has every write', async () => {
    const { wayBack, lane } = await moved();
    await lane.write('refused');
    expect(await wayBack.obstacle(lane.key)).toBeUndefined();
  });

  test('is a write that waits, or that has no outcome', async () => {
    const { wayBack, lane } = await moved();
    await lane.write('applied');
    expect(await wayBack.obstacle(lane.key)).toBe('writes_wait');
    await lane.write();
    expect(await wayBack.obstacle(lane.key)).toBe('open_write');
  });

  test('is a halted send, until a person decides', async () => {
    const opened = await moved();
    const { wayBack, ledger, sends, lane } = opened;
    const { ref, id } = await halted(opened);
    expect(await wayBack.obstacle(lane.key)).toBe('halted');
    expect(await wayBack.halted(lane.key)).toBe(id);
    expect(await ledger.decide(id, 'retry', BY)).toMatchObject({ result: 'decided', lane: lane.key });
    expect(await ledger.decide(id, 'skip', BY)).toEqual({ result: 'ended', by: 'retried' });
    expect(await wayBack.halted(lane.key)).toBeUndefined();
    expect(await wayBack.obstacle(lane.key)).toBe('writes_wait');
    expect(await sends.find(ref)).toMatchObject({ attempt: 1, isRetried: true });
    const again = { ref, operationId: id, action: 'add', epoch: 1, attempt: 2 };
    expect(await sends.begin(again)).toBe(true);
    expect(await sends.find(ref)).toMatchObject({ attempt: 2, isRetried: false });
    await sends.halt(ref, 2, 'refused');
    expect(await wayBack.obstacle(lane.key)).toBe('halted');
    expect(await ledger.decide(id, 'skip', BY)).toMatchObject({ result: 'decided' });
    expect(await ledger.decide(id, 'skip', BY)).toEqual({ result: 'ended', by: 'skipped' });
    expect(await sends.find(ref)).toMatchObject({ ending: 'skipped' });
  });

  test.each([
    ['unknown_outcome', ({ lane }: Subject) => lane.write('unknown')],
    [
      'dead_letter',
      async ({ journal, lane }: Subject) => {
        const ref = await lane.write('refused');
        await journal.deadLetter({ ref, code: 'x', reason: 'y' });
      },
    ],
    [
      'read_only',
      ({ serviceWrites, lane }: Subject) => serviceWrites.beginReadOnly(lane.service, { ...BY, givenUp: [] }),
    ],
  ] as const)('is %s, which also refuses the statement', async (obstacle, cause) => {
    const opened = await moved();
    await cause(opened);
    expect(await opened.wayBack.obstacle(opened.lane.key)).toBe(obstacle);
    expect(await flippedBack(opened)).toBeUndefined();
    expect(await opened.wayBack.obstacle(opened.lane.key)).toBe(obstacle);
  });

  test('is a restored database, or a hold of another replica', async () => {
    const { wayBack, restored, lane } = await moved();
    const { key } = lane;
    const other = subject().open();
    await lane.seenBy(other.journal).state();
    await other.journal.hold(key, 60);
    expect(await wayBack.obstacle(key)).toBeUndefined();
    await other.replicas.register(other.identity.id);
    expect(await wayBack.obstacle(key)).toBe('busy');
    const place = { epoch: 1, generation: 0, sequence: 1 };
    await restored.found([{ lane: key, older: 'journal', journal: place, orchestrator: place }]);
    expect(await wayBack.obstacle(key)).toBe('restored');
    await other.replicas.leave(other.identity.id);
  });

  test('is a lost way back until a person gives the writes up while the lane is held', async () => {
    const opened = await moved();
    const { wayBack, sends, flips, lane } = opened;
    const { key, service } = lane;
    await lane.write('applied');
    await sends.loseWayBack(key);
    expect(await wayBack.plan(service, 'all')).toMatchObject({
      lostWrites: 1,
      lost: [{ cause: 'way_back_lost' }],
      lostWaysBack: [{ lane: key, writes: 1, sinceMs: expect.any(Number) }],
    });
    expect(await wayBack.obstacle(key)).toBe('would_lose');
    await wayBack.giveUpWrites(key);
    expect(await lane.state()).toMatchObject({ deliveredSequence: 1 });
    await flips.announce(key, LONG_MS);
    await wayBack.giveUpWrites(key);
    expect(await lane.state()).toMatchObject({ deliveredSequence: 2 });
    expect(await wayBack.obstacle(key)).toBeUndefined();
  });

  test('stays while a replica may have acknowledged an open write', async () => {
    const { wayBack, lane } = await moved();
    const { key } = lane;
    const { sequence } = await lane.write();
    const isOpen = async (): Promise<boolean> => (await wayBack.obstacle(key)) === 'open_write';
    await wayBack.giveUpOpen(key, { above: sequence, ofDeadReplicas: true });
    expect(await isOpen()).toBe(true);
    // Its replica is not registered, and this is another one.
    const other = subject().open();
    await other.wayBack.giveUpOpen(key, { above: 0, ofDeadReplicas: false });
    expect(await isOpen()).toBe(true);
    await wayBack.giveUpOpen(key, { above: 0, ofDeadReplicas: false });
    expect(await isOpen()).toBe(false);
  });

  test('is given up with an open write of a dead replica only if a person accepts that', async () => {
    const { lane } = await moved();
    await lane.write();
    const { wayBack } = subject().open();
    await wayBack.giveUpOpen(lane.key, { above: 0, ofDeadReplicas: true });
    expect(await wayBack.obstacle(lane.key)).toBeUndefined();
  });
}

function testRollbacks(
  moved: () => Promise<Subject>,
  move: (opened: Opened, lane: Lane) => Promise<void>,
  subject: () => JournalUnderTest,
): void {
  test('runs once at a time for a service, and ends with its last lane', async () => {
    const opened = await moved();
    const { wayBack, lane } = opened;
    const { service } = lane;
    const other = lane.of('bob');
    await move(opened, other);
    const rollback = await wayBack.begin(service, 'all', BY);
    const id = rollback?.id ?? 0;
    expect(rollback).toMatchObject({ lanes: 2, returned: 0, person: 'ann', waiting: [] });
    expect(await wayBack.begin(service, 'all', BY)).toBeUndefined();
    const owners = (await wayBack.due()).filter((one) => one.service === service).map(({ owner }) => owner);
    expect(owners).toEqual(['ann', 'bob']);
    const ended = async () => (await wayBack.settle()).filter((one) => one.service === service);
    await returned(opened);
    expect(await ended()).toEqual([]);
    expect(await wayBack.readiness(service)).toMatchObject({ returning: 1 });
    await returned({ ...opened, lane: other });
    expect(await ended()).toMatchObject([{ id, returned: 2 }]);
    expect(await wayBack.find(id)).toMatchObject({ endedAtMs: expect.any(Number) });
    expect((await wayBack.list(100)).map((one) => one.id)).toContain(id);
    expect(await wayBack.begin(service, 'all', BY)).toMatchObject({ lanes: 0 });
  });

  test('tries a lane again later, and names it with its reason', async () => {
    const { wayBack, lane } = await moved();
    const { service } = lane;
    const { id = 0 } = (await wayBack.begin(service, 'all', BY)) ?? {};
    const due = async () => (await wayBack.due()).filter((one) => one.service === service);
    const [first] = await due();
    if (first === undefined) throw new Error('nothing is due');
    expect(first).toMatchObject({ acceptsLoss: false, by: { person: 'ann', reason: 'a test' } });
    await wayBack.failed(first, 'writes_wait');
    expect(await due()).toEqual([]);
    expect(await wayBack.find(id)).toMatchObject({
      waiting: [{ lane: lane.key, attempts: 1, reason: 'writes_wait' }],
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await due()).toHaveLength(1);
    expect(await wayBack.stop(id, BY)).toBe(true);
    expect(await wayBack.stop(id, BY)).toBe(false);
    expect(await due()).toEqual([]);
  });

  test('tries a busy lane again within two seconds, however often it was busy', async () => {
    const { wayBack, lane } = await moved();
    await wayBack.begin(lane.service, 'all', BY);
    const due = async () => (await wayBack.due()).filter((one) => one.service === lane.service);
    const [first] = await due();
    if (first === undefined) throw new Error('nothing is due');
    for (let attempt = 0; attempt < 8; attempt += 1) await wayBack.failed(first, 'busy');
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect(await due()).toHaveLength(1);
  });

  test('leaves lanes to their living home', async () => {
    const { wayBack, replicas, identity, lane } = await moved();
    const other = subject().open();
    await replicas.register(identity.id);
    await lane.write('applied');
    await wayBack.begin(lane.service, 'all', BY);
    const seenBy = async (store: typeof wayBack) =>
      (await store.due()).filter(({ service }) => service === lane.service).length;
    expect([await seenBy(wayBack), await seenBy(other.wayBack)]).toEqual([1, 0]);
    await replicas.leave(identity.id);
    expect(await seenBy(other.wayBack)).toBe(1);
  });

  test('ends the loss of a way back with the return', async () => {
    const opened = await moved();
    const { wayBack, sends, lane } = opened;
    const { key, service } = lane;
    await sends.loseWayBack(key);
    await wayBack.begin(service, 'all', { ...BY, acceptsLoss: true });
    expect(await wayBack.plan(service, 'all')).toMatchObject({ isForgettingAccepted: true });
    expect(await wayBack.readiness(service)).toMatchObject({ lostWaysBack: 1 });
    await returned(opened);
    await wayBack.settle();
    await move(opened, lane);
    expect(await wayBack.readiness(service)).toMatchObject({ lostWaysBack: 0 });
  });
}
