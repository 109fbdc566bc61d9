import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Decision } from '../../../../src/engine/ports/decision.ts';
import { Fences } from '../../../../src/engine/lane/fence.ts';
import { createLanes } from '../../../../src/engine/lane/lanes.ts';
import { ReadPath, type ReadParts } from '../../../../src/engine/requests/read.ts';
import { NO_REVERSE_SENDS } from '../../../support/no-reverse-sends.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import {
  fakeClock,
  operationOf,
  ownerNamed,
  readableJournal,
  recorder,
  SERVICE,
  stateOf,
} from '../engine-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const COPY_WAIT_MS = 40;

/** A cut-over read right after the first write of an owner that the orchestrator does not know. */
function readOfNewLane({ isCopiedSoon }: { readonly isCopiedSoon: boolean }) {
  const clock = fakeClock();
  const { emit, events } = recorder();
  const journal = readableJournal({});
  const lanes = createLanes(journal, clock, () => false);
  const owner = ownerNamed('ann');
  const lane = lanes.of(SERVICE, owner);
  lane.adopt(stateOf(lane, { sequence: 1 }));
  lane.sequenced(1);
  lane.appliedUpTo(1);
  const coverage = new Map([[SERVICE, Object.assign(new Coverage(), { number: 1, latest: 1 })]]);
  const path = new ReadPath({
    lanes,
    fences: new Fences({ journal, coverage, clock, isAlone: () => true, isSpilling: () => false }),
    callLegacy: async () => ({ reply: { body: Buffer.from('legacy') }, durationMs: 1 }),
    askOrchestrator: async () => 'orchestrator',
    deliveryWait: { of: () => 0, ofCopy: () => COPY_WAIT_MS },
    mayDeliveriesSucceed: () => true,
    isCopiedSoon: () => isCopiedSoon,
    hurry: () => undefined,
    reverse: NO_REVERSE_SENDS,
    shadows: { offer: () => undefined },
    watermarks: { stopForRead: () => undefined },
    clock,
    emit,
    readTimeoutMs: 250,
  } satisfies ReadParts);
  const operation = operationOf('{"action": "get_memories", "user_id": "ann"}', { deadlineAtMs: 4_500 });
  let by: string | undefined;
  const decision = { primary: 'orchestrator', shadowRead: false } as Decision;
  void path.read(operation, decision).then(({ backend }) => (by = backend));
  return {
    by: () => by,
    pass: (ms: number) => clock.pass(ms),
    fellBackBecauseOf: () =>
      events.flatMap(({ name, event }) =>
        name === 'read:fell_back' && 'reason' in event ? [event.reason] : [],
      ),
    copied: () => {
      lane.seededUnder(1);
      lane.deliveredUpTo(1);
    },
  };
}

test('a read of a new owner waits for the first copy of its lane', async () => {
  const read = readOfNewLane({ isCopiedSoon: true });
  await read.pass(20);
  expect(read.by()).toBeUndefined();
  read.copied();
  await read.pass(1);
  expect([read.by(), read.fellBackBecauseOf()]).toEqual(['orchestrator', []]);
});

test('legacy answers if the first copy of a lane takes too long', async () => {
  const read = readOfNewLane({ isCopiedSoon: true });
  await read.pass(COPY_WAIT_MS);
  expect([read.by(), read.fellBackBecauseOf()]).toEqual(['legacy', ['not_seeded']]);
});

test('legacy answers at once if no copy of the lane is requested', async () => {
  const read = readOfNewLane({ isCopiedSoon: false });
  await read.pass(0);
  expect([read.by(), read.fellBackBecauseOf()]).toEqual(['legacy', ['not_seeded']]);
});
