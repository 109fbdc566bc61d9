import { expect, test } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import { laneKeyOf, operationId } from '../../../../src/domain/ids.ts';
import type { LegacyAccess } from '../../../../src/domain/service-definition.ts';
import type { Outcome } from '../../../../src/domain/outcome.ts';
import type { CallLegacy } from '../../../../src/engine/calls/call-legacy.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import type { OwnedOperation } from '../../../../src/engine/ports/operation.ts';
import { type WriteParts, WritePath } from '../../../../src/engine/requests/write.ts';
import { UnknownEnd } from '../../../../src/engine/writes/orchestrator-primary.ts';
import {
  fakeClock,
  operationOf,
  ownerNamed,
  readableJournal,
  recorder,
  SERVICE,
  serviceWith,
  stateOf,
  writeOf,
} from '../engine-parts.ts';

const TEXT = '{"action": "add_memory", "user_id": "ann", "memory": 1}';
const OWNER = ownerNamed('ann');
const FENCE = {
  key: laneKeyOf(SERVICE, OWNER),
  epoch: 1,
  generation: 0,
  sequence: 1,
  operationId: operationId('w'),
};

/** `access`: whether the service's store can be read. */
function operation(access: LegacyAccess = {}): OwnedOperation {
  return operationOf(TEXT, { service: serviceWith({ access }) });
}

