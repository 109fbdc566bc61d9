import { expect, test } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import { operationId } from '../../../../src/domain/ids.ts';
import type { WriteAction } from '../../../../src/domain/service-definition.ts';
import type { LostAs } from '../../../../src/engine/ports/lost-items.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { laneNamed, writeOf } from '../engine-parts.ts';
import { COVERAGE, createCopier, deliveryOf, openCoverage, sessionOf, shownBy, writesOf } from './copier.ts';

test('a copy makes the orchestrator hold what legacy shows', async () => {
  const { copier, lane, store, finished, covered } = createCopier(['tea', 'milk']);
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea', 'milk']);
  expect(lane).toMatchObject({ condition: 'clean', generation: 2, seededCoverage: COVERAGE, delivered: 4 });
  expect({ finished, covered }).toEqual({ finished: [4], covered: [4] });
});

test.each([
  { isCovered: true, shown: ['milk'], lost: 1, condition: 'stopped' },
  { isCovered: false, shown: ['tea'], lost: 0, condition: 'clean' },
])('a first copy lists what legacy lost if all replicas journaled: $isCovered', async (facts) => {
  const { isCovered } = facts;
  const request = JSON.stringify({ action: 'add_memory', user_id: 'ann', memory: 'milk' });
  const write = { ...writeOf(laneNamed('ann'), 4, request), action: 'add_memory', isCovered };
  const { copier, lane, store, lost } = createCopier(
    ['tea'],
    {},
    { seededCoverage: 0, undelivered: [write] },
  );
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(facts.shown);
  expect(lost).toHaveLength(facts.lost);
  expect(lane.condition).toBe(facts.condition);
});

test.each([
  { shown: ['tea'], lost: 1, condition: 'stopped' },
  { shown: ['tea', 'tea'], lost: 0, condition: 'clean' },
])('a first copy finds that legacy shows $shown.length of two equal items', async (facts) => {
  const request = JSON.stringify({ action: 'add_memory', user_id: 'ann', memory: 'tea' });
  const undelivered = [3, 4].map((sequence) => ({
    ...writeOf(laneNamed('ann'), sequence, request),
    action: 'add_memory',
    isCovered: true,
  }));
  const { copier, lane, store, lost } = createCopier(facts.shown, {}, { seededCoverage: 0, undelivered });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea', 'tea']);
  expect(lost).toHaveLength(facts.lost);
  expect(lane.condition).toBe(facts.condition);
});

const addOf = (sequence: number, memory: string): PendingWrite => ({
  ...writeOf(laneNamed('ann'), sequence, JSON.stringify({ action: 'add_memory', user_id: 'ann', memory })),
  operationId: operationId(`00000000-0000-4000-8000-00000000000${sequence}`),
  action: 'add_memory',
  isCovered: true,
});
test('a copy waits until the outcomes of answered writes are durable', async () => {
  // Legacy lost the item after the agent had its reply.
  const undelivered: PendingWrite[] = [{ ...addOf(4, 'tea'), isUncertain: true }];
  const recorded = (): void => void undelivered.splice(0, 1, addOf(4, 'tea'));
  const { copier, lane, store, lost } = createCopier([], { untilRecorded: recorded }, { undelivered });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea']);
  expect({ lost: lost.length, condition: lane.condition }).toEqual({ lost: 1, condition: 'stopped' });
});

const UNKNOWN_CLEAR: PendingWrite = {
  ...writeOf(laneNamed('ann'), 2, '{"action": "clear_memories", "user_id": "ann"}'),
  action: 'clear_memories',
  isUncertain: true,
};

test.each([
  { seededCoverage: -COVERAGE, shown: ['tea'], lost: 1, condition: 'stopped' },
  { seededCoverage: 1 - COVERAGE, shown: [], lost: 0, condition: 'clean' },
])('a copy after a return under coverage $seededCoverage lists $lost lost items', async (facts) => {
  const { seededCoverage, shown } = facts;
  const { copier, lane, store, orchestrator, lost } = createCopier([], {}, { seededCoverage });
  const delivered = writesOf(lane, addOf(3, 'tea')).map((write) => ({
    ...write,
    lane: { key: lane.key, generation: 1, sequence: 3 },
  }));
  await orchestrator.batchWrite(delivered, { purpose: 'live', deadlineAtMs: 1_000 });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(shown);
  expect(lost).toHaveLength(facts.lost);
  expect(lane.condition).toBe(facts.condition);
});

test('a copy after a return lists what legacy lost before the orchestrator got it', async () => {
  const facts = { epoch: 2, seededCoverage: -COVERAGE, undelivered: [addOf(4, 'milk')] };
  const { copier, lane, store, lost } = createCopier(['tea'], {}, facts);
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['milk']);
  expect(lost).toHaveLength(1);
  expect(lane.condition).toBe('stopped');
});

