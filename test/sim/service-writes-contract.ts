import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type LaneKey, operationId, type Owner } from '../../src/domain/ids.ts';
import type { ForeignChange } from '../../src/engine/ports/service-writes-ports.ts';
import { type Begin, Lane, type Opened } from './journal-contract-lane.ts';

type Subject = Opened & { readonly lane: Lane };

const ADA = { person: 'ada', reason: 'a test' };
const GRACE = { person: 'grace', reason: 'a test' };
const LONG_MS = 60_000;

function beginReadOnly(subject: Subject, givenUp: readonly LaneKey[] = []): Promise<boolean> {
  return subject.serviceWrites.beginReadOnly(subject.lane.service, { ...ADA, givenUp });
}

async function stateOf({ serviceWrites, lane }: Subject) {
  return (await serviceWrites.all()).find(({ service }) => service === lane.service);
}

const backup = (madeAtMs = Date.now() + 1_000) => ({
  folder: '/backup',
  madeAtMs,
  manifestSha256: '0'.repeat(64),
  scratchInstance: 'equal' as const,
  lanes: 1,
  items: 1,
});

const change = (more: Partial<ForeignChange> = {}): ForeignChange => ({
  owner: 'ann' as Owner,
  kind: 'writer',
  digest: 'd',
  changes: { added: 1 },
  writers: ['cron'],
  ...more,
});