/** The way of a write before a service that becomes uncertain while the write waits in its queue. */
function createPath(
  gate: () => Promise<void>,
  state: {
    isShut: boolean;
    isSilent?: boolean;
    takesMs?: number;
    jumpsMs?: number;
    /** The lane's primary is the orchestrator, its home is another replica, and the orchestrator does not answer. */
    isUnanswered?: boolean;
    /** The outcome of the lane's earlier write did not become durable in time. */
    isEarlierOpen?: boolean;
    /** The sequence of such a write cannot be closed, because the orchestrator stays away. */
    isNeverClosed?: boolean;
    /** Another replica is the lane's home. */
    isForeign?: boolean;
    /** Other replicas share the journal; this resolves when it knows that the lane is uncertain. */
    marked?: Promise<void>;
  },
  recorded = Promise.resolve(true),
) {
  let wallMs = 0;
  let nowMs = 0;
  const clock = { ...fakeClock(), now: () => nowMs, wallMs: () => wallMs };
  const { emit, names } = recorder();
  const attempts: boolean[] = [];
  const lanes = createLanes(readableJournal({}), clock, () => false);
  const toldHome: string[] = [];
  /** What brings the lane to the orchestrator. */
  const asked: string[] = [];
  const outcomes: Outcome[] = [];
  /** Repeats of a write that has no reply wait for these. */
  const awaited: Promise<void>[] = [];
  const late = { arrive: (): void => undefined, generations: [] as number[], settledAnew: [] as string[] };
  const callLegacy: CallLegacy = async (_operation, _purpose, extra) => {
    const maySend = extra?.maySend?.() !== false;
    attempts.push(maySend);
    if (!maySend) throw new ConnectionError('is not running', { effect: 'not_applied', reason: 'stopped' });
    extra?.onSent?.();
    nowMs += state.takesMs ?? 0;
    wallMs += (state.takesMs ?? 0) + (state.jumpsMs ?? 0);
    if (state.isSilent === true) {
      late.arrive = () => extra?.onLate?.({ body: Buffer.from('{"status": "ok"}') });
      throw new ConnectionError('silent', { effect: 'unknown', reason: 'timeout' });
    }
    return { reply: { body: Buffer.from('{"status": "ok"}') }, durationMs: 1 };
  };
  const parts: WriteParts = {
    sequencer: {
      sequence: async (written, lane) => ({
        operation: written,
        lane,
        write: writeOf({ key: written.lane }, 1),
        acceptedAtMs: 0,
        coverage: 1,
        primary: state.isUnanswered === true ? 'orchestrator' : 'legacy',
        epoch: 0,
        generation: 0,
        maySeed: false,
        isHome: state.isUnanswered !== true && state.isForeign !== true,
        forgotten: 0,
        mayRepeat: false,
        writes: 'open',
      }),
    },
    outcomeRecorder: {
      record: async ({ outcome }, when) => {
        await when?.after;
        outcomes.push(outcome);
        return recorded;
      },
      recorded: async () => state.isEarlierOpen !== true,
    },
    lateReplies: {
      resolve: async ({ generation }) => {
        late.generations.push(generation);
        return false;
      },
    },
    lanes,
    callLegacy,
    orchestratorPrimary: {
      write: () => Promise.reject(new UnknownEnd({ fence: FENCE }, new Error('no answer'))),
      close: async (_open, isOver) => {
        while (state.isNeverClosed === true && isOver?.() !== true) await nextTurn();
        return isOver?.() === true ? 'given_up' : { outcome: 'applied' };
      },
    },
    admit: () => undefined,
    clock,
    emit,
    coverage: new Map(),
    unjournaled: { begin: () => () => undefined },
    deliver: () => void asked.push('delivery'),
    released: () => false,
    tellHome: ({ key }) => void toldHome.push(key),
    copySoon: (_lane, reason) => void asked.push(reason),
    beganAgain: (_lane, record) => {
      asked.push('began_again');
      return record(state.marked ?? Promise.resolve());
    },
    written: () => undefined,
    settle: () => ({ marked: state.marked ?? Promise.resolve(), end: () => undefined }),
    settleAnew: ({ key }) => void late.settledAnew.push(key),
    mayAct: () => true,
    mayPass: () => true,
    isAlone: () => state.marked === undefined,
    repeats: {
      judge: () => Promise.reject(new Error('this test repeats nothing')),
      settled: () => Promise.resolve(),
      quiet: () => Promise.resolve(),
      waiting: () => () => undefined,
      replying: (_sequenced, reply) => ({ reply, told: Promise.resolve(true), known: Promise.resolve() }),
      keep: () => Promise.resolve(),
      handedOver: ({ known }) => known,
      unanswered: (_sequenced, known) => void awaited.push(known),
    },
    // Passed before the intent was written down; what shut it came later.
    begin: () => Promise.resolve(),
    gate,
    isShut: () => state.isShut,
  };
  const path = new WritePath(parts);
  return { path, attempts, names, lanes, toldHome, late, asked, outcomes, awaited };
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const DECISION = { dualWrite: true } as never;

test('a write that waits is held while another’s outcome is being settled', async () => {
  const state = { isShut: true };
  const opens = async (): Promise<void> => {
    state.isShut = false;
  };
  const { path, attempts, names } = createPath(opens, state);
  const { reply } = await path.write(operation(), DECISION);
  expect(reply.body.toString()).toBe('{"status": "ok"}');
  expect(attempts).toEqual([false, true]);
  expect(names().filter((name) => name === 'write:sent')).toHaveLength(1);
});

test('without answered probes it is refused at its deadline, and was not sent', async () => {
  const refusal = new ConnectionError('unsettled', { effect: 'not_applied', reason: 'unsettled' });
  const { path, attempts, names } = createPath(() => Promise.reject(refusal), { isShut: true });
  await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ reason: 'unsettled' });
  expect(attempts).toEqual([false]);
  expect(names()).not.toContain('write:sent');
});

test.each([
  [true, 'whoever is the home then'],
  [false, 'nobody: it waits for its delivery already'],
])('after a loss (%o) the home is notified when the outcome is durable: %s', async (isGivenUp) => {
  let record: (isDurable: boolean) => void = () => undefined;
  const recorded = new Promise<boolean>((resolve) => (record = resolve));
  const { path, lanes, toldHome } = createPath(async () => undefined, { isShut: false }, recorded);
  const lane = lanes.of(SERVICE, OWNER);
  lane.adopt(stateOf(lane));
  await path.write(operation(), DECISION);
  if (isGivenUp) {
    lanes.forget();
    // With its next write this replica is the home again.
    lane.adopt(stateOf(lane, { sequence: 2 }));
  }
  expect(toldHome).toEqual([]);
  record(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(toldHome).toEqual(isGivenUp ? [lane.key] : []);
});

test.each([
  ['clean', 7],
  ['copying', -1],
] as const)(
  'a late reply to a write sent while its lane was %s gives generation %i',
  async (condition, generation) => {
    const { path, lanes, late } = createPath(async () => undefined, { isShut: false, isSilent: true });
    const lane = lanes.of(SERVICE, OWNER);
    lane.adopt(stateOf(lane, { condition, generation: 7 }));
    await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ reason: 'timeout' });
    late.arrive();
    await new Promise((resolve) => setImmediate(resolve));
    expect(late.generations).toEqual([generation]);
  },
);

