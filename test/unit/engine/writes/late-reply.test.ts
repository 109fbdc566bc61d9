import { expect, test } from 'vitest';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { LateReplies, type UnknownWrite } from '../../../../src/engine/writes/late-reply.ts';
import {
  fakeClock,
  laneNamed,
  operationOf,
  recorder,
  outcomeRecorderOf,
  stateOf,
  writeOf,
} from '../engine-parts.ts';

/** A write of unknown outcome whose late reply has come, and a journal that answers with this row. */
function createLate(row: (lane: { readonly key: string }) => LaneState | undefined) {
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { condition: 'dirty', sequence: 1 }));
  lane.beginSettling();
  const { emit } = recorder();
  const seen: string[] = [];
  const journal = {
    resolveLate: async () => {
      seen.push('resolved');
      return row(lane);
    },
  };
  const lateReplies = new LateReplies({
    journal,
    outcomeRecorder: outcomeRecorderOf(fakeClock()),
    emit,
    deliver: (_lane, { sequence }) => void seen.push(`delivered ${sequence}`),
    tellHome: () => void seen.push('home'),
    wake: () => void seen.push('woken'),
  });
  let mark = (): void => undefined;
  const marked = new Promise<void>((resolve) => (mark = resolve));
  const unknown: UnknownWrite = {
    sequenced: {
      lane,
      write: writeOf(lane, 1),
      operation: operationOf('{"action": "add_memory", "user_id": "ann", "memory": 1}'),
      acceptedAtMs: 0,
      coverage: 1,
      primary: 'legacy',
      epoch: 0,
      generation: 0,
      maySeed: false,
      isHome: true,
      forgotten: 0,
      mayRepeat: false,
      writes: 'open',
    },
    settling: { marked, end: () => lane.endSettling() },
    recorded: Promise.resolve(true),
    generation: 0,
  };
  return { lane, lateReplies, unknown, seen, mark };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a late reply waits until the journal knows that its lane is uncertain', async () => {
  const { lane, lateReplies, unknown, seen, mark } = createLate((one) => stateOf(one, { sequence: 1 }));
  const resolved = lateReplies.resolve(unknown, 'applied');
  await turn();
  // Were the lane made clean first, the mark that comes later would leave it dirty without anybody to settle it.
  expect(seen).toEqual([]);
  mark();
  expect(await resolved).toBe(true);
  expect(seen).toEqual(['resolved', 'delivered 1']);
  expect(lane).toMatchObject({ condition: 'clean', isSettling: false, applied: 1 });
});

test('a late reply that proves too little leaves the lane to its copy', async () => {
  const { lane, lateReplies, unknown, seen, mark } = createLate(() => undefined);
  mark();
  expect(await lateReplies.resolve(unknown, 'applied')).toBe(false);
  expect(seen).toEqual(['resolved']);
  expect(lane).toMatchObject({ condition: 'dirty', isSettling: true });
});
