import fc from '../../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { positionOf } from '../../../../src/domain/lane.ts';
import type { LegacyItem, StoredMemory } from '../../../../src/domain/service-definition.ts';
import type { LaneDeletion } from '../../../../src/engine/items/lane-deletion.ts';
import {
  digestOfFields,
  planCopy,
  type CopyFacts,
  type CopyPlan,
  type ListedMemory,
} from '../../../../src/engine/items/copy-plan.ts';

const AT = '2026-01-01T00:00:00.000Z';

function itemOf(text: string): LegacyItem {
  return { fields: { text: JSON.stringify(text) }, timestamp: AT, at: AT };
}

function memoryOf(id: string, position: number): StoredMemory {
  return {
    memory_id: id,
    memory_type: 'context',
    content: '{}',
    tags: [],
    position,
    created_at: AT,
    source_agent: null,
  };
}

function listedAs(text: string, id: string, position: number): ListedMemory {
  return { memory: memoryOf(id, position), fields: itemOf(text).fields };
}

function textOf({ fields }: { readonly fields: Readonly<Record<string, string>> }): string {
  return String(JSON.parse(fields['text'] ?? '""'));
}

/** The orchestrator's list once the plan was carried out and what vanished was marked as forgotten. */
function applyPlan(existing: readonly ListedMemory[], plan: CopyPlan): ListedMemory[] {
  const gone = new Set([...plan.deletes, ...plan.vanished].map(({ memory_id }) => memory_id));
  const moved = new Map(plan.moves.map(({ memoryId, position }) => [memoryId, position]));
  const kept = existing
    .filter(({ memory }) => !gone.has(memory.memory_id))
    .map(({ memory, fields }) => ({
      memory: { ...memory, position: moved.get(memory.memory_id) ?? memory.position },
      fields,
    }));
  const created = plan.creates.map(({ item, position, memoryId }, index) => ({
    memory: memoryOf(memoryId ?? `created-${index}`, position),
    fields: item.fields,
  }));
  return [...kept, ...created].toSorted((a, b) => a.memory.position - b.memory.position);
}

const everythingBelow = (below: number): LaneDeletion => ({ below, tags: [] });

const NOTHING_DERIVED = { source: [], existing: [] };

function factsOf(facts: Partial<CopyFacts>): CopyFacts {
  return {
    source: [],
    existing: [],
    derived: NOTHING_DERIVED,
    sequence: 1,
    deletions: [],
    named: [],
    journaledIds: new Map(),
    ...facts,
  };
}

// Four texts for up to twelve items: equal items are the rule.
const texts = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 12 });

/** A lane as deliveries and earlier copies can have left it: positions ascend, none beyond what the present sequence allows. */
const lanes: fc.Arbitrary<CopyFacts> = fc
  .record({
    source: texts,
    existing: texts,
    sequence: fc.integer({ min: 0, max: 8 }),
    places: fc.uniqueArray(fc.nat(9 * 16 - 1), { minLength: 12, maxLength: 12 }),
    deletedBelow: fc.nat(9),
    journaled: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd')),
    hasUnrecorded: fc.boolean(),
  })
  .map(({ source, existing, sequence, places, deletedBelow, journaled, hasUnrecorded }) => {
    const positions = places
      .map((place) => positionOf(Math.floor(place / 16) % (sequence + 1), 1 + (place % 16)))
      .toSorted((a, b) => a - b);
    const distinct = positions.map((position, index) => position + index);
    // The first item of each text may be a delivery that was made and not recorded: it has a journaled write's id.
    const idOf = (text: string, index: number): string =>
      hasUnrecorded && existing.findIndex((one) => one === text) === index
        ? `journaled-${text}-1`
        : `stored-${index}`;
    return factsOf({
      source: source.map(itemOf),
      existing: existing.map((text, index) => listedAs(text, idOf(text, index), distinct[index] ?? 0)),
      sequence,
      deletions: [everythingBelow(positionOf(deletedBelow))],
      journaledIds: new Map(
        journaled.map((text) => [
          digestOfFields(itemOf(text).fields),
          [`journaled-${text}-1`, `journaled-${text}-2`],
        ]),
      ),
    });
  });

