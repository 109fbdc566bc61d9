import { expect, test } from 'vitest';
import { digestOfFields, type ListedMemory } from '../../../../src/engine/items/copy-plan.ts';
import { attribute, detailed } from '../../../../src/engine/runs/attribute.ts';

const fieldsOf = (text: string) => ({ role: '"user"', text: JSON.stringify(text) });
const at = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();

function listed(id: string, text: string, second: number, dueTags?: readonly string[]): ListedMemory {
  const memory = { memory_id: id, memory_type: 'context', content: '{}', tags: ['a'], position: second };
  return {
    fields: fieldsOf(text),
    memory: { ...memory, created_at: at(second), source_agent: null, lane_key: 'notes/s1' },
    ...(dueTags !== undefined && { dueTags }),
  };
}

const legacyItem = (text: string, second: number) => ({
  fields: fieldsOf(text),
  timestamp: at(second),
  at: at(second),
});

function foundIn(orchestrator: readonly ListedMemory[], texts: readonly string[], base?: readonly string[]) {
  const { findings, itemsOf } = attribute({
    legacy: texts.map((text, second) => legacyItem(text, second)),
    orchestrator,
    base: base?.map((text) => digestOfFields(fieldsOf(text))),
    laneKey: 'notes/s1',
    writerOf: () => undefined,
  });
  return detailed(findings, itemsOf);
}

test('a missing item is shown by its place, its time and its fields’ shapes', () => {
  const [finding, ...others] = foundIn([listed('m0', 'one', 0)], ['one', 'my secret'], undefined);
  expect(others).toEqual([]);
  expect(finding).toMatchObject({ side: 'unknown', kind: 'removed', at: at(1), place: 2 });
  expect(finding?.beforeFields).toBeUndefined();
  expect(finding?.afterFields?.['text']).toMatch(/^string\(9\)#[0-9a-f]+$/);
});

test('a changed item shows both sides, and no content of either', () => {
  const found = foundIn([listed('m0', 'forged words', 0)], ['true words'], ['true words']);
  expect(found).toMatchObject([
    { side: 'orchestrator', kind: 'altered', memoryId: 'm0', place: 1, at: at(0) },
  ]);
  expect(found[0]?.beforeFields?.['text']).toMatch(/^string\(12\)#/);
  expect(found[0]?.afterFields?.['text']).toMatch(/^string\(10\)#/);
  expect(JSON.stringify(found)).not.toContain('words');
});

test('an item that lacks a tag shows how many tags it has and should have', () => {
  const found = foundIn([listed('m0', 'one', 0, ['a', 'b'])], ['one'], ['one']);
  expect(found).toMatchObject([{ beforeFields: { tags: 'list(1)' }, afterFields: { tags: 'list(2)' } }]);
});

test('with more than 1,000 findings only the first carry fields', () => {
  const texts = Array.from({ length: 1_001 }, (_, index) => `text ${index}`);
  const found = foundIn([], texts);
  expect(found.filter(({ afterFields }) => afterFields !== undefined)).toHaveLength(1_000);
  expect(found[1_000]).toMatchObject({ place: 1_001, at: at(1_000) });
});
