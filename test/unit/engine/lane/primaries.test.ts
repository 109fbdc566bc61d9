import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { Primaries } from '../../../../src/engine/lane/primaries.ts';
import type { LaneView } from '../../../../src/engine/ports/ports.ts';
import { fakeClock, operationOf, readableJournal, SERVICE, stateOf, viewOf } from '../engine-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const READ = operationOf('{"action": "get_memories", "user_id": "ann"}');
const FLIPPED: Partial<LaneState> = { primary: 'orchestrator', epoch: 1 };
const NEVER = new Promise<never>(() => undefined);

/** The primary of one lane, as a replica learns it. `shown` is the journal's answer. */
function replica(facts: { isAlone?: boolean; mayHaveMoved?: boolean } = {}) {
  const clock = fakeClock();
  const asked: string[] = [];
  const state = { isAlone: facts.isAlone ?? false, mayHaveMoved: facts.mayHaveMoved ?? true };
  const shown: { row: Partial<LaneState>; answer?: Promise<LaneView | undefined> } = { row: {} };
  const journal = {
    ...readableJournal({}),
    lanes: async () => {
      asked.push('lane');
      return new Map([[READ.lane, stateOf({ key: READ.lane }, shown.row)]]);
    },
    fence: async () => {
      asked.push('fence');
      return shown.answer ?? viewOf({ key: READ.lane }, shown.row);
    },
  };
  const lanes = createLanes(journal, clock, () => false);
  const primaries = new Primaries({
    journal,
    lanes,
    clock,
    isAlone: () => state.isAlone,
    mayHaveMoved: () => state.mayHaveMoved,
    timeoutMs: 250,
  });
  const lane = lanes.of(SERVICE, READ.owner);
  return { clock, asked, state, shown, lane, of: () => primaries.of(READ) };
}

test('no read of a lane outside the share asks the journal', () => {
  const { of, asked, lane } = replica({ mayHaveMoved: false });
  expect(of()).toEqual({ primary: 'legacy', lane });
  expect(asked).toEqual([]);
});

test('what memory knows of a flip counts, whatever the share says', async () => {
  const { of, lane } = replica({ mayHaveMoved: false, isAlone: true });
  lane.adopt(stateOf(lane, FLIPPED));
  expect(await of()).toEqual({ primary: 'orchestrator', lane });
});

test('a replica that is alone asks once, then memory answers', async () => {
  const { of, asked, shown, lane } = replica({ isAlone: true });
  shown.row = FLIPPED;
  expect(await of()).toMatchObject({ primary: 'orchestrator' });
  expect(of()).toEqual({ primary: 'orchestrator', lane });
  expect(asked).toEqual(['lane']);
});

test('a replica sees a flip by another one with its next read', async () => {
  const { of, shown } = replica();
  expect(await of()).toMatchObject({ primary: 'legacy', view: { isBehind: false } });
  shown.row = FLIPPED;
  expect(await of()).toMatchObject({ primary: 'orchestrator', view: { state: FLIPPED } });
});

test('an answer that is older than what the replica knows changes nothing', async () => {
  const { of, lane, shown } = replica();
  lane.adopt(stateOf(lane, { primary: 'legacy', epoch: 2 }));
  shown.row = FLIPPED;
  expect(await of()).toMatchObject({ primary: 'legacy' });
});

test('without the journal, the primary that was seen within a lease answers', async () => {
  const { of, shown, clock } = replica();
  shown.row = FLIPPED;
  await of();
  await clock.pass(2_000);
  shown.answer = NEVER;
  const seen = of();
  await clock.pass(250);
  expect(await seen).toEqual({ primary: 'orchestrator' });
});

test('without the journal, no backend answers for a primary seen earlier', async () => {
  const { of, shown, clock } = replica();
  await of();
  await clock.pass(3_000);
  shown.answer = Promise.reject(new Error('the journal is away'));
  await expect(of()).rejects.toMatchObject({ reason: 'primary_unknown', effect: 'not_applied' });
  await expect(of()).rejects.toBeInstanceOf(ConnectionError);
});

test('what a replica knew while it was alone counts as seen at that time', async () => {
  const { of, lane, state, shown, clock } = replica({ isAlone: true });
  lane.adopt(stateOf(lane, FLIPPED));
  await clock.pass(10_000);
  await of();
  state.isAlone = false;
  shown.answer = Promise.reject(new Error('the journal is away'));
  expect(await of()).toEqual({ primary: 'orchestrator' });
});

test('an owner that was never written is on legacy', async () => {
  const { of, shown } = replica();
  shown.answer = Promise.resolve(undefined);
  expect(await of()).toEqual({ primary: 'legacy', view: undefined });
});