const RUNS = { numRuns: 1_000 };

function holds(promise: (facts: CopyFacts, plan: CopyPlan) => void): void {
  fc.assert(
    fc.property(lanes, (facts) => promise(facts, planCopy(facts))),
    RUNS,
  );
}

describe('whatever the secondary holds, a copy', () => {
  test('makes it equal to the primary, in order, including duplicates', () => {
    holds((facts, plan) => {
      expect(applyPlan(facts.existing, plan).map(textOf)).toEqual(facts.source.map(textOf));
    });
  });

  test('gives every item its own position, none after the next write', () => {
    holds((facts, plan) => {
      const positions = applyPlan(facts.existing, plan).map(({ memory }) => memory.position);
      expect(new Set(positions).size).toBe(positions.length);
      expect(Math.max(0, ...positions)).toBeLessThan(positionOf(facts.sequence + 1));
    });
  });

  test('changes nothing when it runs a second time', () => {
    holds((facts, plan) => {
      const existing = applyPlan(facts.existing, plan);
      expect(planCopy({ ...facts, existing })).toMatchObject({
        creates: [],
        moves: [],
        retags: [],
        deletes: [],
        vanished: [],
      });
    });
  });

  test('removes what a journaled delete names, unless the primary shows it', () => {
    holds((facts, plan) => {
      const [{ below } = expect.fail()] = facts.deletions;
      expect(plan.vanished.filter(({ position }) => position < below)).toEqual([]);
      expect(plan.deletes.filter(({ position }) => position >= below)).toEqual([]);
    });
  });

  test('keeps as many equal items as both sides show, and writes only the rest', () => {
    holds((facts, plan) => {
      for (const text of ['a', 'b', 'c', 'd']) {
        const count = (list: readonly { fields: LegacyItem['fields'] }[]): number =>
          list.filter((one) => textOf(one) === text).length;
        const created = count(plan.creates.map(({ item }) => item));
        expect(created).toBe(Math.max(0, count(facts.source) - count(facts.existing)));
      }
    });
  });

  test('gives no two items the same id', () => {
    holds((facts, plan) => {
      const used = facts.existing.map(({ memory }) => memory.memory_id);
      const taken = plan.creates.flatMap(({ memoryId }) => memoryId ?? []);
      expect(new Set([...used, ...taken]).size).toBe(used.length + taken.length);
    });
  });

  test('uses the ids of undelivered writes, each once, in their order', () => {
    holds((facts, plan) => {
      const used = new Set(facts.existing.map(({ memory }) => memory.memory_id));
      for (const [digest, journaled] of facts.journaledIds) {
        const ids = journaled.filter((id) => !used.has(id));
        const created = plan.creates.filter(({ item }) => digestOfFields(item.fields) === digest);
        const expected = created.map((_, index) => ids[index]);
        expect(created.map(({ memoryId }) => memoryId)).toEqual(expected);
      }
    });
  });
});