test.each([
  { shown: ['tea'], lost: 1, condition: 'stopped' },
  { shown: ['tea', 'tea'], lost: 0, condition: 'clean' },
])('a copy finds that legacy shows $shown.length of an old and a new equal item', async (facts) => {
  const newer: PendingWrite[] = [];
  const made = createCopier(facts.shown, {}, { undelivered: newer });
  const { copier, lane, store, orchestrator, lost } = made;
  const delivered = writesOf(lane, addOf(3, 'tea')).map((write) => ({
    ...write,
    lane: { key: lane.key, generation: 1, sequence: 3 },
  }));
  await orchestrator.batchWrite(delivered, { purpose: 'live', deadlineAtMs: 1_000 });
  newer.push({ ...addOf(4, 'tea'), acceptedAtMs: 3_600_000 });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea', 'tea']);
  expect(lost).toHaveLength(facts.lost);
  expect(lane.condition).toBe(facts.condition);
});

test('a copy takes the item of an equal write of the last minute for a repeat', async () => {
  const newer: PendingWrite[] = [];
  const { copier, lane, store, orchestrator, lost } = createCopier(['tea'], {}, { undelivered: newer });
  const delivered = writesOf(lane, addOf(3, 'tea')).map((write) => ({
    ...write,
    lane: { key: lane.key, generation: 1, sequence: 3 },
  }));
  await orchestrator.batchWrite(delivered, { purpose: 'live', deadlineAtMs: 1_000 });
  // A repeat took the place of that write: both stand for one item.
  newer.push({ ...addOf(4, 'tea'), acceptedAtMs: 30_000 });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea']);
  expect({ lost, condition: lane.condition }).toEqual({ lost: [], condition: 'clean' });
});

test.each([
  { what: 'spills', spills: { isOwn: true, isOther: false } },
  { what: 'is silent', spills: { isOwn: false, isOther: true } },
])('a copy uses no reading of a moment at which a replica $what', async ({ spills }) => {
  const present = { isOwn: false, isOther: false };
  const undelivered: PendingWrite[] = [];
  const whileReading = (): void => void Object.assign(present, spills);
  const made = createCopier(['tea'], { whileReading }, { undelivered, spills: present });
  await expect(made.copier.copy(made.lane)).rejects.toThrow('without the journal');
  expect(made.store.all(sessionOf(made.lane))).toEqual([]);
  // The write of the item is replayed. The clock of its replica is an hour fast.
  undelivered.push({ ...addOf(5, 'tea'), acceptedAtMs: Date.parse('2026-01-01T01:00:00Z') });
  const second = createCopier(['tea'], {}, { undelivered, store: made.store });
  await second.copier.copy(second.lane);
  expect(shownBy(second.store, second.lane)).toEqual(['tea']);
  expect({ lost: second.lost, condition: second.lane.condition }).toEqual({ lost: [], condition: 'clean' });
});

test.each([
  { after: 'removes the item', items: [] },
  { after: 'adds an item', items: ['tea', 'milk'] },
])('a copy uses no reading of a moment when an agent $after without the journal', async ({ items }) => {
  const coverage = openCoverage();
  const first = createCopier(['tea']);
  await first.copier.copy(first.lane);
  // Dual writes have ended.
  const whileReading = (): void => void (coverage.number = 0);
  const second = createCopier(items, { whileReading }, { coverage, store: first.store });
  await expect(second.copier.copy(second.lane)).rejects.toThrow('without the journal');
  expect(shownBy(first.store, first.lane)).toEqual(['tea']);
  expect({ lost: second.lost, condition: second.lane.condition }).toEqual({ lost: [], condition: 'copying' });
});

test('a copy uses no reading of a moment before a spilled write was replayed', async () => {
  const made = createCopier(['tea'], { whileReading: () => made.lane.markDirty() });
  await expect(made.copier.copy(made.lane)).rejects.toThrow('without the journal');
  expect(made.store.all(sessionOf(made.lane))).toEqual([]);
});

test.each([{ interrupted: false }, { interrupted: true }])(
  'a delete that a restored orchestrator lacks counts (interrupted: $interrupted)',
  async ({ interrupted }) => {
    const { lane, store, orchestrator } = createCopier([]);
    const add = writesOf(lane, addOf(3, 'tea')).map((write) => ({
      ...write,
      lane: { key: lane.key, generation: 1, sequence: 3 },
    }));
    await orchestrator.batchWrite(add, { purpose: 'live', deadlineAtMs: 1_000 });
    let isAway = interrupted;
    const whileReading = (): void => {
      const wasAway = isAway;
      isAway = false;
      if (wasAway) throw new StorageError('the file is away', { effect: 'not_applied' });
    };
    // The orchestrator had the delete, and was set back to a copy from before it.
    const delivered = [{ ...UNKNOWN_CLEAR, sequence: 4, isUncertain: false }];
    const { copier, lost, lane: copied } = createCopier([], { whileReading }, { store, delivered });
    if (interrupted) await expect(copier.copy(copied)).rejects.toThrow('away');
    await copier.copy(copied);
    expect(lost).toEqual([]);
    expect(shownBy(store, copied)).toEqual([]);
    expect(copied.condition).toBe('clean');
  },
);