/** The state of a service's writes, which every intent commit returns. */
export function describeServiceWrites(begin: Begin, move: (lane: LaneKey) => Promise<void>): void {
  /** A lane that has moved, with one write. */
  const flip = async ({ journal, lane }: Subject): Promise<void> => {
    await journal.delivered(await lane.write('applied'));
    await move(lane.key);
  };

  /** Read-only, settled, and with a running clock. */
  const ticking = async (): Promise<Subject> => {
    const subject = begin();
    await flip(subject);
    await beginReadOnly(subject);
    await subject.serviceWrites.settle(subject.lane.service, 0);
    await subject.serviceWrites.backedUp(subject.lane.service, backup(), ADA);
    return subject;
  };

  describe('a service', () => {
    test('is open without a row, and every intent states that', async () => {
      const subject = begin();
      expect(await subject.journal.append(subject.lane.intent())).toMatchObject({ writes: 'open' });
      expect(await stateOf(subject)).toBeUndefined();
    });

    test('becomes read-only when every lane has moved, and the next intent states that', async () => {
      const subject = begin();
      await flip(subject);
      expect(await beginReadOnly(subject)).toBe(true);
      expect(await subject.journal.append(subject.lane.intent())).toMatchObject({
        primary: 'orchestrator',
        writes: 'read_only',
      });
      expect(await stateOf(subject)).toMatchObject({ state: 'read_only', ...ADA, clockRestarts: 0 });
      expect(await beginReadOnly(subject)).toBe(false);
    });

    test('does not become read-only while a lane that is not given up has not moved', async () => {
      const subject = begin();
      const { serviceWrites, journal, lane } = subject;
      await journal.delivered(await lane.write('applied'));
      expect(await serviceWrites.obstacles(lane.service, [])).toMatchObject({
        notFlipped: 1,
        examples: [lane.key],
      });
      expect(await beginReadOnly(subject)).toBe(false);
      expect(await serviceWrites.obstacles(lane.service, [lane.key])).toMatchObject({ notFlipped: 0 });
      expect(await beginReadOnly(subject, [lane.key])).toBe(true);
      expect(await journal.append(lane.intent())).toMatchObject({ primary: 'legacy', writes: 'read_only' });
    });

    test('that is read-only has its new owners born on the orchestrator', async () => {
      const subject = begin();
      await flip(subject);
      await beginReadOnly(subject);
      const { key, owner } = { key: `${subject.lane.service}/new` as LaneKey, owner: 'new' as Owner };
      const born = await subject.journal.append({ ...subject.lane.intent(), lane: key, owner });
      expect(born).toMatchObject({ primary: 'orchestrator', epoch: 1, sequence: 1 });
      expect(await subject.serviceWrites.settle(subject.lane.service, 0)).toBe(true);
    });

    test('does not change the intents of another service', async () => {
      const subject = begin();
      await flip(subject);
      await beginReadOnly(subject);
      const other = new Lane(subject.journal);
      expect(await subject.journal.append(other.intent())).toMatchObject({
        primary: 'legacy',
        epoch: 0,
        writes: 'open',
      });
    });
  });

  describe('a read-only service', () => {
    test('is settled when legacy has what was written before, and not earlier', async () => {
      const subject = begin();
      const { serviceWrites, journal, lane } = subject;
      await flip(subject);
      const last = await lane.write('applied', Date.now());
      expect(await beginReadOnly(subject)).toBe(true);
      await lane.write('applied');
      expect(await serviceWrites.settle(lane.service, 0)).toBe(false);
      await journal.delivered(last);
      expect(await serviceWrites.settle(lane.service, LONG_MS)).toBe(false);
      expect(await serviceWrites.settle(lane.service, 0)).toBe(true);
      expect(await serviceWrites.settle(lane.service, 0)).toBe(false);
    });

    test('does not begin while legacy lacks a write that it should have had', async () => {
      const subject = begin();
      const { serviceWrites, journal, lane } = subject;
      await flip(subject);
      const old = await lane.write('applied', Date.now() - LONG_MS);
      expect(await serviceWrites.obstacles(lane.service, [])).toMatchObject({ overdue: 1 });
      expect(await beginReadOnly(subject)).toBe(false);
      await journal.delivered(old);
      expect(await beginReadOnly(subject)).toBe(true);
    });

    test('waits for the outcome of a write that a lane sent before it was given up', async () => {
      const subject = begin();
      const { serviceWrites, journal, lane } = subject;
      const ref = await lane.write();
      await beginReadOnly(subject, [lane.key]);
      expect(await serviceWrites.settle(lane.service, 0)).toBe(false);
      await journal.recordOutcome({ ref, outcome: 'applied' });
      expect(await serviceWrites.settle(lane.service, 0)).toBe(true);
    });

    test('does not let a lane return to legacy', async () => {
      const subject = await ticking();
      const { flips, lane, journal } = subject;
      await journal.delivered(await lane.write('applied'));
      const held = await flips.announce(lane.key, LONG_MS);
      const { epoch = 0, sequence = 0 } = held?.state ?? {};
      const claim = held?.claim ?? 0;
      expect(await flips.flip(lane.key, { to: 'legacy', epoch, sequence, claim })).toBeUndefined();
    });

    // K13: between the record of read-only and the last reverse send.
    test('lets no send to legacy begin of a write that came after the record', async () => {
      const subject = begin();
      const { sends, serviceWrites, journal, lane } = subject;
      await flip(subject);
      const last = await lane.write('applied', Date.now());
      await beginReadOnly(subject);
      const later = await lane.write('applied', Date.now());
      const start = (ref: typeof last) => ({
        ref,
        operationId: operationId(randomUUID()),
        action: 'add',
        epoch: 1,
        attempt: 1,
      });
      expect(await sends.begin(start(last))).toBe(true);
      expect(await sends.last(lane.key)).toMatchObject({ isLost: false });
      await sends.end({ ref: last, attempt: 1, ending: 'applied' });
      await journal.delivered(last);
      expect(await sends.begin(start(later))).toBe(false);
      expect(await sends.last(lane.key)).toMatchObject({ isLost: true });
      await serviceWrites.reopen(lane.service, ADA);
      expect(await sends.begin(start(later))).toBe(true);
    });

    test('owes legacy no write before the record that had no effect', async () => {
      const subject = begin();
      const { sends, journal, lane } = subject;
      await flip(subject);
      const open = await lane.write(undefined, Date.now());
      await beginReadOnly(subject);
      expect(await sends.last(lane.key)).toMatchObject({ isLost: false });
      await journal.recordOutcome({ ref: open, outcome: 'not_applied' });
      await lane.write('applied', Date.now());
      expect(await sends.last(lane.key)).toMatchObject({ isLost: true });
    });

    test('loses no way back, because writes wait there on purpose', async () => {
      const subject = await ticking();
      const { sends, wayBack, serviceWrites, journal, lane } = subject;
      const waysLost = async () => (await wayBack.readiness(lane.service)).lostWaysBack;
      const kept = await lane.write('applied');
      expect(await sends.loseWayBack(lane.key)).toBe(false);
      await serviceWrites.reopen(lane.service, ADA);
      // Reverse delivery sends what the journal kept, however much that is.
      expect(await sends.loseWayBack(lane.key)).toBe(false);
      expect(await waysLost()).toBe(0);
      await journal.delivered(kept);
      await lane.write('applied');
      expect(await sends.loseWayBack(lane.key)).toBe(true);
      expect(await waysLost()).toBe(1);
    });

    test('keeps the way back of an owner that was born meanwhile', async () => {
      const subject = await ticking();
      const { sends, serviceWrites, journal, lane } = subject;
      const born = lane.of('born');
      await journal.append(born.intent());
      await serviceWrites.reopen(lane.service, ADA);
      expect(await sends.loseWayBack(born.key)).toBe(false);
    });

    test('starts its clock with a backup that was made after its last write', async () => {
      const subject = begin();
      const { serviceWrites, lane } = subject;
      await flip(subject);
      await beginReadOnly(subject);
      await serviceWrites.backedUp(lane.service, backup(), ADA);
      expect((await stateOf(subject))?.clockBeganAtMs).toBeUndefined();
      await serviceWrites.settle(lane.service, 0);
      await serviceWrites.backedUp(lane.service, backup(Date.now() - LONG_MS), ADA);
      expect((await stateOf(subject))?.clockBeganAtMs).toBeUndefined();
      await serviceWrites.backedUp(lane.service, backup(), ADA);
      expect((await stateOf(subject))?.clockBeganAtMs).toBeDefined();
      expect(await serviceWrites.newestBackup(lane.service)).toMatchObject({ folder: '/backup', lanes: 1 });
    });

    test('starts its clock again at a foreign writer, once for each change', async () => {
      const subject = await ticking();
      const { serviceWrites, lane } = subject;
      const before = await stateOf(subject);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(await serviceWrites.foundForeign(lane.service, [change()])).toHaveLength(1);
      const after = await stateOf(subject);
      expect(after?.clockRestarts).toBe(1);
      expect(after?.clockBeganAtMs).toBeGreaterThan(before?.clockBeganAtMs ?? Infinity);
      expect(await serviceWrites.foundForeign(lane.service, [change()])).toEqual([]);
      expect(await serviceWrites.foundForeign(lane.service, [change({ digest: 'e' })])).toHaveLength(1);
      expect((await stateOf(subject))?.clockRestarts).toBe(2);
    });

    test('lists a foreign reader, and continues', async () => {
      const subject = await ticking();
      const found = await subject.serviceWrites.foundForeign(subject.lane.service, [
        change({ kind: 'reader' }),
      ]);
      expect(found).toHaveLength(1);
      expect((await stateOf(subject))?.clockRestarts).toBe(0);
    });

    test('has one census at a time, and notes its result', async () => {
      const { serviceWrites, lane } = await ticking();
      expect(await serviceWrites.claimCensus(lane.service, 60)).toBe(true);
      expect(await serviceWrites.claimCensus(lane.service, 60)).toBe(false);
      expect(await serviceWrites.claimCensus(lane.service, 0)).toBe(true);
      const forgotten = { lanes: 0, items: 0 };
      const result = { atMs: 5, lanes: 1, equal: 1, unproven: 0, unprovenExamples: [], forgotten };
      await serviceWrites.finishCensus(lane.service, result);
      expect((await serviceWrites.all()).find(({ service }) => service === lane.service)?.census).toEqual(
        result,
      );
    });

    test('knows the last write of each lane that legacy gets', async () => {
      const { serviceWrites, lane } = await ticking();
      await lane.write('applied');
      expect(await serviceWrites.lastForLegacy(lane.service)).toEqual(
        new Map([[lane.owner, { sequence: 1, isGivenUp: false }]]),
      );
    });

    test('can be opened again, and its next intent states that', async () => {
      const subject = await ticking();
      expect(await subject.serviceWrites.reopen(subject.lane.service, ADA)).toBe(true);
      expect(await subject.journal.append(subject.lane.intent())).toMatchObject({ writes: 'open' });
    });
  });

  describe('a completion', () => {
    const completion = { facts: 'f1', requiredSeconds: 0, statement: '{}' };

    /** Everything but the approvals. */
    async function ready(): Promise<Subject> {
      const subject = await ticking();
      await subject.serviceWrites.backedUp(subject.lane.service, backup(), ADA);
      return subject;
    }

    test('needs two persons who approved the same facts', async () => {
      const { serviceWrites, lane, journal } = await ready();
      const complete = () => serviceWrites.complete(lane.service, completion, ADA);
      await lane.write('applied');
      await serviceWrites.approve(lane.service, { ...ADA, facts: 'f1' });
      expect(await complete()).toBe(false);
      await serviceWrites.approve(lane.service, { ...ADA, person: 'Ada', facts: 'f1' });
      expect(await complete()).toBe(false);
      await serviceWrites.approve(lane.service, { ...GRACE, facts: 'f0' });
      expect(await complete()).toBe(false);
      await serviceWrites.approve(lane.service, { ...GRACE, facts: 'f1' });
      expect(await complete()).toBe(true);
      expect(await lane.state()).toMatchObject({ sequence: 2, deliveredSequence: 2 });
      expect(await journal.append(lane.intent())).toMatchObject({ writes: 'complete' });
      expect(await serviceWrites.reopen(lane.service, ADA)).toBe(false);
    });

    test('needs the whole time without a foreign writer', async () => {
      const { serviceWrites, lane } = await ready();
      for (const by of [ADA, GRACE]) await serviceWrites.approve(lane.service, { ...by, facts: 'f1' });
      const early = { ...completion, requiredSeconds: 3_600 };
      expect(await serviceWrites.complete(lane.service, early, ADA)).toBe(false);
      expect(await serviceWrites.complete(lane.service, completion, ADA)).toBe(true);
    });

    test('needs a backup that was made after the clock began', async () => {
      const subject = begin();
      const { serviceWrites, lane } = subject;
      await flip(subject);
      await beginReadOnly(subject);
      await serviceWrites.settle(lane.service, 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await serviceWrites.backedUp(lane.service, backup(Date.now() - 10), ADA);
      for (const by of [ADA, GRACE]) await serviceWrites.approve(lane.service, { ...by, facts: 'f1' });
      expect(await serviceWrites.complete(lane.service, completion, ADA)).toBe(false);
      await serviceWrites.backedUp(lane.service, backup(), ADA);
      expect(await serviceWrites.complete(lane.service, completion, ADA)).toBe(true);
    });
  });
}
