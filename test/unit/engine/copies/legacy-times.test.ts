import { expect, test } from 'vitest';
import { StorageError } from '../../../../src/domain/errors.ts';
import { positionOf } from '../../../../src/domain/lane.ts';
import { LegacyTimes } from '../../../../src/engine/copies/legacy-times.ts';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import { encodeJson } from '../../../../src/domain/json.ts';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import { LaneComparer } from '../../../../src/engine/runs/lane-comparer.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { comparerParts, orchestratorWith, ownerNamed, SERVICE, servicesWith } from '../engine-parts.ts';

const OWNER = ownerNamed('ann');
const ACCEPTED = '2026-01-01T12:00:00.000Z';
const STORED = '1767268800.123456';

/** What a comparison writes to the orchestrator, which holds an item that was delivered live, and one that a copy wrote. */
async function compare(write: (operations: readonly OrchestratorWrite[]) => void = () => undefined) {
  const written: OrchestratorWrite[] = [];
  const { lanes } = jarvisMemory;
  const itemOf = (memory: string, position: number, payload: object) => ({
    ...payload,
    memory_id: memory,
    position,
    version: 3,
    created_at: ACCEPTED,
    source_agent: null,
    lane_key: laneKeyOf(SERVICE, OWNER),
  });
  const fields = (memory: string) => ({ memory: JSON.stringify(memory) });
  const shown = (memory: string) => ({ fields: fields(memory), timestamp: STORED, at: ACCEPTED });
  const copied = lanes.createPayload(shown('copied'), OWNER);
  const delivered = { ...lanes.createPayload({ ...shown('delivered'), timestamp: '' }, OWNER) };
  const items = [itemOf('copied', 1, copied), itemOf('delivered', 2, delivered)];
  const scan = { session: null, items, consistent: true };
  const readLegacy = async () => ({ exists: true, items: ['copied', 'delivered'].map(shown) });
  const parts = comparerParts({
    services: servicesWith({ readLegacy }),
    orchestrator: orchestratorWith({
      read: async () => ({ data: scan, text: encodeJson(scan) }),
      batchWrite: async (operations: readonly OrchestratorWrite[]) => {
        write(operations);
        written.push(...operations);
        return operations.map(() => ({ result: 'applied' }));
      },
    }),
  });
  const comparer = new LaneComparer(parts);
  return { verdict: (await comparer.compare(SERVICE, OWNER)).verdict, written };
}

test('a comparison gives a delivered item the time that legacy shows', async () => {
  const { verdict, written } = await compare();
  expect(verdict).toBe('equal');
  expect(written).toMatchObject([
    { action: 'update', payload: { memory_id: 'delivered', if_version: 3, suppress_events: true } },
  ]);
  expect(encodeJson(written[0]?.payload['content'])).toContain(`"legacy_timestamp":"${STORED}"`);
});

test('a comparison has the same result if the orchestrator refuses the time', async () => {
  const { verdict } = await compare(() => {
    throw new StorageError('away', { effect: 'unknown' });
  });
  expect(verdict).toBe('equal');
});

const SAID_AT = ['1767268800.1', '1767268860.2', '1767268920.3'];

/** The ids of the items that get legacy's times. All have the same text; the orchestrator holds those of these sequences. */
async function retimed(legacyAt: readonly string[], sequences: readonly number[], sequence: number) {
  const updated: unknown[] = [];
  const { lanes } = jarvisMemory;
  const fields = { memory: '"the same"' };
  const items = sequences.map((one) => ({
    ...lanes.createPayload({ fields, timestamp: '', at: ACCEPTED }, OWNER),
    memory_id: `of write ${one}`,
    position: positionOf(one),
    version: 1,
    created_at: ACCEPTED,
    source_agent: null,
    lane_key: laneKeyOf(SERVICE, OWNER),
  }));
  const scan = { session: null, items, consistent: true };
  const times = new LegacyTimes({
    ...comparerParts({}),
    orchestrator: orchestratorWith({
      read: async () => ({ data: scan, text: encodeJson(scan) }),
      batchWrite: async (operations: readonly OrchestratorWrite[]) => {
        updated.push(...operations.map(({ payload }) => payload['memory_id']));
        return operations.map(() => ({ result: 'applied' }));
      },
    }),
  });
  const service = servicesWith({}).get(SERVICE);
  if (service === undefined) throw new Error('the service is missing');
  const shown = legacyAt.map((timestamp) => ({ fields, timestamp, at: ACCEPTED }));
  await times.takeOver({ service, owner: OWNER, sequence, items: shown });
  return updated;
}

test('a look gives equal items their own times', async () => {
  expect(await retimed(SAID_AT, [1, 2, 3], 3)).toEqual(['of write 1', 'of write 2', 'of write 3']);
});

test('an item that was written after the look gets no time of an earlier, equal one', async () => {
  expect(await retimed(SAID_AT.slice(0, 2), [1, 2, 3], 2)).toEqual(['of write 1', 'of write 2']);
});

test('equal items get no times while one side shows more of them', async () => {
  expect(await retimed(SAID_AT.slice(0, 2), [1, 2, 3], 3)).toEqual([]);
  expect(await retimed(SAID_AT, [2, 3], 3)).toEqual([]);
});