test('what a restored orchestrator knows nothing of, and legacy lost, is listed', async () => {
  const delivered = [addOf(4, 'tea')];
  const { copier, lane, store, lost } = createCopier([], {}, { delivered });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea']);
  expect({ lost: lost.length, condition: lane.condition }).toEqual({ lost: 1, condition: 'stopped' });
});

test('a delivered delete counts after a restore that later deliveries hide', async () => {
  const { lane, store, orchestrator } = createCopier([]);
  const held = [addOf(3, 'tea'), addOf(5, 'milk')].map((write) => ({
    write,
    lane: { key: lane.key, generation: 1, sequence: write.sequence },
  }));
  // The orchestrator was set back to before the delete 4, and has got write 5 since.
  for (const { write, lane: fence } of held)
    await orchestrator.batchWrite(
      writesOf(lane, write).map((operation) => ({ ...operation, lane: fence })),
      { purpose: 'live', deadlineAtMs: 1_000 },
    );
  const delivered = [{ ...UNKNOWN_CLEAR, sequence: 4, isUncertain: false }, addOf(5, 'milk')];
  const { copier, lost, lane: copied } = createCopier([], {}, { store, delivered, sequence: 5 });
  await copier.copy(copied);
  // Legacy has lost the item that came after the delete.
  expect(lost).toEqual(['mem-00000000-0000-4000-8000-000000000005']);
  expect(shownBy(store, copied)).toEqual(['tea', 'milk']);
  const again = createCopier(['milk'], {}, { store, delivered, sequence: 5 });
  await again.copier.copy(again.lane);
  expect(shownBy(store, again.lane)).toEqual(['milk']);
  expect(again.lane.condition).toBe('clean');
});

test('a copy under a new coverage keeps what is listed as lost', async () => {
  const waiting: LostAs[] = [];
  const { copier, lane, store } = createCopier(['tea', 'milk'], {}, { waiting });
  await copier.copy(lane);
  const second = createCopier(['tea'], {}, { waiting, store });
  await second.copier.copy(second.lane);
  expect(waiting).toHaveLength(1);
  // Dual writes go off and on again: agents may have deleted unseen what is not listed.
  const third = createCopier(['tea'], {}, { waiting, store, seededCoverage: COVERAGE - 1 });
  await third.copier.copy(third.lane);
  expect(shownBy(store, lane)).toEqual(['tea', 'milk']);
  expect(third.lane.condition).toBe('stopped');
});

/** A write that deletes one item by its place. It took effect, and the journal does not know which item it was. */
const UNNAMED_DELETE: PendingWrite = { ...writeOf(laneNamed('ann'), 4), action: 'forget_memory' };

const FORGET = {
  ...jarvisMemory.actions['clear_memories'],
  names: { atMost: 1, find: () => [] },
  toLegacy: () => undefined,
} as WriteAction;

test.each([
  { undelivered: [addOf(3, 'milk'), UNNAMED_DELETE], shown: ['tea'], lost: 0, sent: 0 },
  {
    undelivered: [addOf(2, 'milk'), addOf(3, 'stale'), UNNAMED_DELETE],
    shown: ['milk', 'stale'],
    lost: 2,
    sent: 2,
  },
])('a copy delivers $sent items that a write of unknown items may have deleted', async (facts) => {
  const definition = { ...jarvisMemory, actions: { ...jarvisMemory.actions, forget_memory: FORGET } };
  const { copier, lane, store, lost, sent } = createCopier(['tea'], {}, { ...facts, definition });
  await copier.copy(lane);
  expect(sent.filter((content) => /milk|stale/u.test(content))).toHaveLength(facts.sent);
  expect(shownBy(store, lane).toSorted()).toEqual(facts.shown.toSorted());
  expect(lost).toHaveLength(facts.lost);
});

test('a clear of unknown outcome explains no later item', async () => {
  const undelivered = [addOf(1, 'tea'), UNKNOWN_CLEAR, addOf(3, 'milk')];
  const { copier, lane, store, lost } = createCopier([], {}, { undelivered, history: undelivered.slice(1) });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['milk']);
  expect(lost).toEqual(['mem-00000000-0000-4000-8000-000000000003']);
  expect(lane.condition).toBe('stopped');
});

