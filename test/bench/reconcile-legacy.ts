import type { Owner } from '../../src/domain/ids.ts';
import { defineService, type LegacyItem, type LegacyLane } from '../../src/domain/service-definition.ts';
import { sessionMemory } from '../../src/services/session-memory/session-memory.ts';

/** How many lanes the store holds: the proxy that loads this definition is told by its environment. */
export const LANES_VARIABLE = 'BENCH_RECONCILE_LANES';
export const ITEMS_PER_LANE = 10;

const EPOCH_MS = Date.UTC(2026, 0, 1);
const SECOND_MS = 1_000;
const WORDS =
  'the kettle stands beside the window while rain falls on the roof and somebody reads a long letter aloud';
const OWNER = /^lane-(\d+)$/;

export function ownerAt(lane: number): Owner {
  return `lane-${lane}` as Owner;
}

/** What legacy holds of a lane. Made of its number whenever it is asked for: a store in memory whose size costs no memory. */
export function laneAt(lane: number): LegacyLane {
  const createdMs = EPOCH_MS + (lane % 1_000_000) * SECOND_MS;
  return {
    exists: true,
    items: Array.from({ length: ITEMS_PER_LANE }, (_, index) => itemAt(lane, { index, createdMs })),
    session: { userId: 'bench', metadata: '{}', createdAt: new Date(createdMs).toISOString() },
  };
}

function itemAt(
  lane: number,
  { index, createdMs }: { readonly index: number; readonly createdMs: number },
): LegacyItem {
  const at = new Date(createdMs + index * SECOND_MS).toISOString();
  return {
    fields: {
      role: index % 2 === 0 ? '"user"' : '"assistant"',
      content: JSON.stringify(`${lane}.${index} ${WORDS}`),
      metadata: '{}',
    },
    timestamp: at.replace('Z', ''),
    at,
  };
}

function laneOf(owner: Owner): LegacyLane {
  const number = OWNER.exec(owner)?.[1];
  return number === undefined ? { exists: false, items: [] } : laneAt(Number(number));
}

/** session-memory with a store that is read at no cost: what is measured is the work around it. */
export default defineService({
  ...sessionMemory,
  lanes: {
    ...sessionMemory.lanes,
    retention: {},
    owners: async () =>
      Array.from({ length: Number(process.env[LANES_VARIABLE] ?? 0) }, (_, lane) => ownerAt(lane)),
    isReadable: () => true,
    readLegacy: async (owner) => laneOf(owner),
    readMany: async (owners) => new Map(owners.map((owner) => [owner, laneOf(owner)])),
    strays: async () => ({}),
  },
});