test.each([
  [7, false],
  [8, true],
])(
  'a late reply after a copy (generation 7 -> %i) requests another one (%o)',
  async (generation, isAsked) => {
    const { path, lanes, late } = createPath(async () => undefined, { isShut: false, isSilent: true });
    const lane = lanes.of(SERVICE, OWNER);
    lane.adopt(stateOf(lane, { generation: 7 }));
    await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ reason: 'timeout' });
    lane.adopt(stateOf(lane, { generation }));
    late.arrive();
    await new Promise((resolve) => setImmediate(resolve));
    expect(late.settledAnew).toEqual(isAsked ? [lane.key] : []);
  },
);

const FROM_ITS_FILE = { jsonFile: async () => '{}' };

test.each([
  [4_900, 0, FROM_ITS_FILE, ['delivery'], 'as near as the times of answers may be'],
  [5_100, 0, FROM_ITS_FILE, ['stored_late', 'delivery'], 'the copy knows when the service stored it'],
  [5_100, -5_100, FROM_ITS_FILE, ['stored_late', 'delivery'], 'a clock that jumps changes nothing'],
  [1, 3_600_000, FROM_ITS_FILE, ['delivery'], 'nor does one that jumps the other way'],
  [5_100, 0, {}, ['delivery'], 'where nothing can be copied it is delivered'],
])(
  'a reply after %i ms with a clock jump of %i ms (readable: %o) asks for %o: %s',
  async (takesMs, jumpsMs, access, expected, _why) => {
    const { path, lanes, asked } = createPath(async () => undefined, { isShut: false, takesMs, jumpsMs });
    const lane = lanes.of(SERVICE, OWNER);
    lane.adopt(stateOf(lane, { seededCoverage: 1 }));
    await path.write(operation(access), DECISION);
    expect(asked).toEqual(expected);
  },
);

/** Its success proves that the service held nothing of the owner. */
function creation(): OwnedOperation {
  const operationOfOwner = operation();
  const { action } = operationOfOwner;
  if (action.kind !== 'write') throw new Error('not a write');
  return { ...operationOfOwner, action: { ...action, provesEmpty: true } };
}

test.each([
  [false, ['delivery', 'began_again']],
  [true, ['began_again']],
])(
  'an owner is created again, elsewhere %o: the lane is marked before the outcome',
  async (isForeign, expected) => {
    let mark = (): void => undefined;
    const marked = new Promise<void>((resolve) => (mark = resolve));
    const { path, lanes, asked, outcomes } = createPath(async () => undefined, {
      isShut: false,
      isForeign,
      marked,
    });
    const lane = lanes.of(SERVICE, OWNER);
    lane.adopt(stateOf(lane, { seededCoverage: 1 }));
    await path.write(creation(), DECISION);
    await new Promise((resolve) => setImmediate(resolve));
    expect({ asked, outcomes }).toEqual({ asked: expected, outcomes: [] });
    mark();
    await new Promise((resolve) => setImmediate(resolve));
    expect(outcomes).toEqual(['applied']);
  },
);

test('a late reply does not settle a write that created its owner again', async () => {
  const { path, lanes, late } = createPath(async () => undefined, { isShut: false, isSilent: true });
  const lane = lanes.of(SERVICE, OWNER);
  lane.adopt(stateOf(lane, { seededCoverage: 1 }));
  await expect(path.write(creation(), DECISION)).rejects.toMatchObject({ reason: 'timeout' });
  late.arrive();
  await new Promise((resolve) => setImmediate(resolve));
  expect(late.generations).toEqual([]);
});

