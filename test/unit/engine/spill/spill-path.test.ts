import { expect, test } from 'vitest';
import { laneKeyOf, operationId } from '../../../../src/domain/ids.ts';
import { readReply } from '../../../../src/domain/request.ts';
import type { OwnedOperation } from '../../../../src/engine/ports/operation.ts';
import type { Intent } from '../../../../src/engine/ports/ports.ts';
import type { OutageState } from '../../../../src/engine/spill/outage.ts';
import { SpillPath, type SpillPathParts } from '../../../../src/engine/spill/spill-path.ts';
import type { Sequenced } from '../../../../src/engine/writes/sequence-write.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { fakeClock, laneNamed, ownerNamed, recorder, SERVICE } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');
const ADD = jarvisMemory.actions['add_memory'];
const BODY = Buffer.from('{"action": "add_memory", "user_id": "ann", "memory": 1}');

const OPERATION = {
  id: operationId('operation-1'),
  service: { name: SERVICE, definition: jarvisMemory, deadlineMs: 1_000 },
  name: 'add_memory',
  action: ADD,
  owner: OWNER,
  lane: laneKeyOf(SERVICE, OWNER),
  message: readReply(BODY),
  body: BODY,
  deadlineAtMs: 1_000,
} as unknown as OwnedOperation;

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
