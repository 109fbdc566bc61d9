import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import type { LaneState, PlacedLane } from '../../../../src/domain/lane.ts';
import { Lane } from '../../../../src/engine/lane/lane.ts';
import type { Intent } from '../../../../src/engine/ports/ports.ts';
import { OutcomeRecorder } from '../../../../src/engine/writes/outcome-recorder.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import { Sequencer } from '../../../../src/engine/writes/sequence-write.ts';
import { seedOf } from '../../../../src/engine/writes/late-reply.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import {
  fakeClock,
  NO_SIGNALS,
  operationOf,
  ownerNamed,
  recorder,
  SERVICE,
  serviceWith,
  stateOf,
} from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const ANN = ownerNamed('ann');
const DEADLINE_MS = 1_000;

/** A write's way to its place, before a journal that answers when it is told to. */
function createSequencer({ action = 'add_interaction', maySeed = true } = {}) {
  const clock = fakeClock();
  const { emit } = recorder();
  const lane = new Lane(SERVICE, ANN, clock);
  const asked: { intent: Intent; answer: (state: LaneState) => void; fail: () => void }[] = [];
  const abandoned: string[] = [];
  const journal = {
    append: (intent: Intent) =>
      new Promise<PlacedLane>((resolve, reject) => {
        const fail = (): void => reject(new StorageError('broken', { effect: 'unknown' }));
        asked.push({ intent, answer: (state) => resolve({ ...state, writes: 'open' }), fail });
      }),
    abandon: async (_lane: string, id: string) => void abandoned.push(id),
    recordOutcome: async () => undefined,
  };
  const sequencer = new Sequencer({
    journal,
    outcomeRecorder: new OutcomeRecorder({ journal, clock, emit, signals: NO_SIGNALS }),
    clock,
    emit,
    coverage: new Map([[SERVICE, Object.assign(new Coverage(), { number: 7 })]]),
    resolveItems: async () => undefined,
    busy: () => undefined,
    settleLeftOver: () => undefined,
    maySeed: () => maySeed,
  });
  const service = serviceWith({ definition: sessionMemory, deadlineMs: DEADLINE_MS });
  const operation = operationOf(JSON.stringify({ action, session_id: ANN }), { service });
  return { clock, lane, asked, abandoned, sequence: () => sequencer.sequence(operation, lane) };
}

test('abandoning a late intent does not affect the write that is tried again', async () => {
  const { clock, lane, asked, abandoned, sequence } = createSequencer();
  const first = expect(sequence()).rejects.toMatchObject({ reason: 'slow' });
  await clock.pass(500);
  await first;
  const second = sequence();
  // Both stand in the journal's line: what the first one fails of is known when the second is on its way.
  asked[0]?.fail();
  asked[1]?.answer(stateOf(lane, { sequence: 1 }));
  const { write } = await second;
  await clock.pass(0);
  expect(abandoned).toEqual([asked[0]?.intent.operationId]);
  expect(abandoned).not.toContain(write.operationId);
});

test('a write that is withdrawn and journaled again gets another id', async () => {
  const { lane, asked, sequence } = createSequencer();
  const first = sequence();
  asked[0]?.answer(stateOf(lane, { sequence: 1 }));
  const withdrawn = await first;
  const second = sequence();
  asked[1]?.answer(stateOf(lane, { sequence: 2 }));
  const again = await second;
  expect(withdrawn.write.operationId).toBe('operation-1');
  expect(again.write.operationId).not.toBe('operation-1');
});

test.each([
  ['every replica journals', true, 7],
  ['another replica may write past the journal', false, 0],
])(
  'the journal gets the coverage under which a write was accepted while %s',
  async (_when, maySeed, coverage) => {
    const { lane, asked, sequence } = createSequencer({ maySeed });
    const sequenced = sequence();
    asked[0]?.answer(stateOf(lane, { sequence: 2 }));
    await sequenced;
    expect(asked[0]?.intent.coverage).toBe(coverage);
  },
);

test.each([
  ['every replica journals', true, 7],
  ['another replica may write past the journal still', false, undefined],
])('a session that is created while %s seeds its lane: %s', async (_when, maySeed, seeds) => {
  const { lane, asked, sequence } = createSequencer({ action: 'create_session', maySeed });
  const sequenced = sequence();
  asked[0]?.answer(stateOf(lane, { sequence: 1 }));
  expect(seedOf(await sequenced)).toBe(seeds);
});
