import { expect, test } from 'vitest';
import type { Intent } from '../../../../src/engine/ports/ports.ts';
import type { OutageState } from '../../../../src/engine/spill/outage.ts';
import { SpillPath, type SpillPathParts } from '../../../../src/engine/spill/spill-path.ts';
import type { Sequenced } from '../../../../src/engine/writes/sequence-write.ts';
import { fakeClock, laneNamed, operationOf, recorder, SERVICE } from '../engine-parts.ts';

const OPERATION = operationOf('{"action": "add_memory", "user_id": "ann", "memory": 1}');

/** Writes while the journal is here, or away. */
function createSpillPath() {
  const facts: { state: OutageState; noted: Intent[] } = { state: 'here', noted: [] };
  const path = new SpillPath({
    outage: { admit: async () => (facts.state === 'here' ? 'journal' : 'spill') },
    store: { append: async (intent: Intent) => void facts.noted.push(intent), settle: () => undefined },
    identity: { id: 'replica-1' },
    callLegacy: async () => ({ reply: { body: Buffer.from('{"status": "ok"}') }, durationMs: 1 }),
    clock: fakeClock(),
    emit: recorder().emit,
    coverage: new Map([[SERVICE, { number: 7 }]]),
    isShut: () => false,
  } as unknown as SpillPathParts);
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