test.each([
  { precedes: 3, shown: ['milk'], lost: 1, condition: 'stopped' },
  { precedes: undefined, shown: [], lost: 0, condition: 'clean' },
])('a spilled clear that precedes write $precedes explains no item of it', async (facts) => {
  const { precedes } = facts;
  const clear = { ...UNKNOWN_CLEAR, sequence: 4, ...(precedes !== undefined && { precedes }) };
  const undelivered = [addOf(2, 'tea'), addOf(3, 'milk'), clear];
  const { copier, lane, store, lost } = createCopier([], {}, { undelivered, history: undelivered.slice(1) });
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(facts.shown);
  expect(lost).toHaveLength(facts.lost);
  expect(lane.condition).toBe(facts.condition);
});

test('a clear of unknown outcome explains no later item that a copy renumbered', async () => {
  const later = addOf(3, 'milk');
  const journal = { undelivered: [UNKNOWN_CLEAR, later], history: [later] };
  const first = createCopier(['tea', 'milk'], {}, journal);
  await first.copier.copy(first.lane);
  // That copy has covered the later write; legacy loses everything.
  const second = createCopier([], {}, { undelivered: [UNKNOWN_CLEAR], history: [later], store: first.store });
  await second.copier.copy(second.lane);
  expect(shownBy(second.store, second.lane)).toEqual(['tea', 'milk']);
  expect(second.lost).toEqual(['mem-00000000-0000-4000-8000-000000000003']);
  expect(second.lane.condition).toBe('stopped');
});

test('an equal write does not duplicate an item under an unknown write’s id', async () => {
  const undelivered: PendingWrite[] = [{ ...addOf(3, 'tea'), isUncertain: true }];
  const { copier, lane, store, lost } = createCopier(['tea'], {}, { undelivered });
  await copier.copy(lane);
  // The unknown write was never sent: this one, of the same request, made the item.
  undelivered.push(addOf(4, 'tea'));
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea']);
  expect({ lost, condition: lane.condition }).toEqual({ lost: [], condition: 'clean' });
});

test('a delivery from before the copy that arrives after its look has no effect', async () => {
  const late = { deliver: async (): Promise<void> => undefined };
  const { copier, lane, store, orchestrator } = createCopier(['tea'], { afterLooking: () => late.deliver() });
  late.deliver = async () => {
    const options = { purpose: 'live', deadlineAtMs: 1_000 } as const;
    await orchestrator.batchWrite(deliveryOf(lane, 'stale', 1), options);
  };
  await copier.copy(lane);
  expect(shownBy(store, lane)).toEqual(['tea']);
});

test('a lane that became dirty while its copy ended stays dirty', async () => {
  const { copier, lane } = createCopier(['tea'], { whileFinishing: (one) => one.markDirty() });
  await copier.copy(lane);
  expect(lane.condition).toBe('dirty');
});

test('a read after the hold on the lane has expired is not used', async () => {
  const made = createCopier(['tea'], { whileReading: () => void (made.held.isSure = false) });
  await expect(made.copier.copy(made.lane)).rejects.toMatchObject({ effect: 'not_applied' });
  expect(made.store.all(sessionOf(made.lane))).toEqual([]);
  expect(made.finished).toEqual([]);
  expect(made.lane.condition).toBe('copying');
});

test('a copy gives delivered items legacy’s times, and a second copy writes nothing', async () => {
  const timestamp = '1767225600.123456';
  const { copier, lane, store, orchestrator } = createCopier(['tea', 'milk'], {}, { timestamp });
  const options = { purpose: 'live', deadlineAtMs: 1_000 } as const;
  await orchestrator.batchWrite(deliveryOf(lane, 'tea', 1), options);
  const [delivered] = store.visible(sessionOf(lane));
  await copier.copy(lane);
  const copied = store.visible(sessionOf(lane));
  expect(copied[0]).toMatchObject({ memoryId: delivered?.memoryId, createdAt: '2026-01-01T00:00:00.123Z' });
  for (const { content } of copied)
    expect(JSON.parse(content)).toMatchObject({ metadata: { legacy_timestamp: timestamp } });
  await copier.copy(lane);
  expect(store.visible(sessionOf(lane))).toEqual(copied);
});

test('a copy under a new journal starts above the orchestrator’s generation', async () => {
  const { copier, lane, store, orchestrator, begun, finished } = createCopier(['tea', 'milk']);
  const options = { purpose: 'live', deadlineAtMs: 1_000 } as const;
  await orchestrator.batchWrite(deliveryOf(lane, 'tea', 21), options);
  await copier.copy(lane);
  expect({ begun, finished }).toEqual({ begun: [2, 22], finished: [4] });
  expect(shownBy(store, lane)).toEqual(['tea', 'milk']);
});
