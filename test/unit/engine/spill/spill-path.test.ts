import { expect, test } from 'vitest';
import { replicaId } from '../../../../src/domain/ids.ts';
import type { Intent } from '../../../../src/engine/ports/ports.ts';
import type { OutageState } from '../../../../src/engine/spill/outage.ts';
import { SpillPath } from '../../../../src/engine/spill/spill-path.ts';
import type { Sequenced } from '../../../../src/engine/writes/sequence-write.ts';
import {
  coverageOf,
  fakeClock,
  laneNamed,
  operationOf,
  recorder,
  outcomeRecorderOf,
} from '../engine-parts.ts';

const OPERATION = operationOf('{"action": "add_memory", "user_id": "ann", "memory": 1}');

/** Writes while the journal is here, or away. */
function createSpillPath() {
  const facts: { state: OutageState; noted: Intent[] } = { state: 'here', noted: [] };
  const path = new SpillPath({
    outage: {
      admit: async () => (facts.state === 'here' ? 'journal' : 'spill'),
      ask: async () => facts.state === 'away',
      get state() {
        return facts.state;
      },
    },
    membership: { isOnlyOne: true, claimedAtMs: 0, journalMs: Infinity },
    store: { append: async (intent) => void facts.noted.push(intent), recordOutcome: () => undefined },
    journal: { recordOutcomes: async () => undefined },
    identity: { id: replicaId('replica-1') },
    outcomeRecorder: outcomeRecorderOf(fakeClock()),
    callLegacy: async () => ({ reply: { body: Buffer.from('{"status": "ok"}') }, durationMs: 1 }),
    clock: fakeClock(),
    emit: recorder().emit,
    coverage: coverageOf(7),
    settle: () => undefined,
    isShut: () => false,
    gate: async () => undefined,
    mayBeFlipped: (lane) => lane.owner === 'flipped',
  });
  return { facts, path };
}

const WITHDRAWN = { sequence: async () => ({}) as Sequenced, send: async () => 'wait' };

test('a write whose intent was withdrawn is spilled under a new id', async () => {
  const { facts, path } = createSpillPath();
  expect(await path.write(OPERATION, laneNamed('ann'), WITHDRAWN)).toBe('wait');
  facts.state = 'away';
  await path.write(OPERATION, laneNamed('ann'), WITHDRAWN);
  expect(facts.noted).toHaveLength(1);
  expect(facts.noted[0]?.operationId).not.toBe(OPERATION.id);
});

test('a write that is not in the journal is spilled with its id and coverage', async () => {
  const { facts, path } = createSpillPath();
  facts.state = 'away';
  await path.write(OPERATION, laneNamed('ann'), WITHDRAWN);
  expect(facts.noted).toMatchObject([{ operationId: OPERATION.id, coverage: 7 }]);
});

test('a write of a lane that may be flipped is refused without the journal', async () => {
  const { facts, path } = createSpillPath();
  facts.state = 'away';
  await expect(path.write(OPERATION, laneNamed('flipped'), WITHDRAWN)).rejects.toMatchObject({
    effect: 'not_applied',
  });
  expect(facts.noted).toEqual([]);
});
