import { describe, expect, test } from 'vitest';
import fc from '../../../support/properties.ts';
import { operationId, type Owner } from '../../../../src/domain/ids.ts';
import { type NamedItem, positionOf } from '../../../../src/domain/lane.ts';
import type { LegacyItem, LegacyLane, StoredMemory } from '../../../../src/domain/service-definition.ts';
import {
  digestOfFields,
  findNamed,
  type ListedMemory,
  nameItems,
  planCopy,
} from '../../../../src/engine/items/copy-plan.ts';
import { readJournaled } from '../../../../src/engine/copies/journaled-writes.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import type { ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import reminders from '../../../../config/examples/reminder-service.ts';
import { laneNamed, SERVICE, writeOf } from '../engine-parts.ts';

const AT = '2026-01-01T00:00:00.000Z';

function itemOf(text: string): LegacyItem {
  return { fields: { reminder: JSON.stringify(text) }, timestamp: AT, at: AT };
}

function laneOf(texts: readonly string[]): LegacyLane {
  return { exists: true, items: texts.map(itemOf) };
}

function listedAs(text: string, index: number): ListedMemory {
  const memory: StoredMemory = {
    memory_id: `m-${index}`,
    memory_type: 'context',
    content: '{}',
    tags: [],
    position: positionOf(index + 1),
    created_at: AT,
    source_agent: null,
  };
  return { memory, fields: itemOf(text).fields };
}

const named = (text: string, newer = 0): NamedItem => ({
  digest: digestOfFields(itemOf(text).fields),
  newer,
});

describe('an item that a write names by place is', () => {
  test('the same item on both sides, even if the secondary holds older equal ones', () => {
    const texts = fc.array(fc.constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(texts, texts, fc.nat(7), (shown, forgotten, place) => {
        const index = place % shown.length;
        const stored = [...forgotten, ...shown].map(listedAs);
        const found = findNamed(nameItems(laneOf(shown), [index]), stored);
        expect(found).toEqual([`m-${forgotten.length + index}`]);
      }),
    );
  });

  test('nothing if the list is shorter, and each item once', () => {
    expect(nameItems(laneOf(['a']), [1, -1, Number.NaN])).toEqual([]);
    expect(nameItems(laneOf(['a', 'b', 'a']), [0, 2, 0])).toEqual([named('a', 1), named('a')]);
  });

  test('not found if the secondary lacks one of them', () => {
    const stored = ['a', 'b'].map(listedAs);
    expect(findNamed([named('a', 1)], stored)).toBeUndefined();
    expect(findNamed([named('a'), named('c')], stored)).toBeUndefined();
    expect(findNamed([], stored)).toEqual([]);
  });
});

const runtime: ServiceRuntime = {
  name: SERVICE,
  definition: reminders,
  context: { timeZone: 'UTC' },
  legacy: {
    send: () => Promise.reject(new Error('asked')),
    load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
  },
  access: {},
  deadlineMs: 1_000,
};
const lane = laneNamed('ann');

function add(sequence: number, text: string): PendingWrite {
  const request = JSON.stringify({ action: 'add_reminder', reminder: text });
  return {
    ...writeOf(lane, sequence, request),
    action: 'add_reminder',
    operationId: operationId(`${sequence}`),
  };
}

function remove(sequence: number, more: Partial<PendingWrite> = {}): PendingWrite {
  return { ...writeOf(lane, sequence, '{"index": 0}'), action: 'delete_reminder', ...more };
}

const read = (...writes: PendingWrite[]) =>
  readJournaled({ service: runtime, owner: 'ann' as Owner, writes, sequence: writes.length });

const idsFor = (ids: ReadonlyMap<string, readonly string[]>) => ids.get(named('tea').digest);

describe('a copy of a lane with writes that name their items', () => {
  test('deletes the named items, and counts others that vanished as lost', () => {
    const journaled = read(add(1, 'tea'), remove(2, { items: [named('milk')] }));
    const plan = planCopy({
      source: [itemOf('tea')],
      existing: ['milk', 'milk', 'tea'].map(listedAs),
      derived: { source: [], existing: [] },
      sequence: 2,
      deletions: journaled.deletions,
      named: journaled.named,
      journaledIds: journaled.ids,
    });
    expect(plan.deletes.map(({ memory_id }) => memory_id)).toEqual(['m-0']);
    expect(plan.vanished.map(({ memory_id }) => memory_id)).toEqual(['m-1']);
    expect(journaled.unaccounted).toBe(0);
  });

  test('gives an item that was written again the id of its last write', () => {
    const { ids } = read(add(1, 'tea'), remove(2, { items: [named('tea')] }), add(3, 'tea'));
    expect(idsFor(ids)).toEqual(['mem-3']);
  });

  test('removes the id of the item that was named among equal ones', () => {
    const writes = [add(1, 'tea'), add(2, 'tea'), add(3, 'tea')];
    expect(idsFor(read(...writes, remove(4, { items: [named('tea', 1)] })).ids)).toEqual(['mem-1', 'mem-3']);
    // It stood before everything that the journal still knows.
    expect(idsFor(read(...writes, remove(4, { items: [named('tea', 3)] })).ids)).toHaveLength(3);
  });

  test('allows one more missing item if the named item is unknown', () => {
    expect(read(remove(1)).unaccounted).toBe(1);
    expect(read(remove(1, { items: [named('tea')], isUncertain: true })).unaccounted).toBe(1);
    expect(idsFor(read(add(1, 'tea'), remove(2, { items: [named('tea')], isUncertain: true })).ids)).toEqual([
      'mem-1',
    ]);
  });
});

test('a clear of unknown outcome covers what a copy renumbered meanwhile', () => {
  const sessions: ServiceRuntime = { ...runtime, definition: sessionMemory };
  const clear: PendingWrite = {
    ...writeOf(lane, 2, '{"action": "clear_session", "session_id": "ann"}'),
    action: 'clear_session',
  };
  const below = (isUncertain: boolean): number | undefined => {
    const facts = { service: sessions, owner: 'ann' as Owner, sequence: 5 };
    return readJournaled({ ...facts, writes: [{ ...clear, isUncertain }] }).deletions[0]?.below;
  };
  expect(below(false)).toBe(positionOf(2));
  // It may take effect behind a copy that read up to sequence 5 and numbered the items anew.
  expect(below(true)).toBe(positionOf(6));
});