test('a lane is copied if the outcome of its write could not be recorded', async () => {
  const { path, lanes, asked } = createPath(async () => undefined, { isShut: false }, Promise.resolve(false));
  const lane = lanes.of(SERVICE, OWNER);
  lane.adopt(stateOf(lane, { seededCoverage: 1 }));
  await path.write(operation(), DECISION);
  await new Promise((resolve) => setImmediate(resolve));
  expect(asked).toEqual(['delivery', 'outcome_not_recorded']);
});

test('with other replicas the lane is marked dirty before the unknown outcome', async () => {
  let mark = (): void => undefined;
  const marked = new Promise<void>((resolve) => (mark = resolve));
  const { path, outcomes } = createPath(async () => undefined, { isShut: false, isSilent: true, marked });
  await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ effect: 'unknown' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(outcomes).toEqual([]);
  mark();
  await new Promise((resolve) => setImmediate(resolve));
  expect(outcomes).toEqual(['unknown']);
});

test.each([
  [4_900, [0]],
  [5_100, []],
])('a late reply after %i ms settles its write only while its time is known', async (takesMs, expected) => {
  const { path, lanes, late } = createPath(async () => undefined, { isShut: false, isSilent: true, takesMs });
  lanes.of(SERVICE, OWNER).adopt(stateOf({ key: operation().lane }));
  await expect(path.write(operation(FROM_ITS_FILE), DECISION)).rejects.toMatchObject({ reason: 'timeout' });
  late.arrive();
  await new Promise((resolve) => setImmediate(resolve));
  expect(late.generations).toEqual(expected);
});

test.each([
  [0, ['unseeded']],
  [1, []],
])('a write without effect to a lane of coverage %i requests %o', async (seededCoverage, expected) => {
  const refusal = new ConnectionError('is not running', { effect: 'not_applied', reason: 'stopped' });
  const { path, lanes, asked, outcomes } = createPath(() => Promise.reject(refusal), { isShut: true });
  const lane = lanes.of(SERVICE, OWNER);
  lane.adopt(stateOf(lane, { seededCoverage }));
  await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ reason: 'stopped' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(outcomes).toEqual(['not_applied']);
  expect(asked).toEqual(expected);
});

test.each(['slow', 'no_lease'])(
  'a write that the journal cannot take (%s) counts as a journal failure',
  async (reason) => {
    const refusal = new ConnectionError('the journal took longer than 250 ms', {
      effect: 'not_applied',
      reason,
    });
    const { path, names } = createPath(() => Promise.reject(refusal), { isShut: true });
    await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ reason });
    expect(names()).toContain('journal:failed');
  },
);

test('a write of unknown outcome is closed by its sender, even if another is the home', async () => {
  const { path, lanes, outcomes, toldHome } = createPath(async () => undefined, {
    isShut: false,
    isUnanswered: true,
  });
  await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ effect: 'unknown' });
  await new Promise((resolve) => setImmediate(resolve));
  expect(outcomes).toEqual(['applied']);
  expect(toldHome).toEqual([lanes.of(SERVICE, OWNER).key]);
});

test('the orchestrator gets no write while an earlier outcome is not durable', async () => {
  const { path, names, outcomes } = createPath(async () => undefined, {
    isShut: false,
    isUnanswered: true,
    isEarlierOpen: true,
  });
  await expect(path.write(operation(), DECISION)).rejects.toMatchObject({
    effect: 'not_applied',
    reason: 'lane_open',
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(names()).not.toContain('write:sent');
  expect(outcomes).toEqual(['not_applied']);
});

test('a write that was open when its lane returned to legacy delays no repeat', async () => {
  const { path, lanes, outcomes, asked, awaited } = createPath(async () => undefined, {
    isShut: false,
    isUnanswered: true,
    isNeverClosed: true,
  });
  const lane = lanes.of(SERVICE, OWNER);
  await expect(path.write(operation(), DECISION)).rejects.toMatchObject({ effect: 'unknown' });
  // The return has recorded that the write had no effect, and the orchestrator is still away.
  lane.adopt(stateOf(lane, { primary: 'legacy', epoch: 1 }));
  await Promise.all(awaited);
  expect({ awaited: awaited.length, outcomes, asked, isClosing: lane.isClosing }).toEqual({
    awaited: 1,
    outcomes: [],
    asked: [],
    isClosing: false,
  });
});
