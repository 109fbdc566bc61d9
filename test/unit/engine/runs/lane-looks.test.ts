import { expect, test } from 'vitest';
import { LaneComparer } from '../../../../src/engine/runs/lane-comparer.ts';
import { comparerParts, ownerNamed, SERVICE, servicesWith, viewOf } from '../engine-parts.ts';

/** What legacy shows at one look, the orchestrator showing nothing; `racy`: somebody writes meanwhile. */
type Shown = 'racy' | 'equal' | 'x' | 'y' | 'xy';

/** Compares a lane whose looks show this, the last one again and again. */
async function compare(...looks: readonly Shown[]) {
  let [sequence, looked, heldLooks, isHeld] = [1, 0, 0, false];
  let shown: Shown = 'equal';
  /** Sequence and number of items of what is stored as the last equal list. */
  const remembered: string[] = [];
  const item = (memory: string) => ({
    at: '2026-01-01T00:00:00.000Z',
    timestamp: '',
    fields: { memory: `"${memory}"` },
  });
  const readLegacy = async () => {
    shown = looks[looked] ?? looks.at(-1) ?? 'equal';
    looked += 1;
    if (isHeld) heldLooks += 1;
    if (shown === 'racy') sequence += 1;
    const items = shown === 'racy' ? ['x'] : shown === 'equal' ? [] : shown.split('');
    return { exists: true, items: items.map(item) };
  };
  const parts = comparerParts({
    services: servicesWith({ readLegacy }),
    journal: {
      fence: async (key) => viewOf({ key }, { sequence }),
      lastApplied: async () => ({ nowMs: 0 }),
    },
    baselines: {
      of: async () => undefined,
      save: async ({ sequence: at, items }) => void remembered.push(`${at} ${items.length}`),
    },
    hold: async () => {
      isHeld = true;
      return { isSure: () => true, release: () => (isHeld = false) };
    },
  });
  const comparer = new LaneComparer(parts);
  const compared = await comparer.compare(SERVICE, ownerNamed('ann'));
  const found = compared.verdict === 'not_comparable' ? compared.reason : compared.verdict;
  return { found, looked, heldLooks, remembered };
}

test('a difference counts if two looks show it', async () => {
  expect(await compare('x')).toMatchObject({ found: 'different', looked: 2 });
  expect(await compare('x', 'equal')).toMatchObject({ found: 'equal', looked: 2 });
});

test('a difference that a racy look shows first is looked at again', async () => {
  expect(await compare('racy', 'x', 'equal')).toMatchObject({ found: 'equal', looked: 3 });
  expect(await compare('racy', 'x')).toMatchObject({ found: 'different', looked: 3 });
  expect(await compare('x', 'y', 'equal')).toMatchObject({ found: 'equal', looked: 3 });
  expect(await compare('x', 'xy', 'xy')).toMatchObject({ found: 'different', looked: 3 });
});

test('a difference first seen while the lane is held is looked at twice there', async () => {
  const racy = ['racy', 'racy', 'racy'] as const;
  expect(await compare(...racy, 'x')).toMatchObject({ found: 'different', looked: 5, heldLooks: 2 });
  expect(await compare(...racy, 'x', 'equal')).toMatchObject({ found: 'equal', heldLooks: 2 });
  expect(await compare(...racy, 'x', 'y')).toMatchObject({ found: 'racy', heldLooks: 2 });
  expect(await compare('x', 'racy', 'racy', 'x')).toMatchObject({ found: 'different', heldLooks: 1 });
});

// A lane that agents always write to may be found equal only by looks of its own.
test('what both sides hold is stored when they are found equal, and only then', async () => {
  expect(await compare('racy', 'equal')).toMatchObject({ found: 'equal', remembered: ['2 0'] });
  expect(await compare('x')).toMatchObject({ found: 'different', remembered: [] });
});
