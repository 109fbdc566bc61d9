import { expect, test, vi } from 'vitest';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import { Deliverer } from '../../../../src/engine/delivery/deliver.ts';
import type { Lane } from '../../../../src/engine/lane/lane.ts';
import type { WriteAnswer, WriteRef } from '../../../../src/engine/ports/ports.ts';
import {
  deliveryParts,
  laneNamed,
  NO_SIGNALS,
  orchestratorWith,
  readableJournal,
  stateOf,
  writeOf,
} from '../engine-parts.ts';

const REQUEST = JSON.stringify({ action: 'add_memory', user_id: 'ann', memory: 'tea' });

/** Three writes of a lane wait, and the orchestrator knows of a copy of another generation. */
function createDeliverer(
  lane: Lane,
  onOvertaken: (deliverer: Deliverer) => void = () => undefined,
  isAlone = false,
) {
  const writes = [1, 2, 3].map((sequence) => writeOf(lane, sequence, REQUEST));
  const recorded: number[] = [];
  const sent: number[] = [];
  const answerTo = ({ lane: fence }: OrchestratorWrite): WriteAnswer => ({
    result: fence?.generation === 7 ? 'applied' : 'superseded',
  });
  const parts = deliveryParts({
    journal: {
      ...readableJournal({ writes }),
      deadLetter: async () => undefined,
      delivered: async ({ sequence }: WriteRef) => void recorded.push(sequence),
    },
    orchestrator: orchestratorWith({
      batchWrite: async (operations: readonly OrchestratorWrite[]) => {
        sent.push(operations.length);
        return operations.map(answerTo);
      },
    }),
    clock: { now: () => 0, wallMs: () => 0, sleep: (ms) => new Promise((then) => setTimeout(then, ms)) },
    random: () => 1,
    isAlone: () => isAlone,
    signals: { ...NO_SIGNALS, overtaken: async () => onOvertaken(deliverer) },
  });
  const deliverer = new Deliverer(parts);
  return { deliverer, recorded, sent };
}

function laneOfGeneration(generation: number): Lane {
  const lane = laneNamed('ann');
  lane.adopt(stateOf(lane, { id: 1, generation, seededCoverage: 1 }));
  return lane;
}

test('a superseded write is not delivered; its lane is loaded first', async () => {
  const lane = laneOfGeneration(6);
  const { deliverer, recorded, sent } = createDeliverer(lane, () =>
    lane.adopt(stateOf(lane, { generation: 7 })),
  );
  deliverer.resume(lane, 3);
  await vi.waitFor(() => expect(recorded).toEqual([1, 2, 3]));
  expect(sent).toEqual([3, 3]);
  expect(lane.delivered).toBe(3);
  await deliverer.stop();
});

test('a replica that was paused does not record another’s copy as delivered', async () => {
  const lane = laneOfGeneration(6);
  const { deliverer, recorded, sent } = createDeliverer(lane, (self) => self.forget(lane));
  deliverer.resume(lane, 3);
  await vi.waitFor(() => expect(deliverer.pending).toBe(0));
  expect(recorded).toEqual([]);
  expect(sent).toEqual([3]);
  expect(lane.delivered).toBe(0);
  await deliverer.stop();
});

test('a replica that assumes it is alone reads the journal if a sequence is missing', async () => {
  const lane = laneOfGeneration(7);
  const { deliverer, recorded } = createDeliverer(lane, undefined, true);
  lane.sequenced(1);
  // Another replica has written sequence 2.
  lane.sequenced(3);
  lane.appliedUpTo(3);
  deliverer.deliver(lane, writeOf(lane, 3, REQUEST));
  await vi.waitFor(() => expect(recorded).toEqual([1, 2, 3]));
  await deliverer.stop();
});
