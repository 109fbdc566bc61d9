import { expect, test } from 'vitest';
import { laneKeyOf } from '../../../../src/domain/ids.ts';
import { encodeJson } from '../../../../src/domain/json.ts';
import type { Retention } from '../../../../src/domain/retention.ts';
import type { LaneState } from '../../../../src/domain/lane.ts';
import { digestOfFields } from '../../../../src/engine/items/copy-plan.ts';
import type { LostItem } from '../../../../src/engine/ports/lost-items.ts';
import { LaneComparer } from '../../../../src/engine/runs/lane-comparer.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import {
  comparerParts,
  orchestratorWith,
  ownerNamed,
  SERVICE,
  servicesWith,
  viewOf,
} from '../engine-parts.ts';

const OWNER = ownerNamed('ann');
const NOW_MS = Date.parse('2026-01-01T12:00:00.000Z');

const LOST: LostItem = {
  service: SERVICE,
  owner: OWNER,
  memoryId: 'm-1',
  digest: digestOfFields({ memory: '"tea"' }),
  position: 1,
  storedAt: null,
  shape: null,
  foundAtMs: NOW_MS,
};

/** Compares a lane that is gone from legacy, and of which the orchestrator still shows one item of an hour ago. */
async function compareGone(
  retention: Retention,
  { isListedLost = false, lane = {} }: { isListedLost?: boolean; lane?: Partial<LaneState> } = {},
) {
  const hidden: string[] = [];
  const remembered: string[] = [];
  const created = jarvisMemory.lanes.createPayload(
    { fields: { memory: '"tea"' }, timestamp: '', at: '' },
    OWNER,
  );
  const item = {
    ...created,
    memory_id: 'm-1',
    position: 1,
    created_at: new Date(NOW_MS - 3_600_000).toISOString(),
    source_agent: null,
    lane_key: laneKeyOf(SERVICE, OWNER),
  };
  const scan = { session: null, items: [item], consistent: true };
  const parts = comparerParts({
    services: servicesWith({ retention, readLegacy: async () => ({ exists: false, items: [] }) }),
    journal: {
      fence: async (key) => viewOf({ key }, lane),
      lastApplied: async () => ({ nowMs: NOW_MS }),
    },
    lostItems: {
      waiting: async () => (isListedLost ? [LOST] : []),
    },
    orchestrator: orchestratorWith({ read: async () => ({ data: scan, text: encodeJson(scan) }) }),
    baselines: { of: async () => undefined, save: async ({ lane: key }) => void remembered.push(key) },
    hideForgotten: (service: string, owner: string) => hidden.push(`${service}/${owner}`),
  });
  const comparer = new LaneComparer(parts);
  const compared = await comparer.compare(SERVICE, OWNER);
  return { compared, hidden, remembered };
}

test('a comparison that finds forgotten items hides them from agents', async () => {
  const { compared, hidden } = await compareGone({ idleSeconds: 3_600 });
  expect(compared).toMatchObject({ verdict: 'equal', forgotten: 1, lost: [] });
  expect(hidden).toEqual([laneKeyOf(SERVICE, OWNER)]);
});

const FLIPPED = { primary: 'orchestrator', epoch: 1, seededCoverage: 0 } as const;

test('what legacy forgot of a flipped lane is no difference, and stays visible', async () => {
  const { compared, hidden, remembered } = await compareGone({ idleSeconds: 3_600 }, { lane: FLIPPED });
  expect(compared).toMatchObject({ secondary: 'legacy', verdict: 'equal', forgotten: 1 });
  expect(hidden).toEqual([]);
  // Without the item in the last equal list, it would count as added on the orchestrator.
  expect(remembered).toEqual([]);
});

test('what legacy lost of a flipped lane differs, and waits for no decision', async () => {
  const { compared } = await compareGone({ idleSeconds: 3_601 }, { lane: FLIPPED });
  expect(compared).toMatchObject({
    secondary: 'legacy',
    verdict: 'different',
    epoch: 1,
    lost: [],
    findings: [{ kind: 'lost', side: 'legacy' }],
  });
});

test('a listed lost item stays lost when retention could explain it later', async () => {
  const { compared, hidden } = await compareGone({ idleSeconds: 3_600 }, { isListedLost: true });
  expect(compared).toMatchObject({ verdict: 'different', forgotten: 0 });
  expect(hidden).toEqual([]);
});

test('a comparison that finds lost items hides nothing', async () => {
  const { compared, hidden } = await compareGone({ idleSeconds: 3_601 });
  expect(compared).toMatchObject({ verdict: 'different', forgotten: 0 });
  expect(hidden).toEqual([]);
});