describe('a copy', () => {
  test('keeps positions if only the end of the list is missing', () => {
    const plan = planCopy(
      factsOf({
        source: ['a', 'b', 'c'].map(itemOf),
        existing: [listedAs('a', 'm-1', positionOf(1)), listedAs('b', 'm-2', positionOf(2))],
        sequence: 3,
      }),
    );
    expect(plan).toMatchObject({ moves: [], deletes: [], vanished: [] });
    expect(plan.creates).toEqual([{ item: itemOf('c'), position: positionOf(3) + 1 }]);
  });

  test('renumbers the lane if something is missing in the middle', () => {
    const plan = planCopy(
      factsOf({
        source: ['a', 'b', 'c'].map(itemOf),
        existing: [listedAs('a', 'm-1', positionOf(1)), listedAs('c', 'm-3', positionOf(3))],
        sequence: 3,
      }),
    );
    const base = positionOf(3);
    expect(plan.moves).toEqual([
      { memoryId: 'm-1', position: base + 1 },
      { memoryId: 'm-3', position: base + 3 },
    ]);
    expect(plan.creates.map(({ position }) => position)).toEqual([base + 2]);
  });

  test('keeps the newest of equal items, so that cleared ones are removed', () => {
    const existing = [listedAs('hello', 'cleared', positionOf(1)), listedAs('hello', 'new', positionOf(3))];
    const plan = planCopy(
      factsOf({
        source: [itemOf('hello')],
        existing,
        sequence: 3,
        deletions: [everythingBelow(positionOf(2))],
      }),
    );
    expect(plan.deletes.map(({ memory_id }) => memory_id)).toEqual(['cleared']);
    expect(plan).toMatchObject({ creates: [], moves: [], vanished: [] });
  });

  test('gives an item that lost its tag the required tags, and keeps its id', () => {
    const existing = [
      listedAs('a', 'm-1', positionOf(1)),
      { ...listedAs('b', 'm-2', positionOf(2)), dueTags: ['entry', 'theirs'] },
      { ...listedAs('gone', 'm-3', positionOf(3)), dueTags: ['entry'] },
    ];
    const plan = planCopy(factsOf({ source: ['a', 'b'].map(itemOf), existing, sequence: 3 }));
    expect(plan).toMatchObject({ creates: [], moves: [], deletes: [] });
    expect(plan.retags).toEqual([{ memoryId: 'm-2', tags: ['entry', 'theirs'] }]);
  });

  test('numbers a lane of many items', () => {
    const source = Array.from({ length: 300_000 }, () => itemOf('same'));
    const plan = planCopy(factsOf({ source }));
    expect(plan.creates.at(-1)?.position).toBe(positionOf(1) + 300_000);
  });

  test('refuses a lane with more items than a sequence has positions', () => {
    const source = Array.from<LegacyItem>({ length: 2 ** 20 }).fill(itemOf('same'));
    expect(() => planCopy(factsOf({ source }))).toThrow(RangeError);
  });
});

describe('what the service derives from its items', () => {
  const source = ['a', 'b'].map(itemOf);
  const existing = [listedAs('a', 'm-1', positionOf(1)), listedAs('b', 'm-2', positionOf(2))];
  const summary = itemOf('summary');

  test('comes after all items', () => {
    const { creates } = planCopy(
      factsOf({ source, existing, sequence: 2, derived: { source: [summary], existing: [] } }),
    );
    expect(creates).toEqual([{ item: summary, position: positionOf(2) + 1 }]);
  });

  test('is left unchanged if it is there already', () => {
    const standing = [listedAs('summary', 's-1', positionOf(2) + 1)];
    const facts = factsOf({
      source,
      existing,
      sequence: 2,
      derived: { source: [summary], existing: standing },
    });
    expect(planCopy(facts)).toMatchObject({ creates: [], moves: [], retags: [], deletes: [], vanished: [] });
  });

  test.each([
    { name: 'it has changed', text: 'older summary', position: positionOf(2) + 1 },
    { name: 'items were written behind it', text: 'summary', position: positionOf(1) + 1 },
    { name: 'its tag is missing', text: 'summary', position: positionOf(2) + 1, dueTags: ['summary'] },
  ])('is replaced where $name', ({ text, position, dueTags }) => {
    const stale = { ...listedAs(text, 's-1', position), ...(dueTags && { dueTags }) };
    const plan = planCopy(
      factsOf({ source, existing, sequence: 2, derived: { source: [summary], existing: [stale] } }),
    );
    expect(plan.deletes).toEqual([stale.memory]);
    expect(plan.creates).toEqual([{ item: summary, position: positionOf(2) + 1 }]);
  });
});

test('an item’s identity does not depend on the order or the spacing of its members', () => {
  const one = digestOfFields({ role: '"user"', metadata: '{"a": 1, "b": [1, 2]}' });
  expect(digestOfFields({ metadata: '{"b":[1,2],"a":1}', role: '"user"' })).toBe(one);
  expect(digestOfFields({ metadata: '{"b":[2,1],"a":1}', role: '"user"' })).not.toBe(one);
  expect(digestOfFields({ role: '"user"', metadata: '"{}"' })).not.toBe(
    digestOfFields({ role: '"user"', metadata: '{}' }),
  );
});
