import { expect, test } from 'vitest';
import { parseOwner, sessionIdOf } from '../../../../src/domain/ids.ts';
import { positionOf } from '../../../../src/domain/lane.ts';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import { planCopy, type ListedMemory } from '../../../../src/engine/items/copy-plan.ts';
import { laneDeletionOf, type LaneDeletion } from '../../../../src/engine/items/lane-deletion.ts';

const AT = '2026-01-01T00:00:00.000Z';
const BELOW = positionOf(4);
const sessionId = sessionIdOf('notes', parseOwner('o1') ?? expect.fail());

function deleteBy(filter: object): OrchestratorWrite {
  return { action: 'bulk_delete', sessionId, payload: { filter } };
}

function noteOf(key: string, position: number, tags = ['note', `key:${key}`]): ListedMemory {
  const stored = { memory_type: 'context', content: '{}', created_at: AT, source_agent: null };
  return { memory: { ...stored, memory_id: key, tags, position }, fields: { key } };
}

/** What a copy deletes of two notes that the primary shows no more, where the journal holds such a delete. */
function explained(
  filter: object,
  notes = [noteOf('a', positionOf(1)), noteOf('b', positionOf(2))],
): readonly string[] {
  const plan = planCopy({
    source: [],
    existing: notes,
    derived: { source: [], existing: [] },
    sequence: 4,
    deletions: [laneDeletionOf(deleteBy(filter)) ?? ({ below: 0, tags: [] } satisfies LaneDeletion)],
    named: [],
    journaledIds: new Map(),
  });
  expect(plan.deletes.length + plan.vanished.length).toBe(notes.length);
  return plan.deletes.map(({ memory_id }) => memory_id);
}

test('a delete by filter explains exactly what its filter matches', () => {
  expect(explained({ position_below: BELOW })).toEqual(['a', 'b']);
  expect(explained({ position_below: positionOf(2) })).toEqual(['a']);
  expect(explained({ position_below: BELOW, tags: ['note'] })).toEqual(['a', 'b']);
  expect(explained({ position_below: BELOW, tags: ['key:a'] })).toEqual(['a']);
  expect(explained({ position_below: BELOW, tags: ['note', 'key:c'] })).toEqual([]);
  expect(explained({ position_below: BELOW, memory_type: 'context' })).toEqual(['a', 'b']);
  expect(explained({ position_below: BELOW, memory_type: 'conversation' })).toEqual([]);
});

test('a tag that the orchestrator lost counts as present', () => {
  const untagged = { ...noteOf('a', positionOf(1), []), dueTags: ['note', 'key:a'] };
  expect(explained({ position_below: BELOW, tags: ['key:a'] }, [untagged])).toEqual(['a']);
});

test.for([
  ['narrows by what is not understood', deleteBy({ position_below: BELOW, older_than: 60 })],
  ['has no bound', deleteBy({ tags: ['note'] })],
  ['is another operation', { action: 'delete', sessionId, payload: { memory_id: 'a' } }],
] as const)('an item that %s explains nothing', ([, operation]) => {
  expect(laneDeletionOf(operation as OrchestratorWrite)).toBeUndefined();
});
