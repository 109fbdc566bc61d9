import { expect, test } from 'vitest';
import type { ServiceDefinition } from '../../../src/domain/service-definition.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';

/** As somebody stores it who knows what reads ask for, and not our mark. */
function foreign(content: object, tags: readonly string[], memoryType = 'context') {
  return {
    memory_id: 'mem-1',
    memory_type: memoryType,
    content: JSON.stringify(content),
    tags,
    position: 1,
    created_at: '2026-01-01T00:00:00.000Z',
    source_agent: null,
  };
}

test.each([
  ['jarvis-memory', jarvisMemory, foreign({ memory: 'x' }, ['memory'])],
  ['an entry of contextual-memory', contextualMemory, foreign({ text: 'x', type: 'code' }, ['entry'])],
  ['a decision of contextual-memory', contextualMemory, foreign({ text: 'x' }, ['decision'])],
  ['session-memory', sessionMemory, foreign({ text: 'x', role: 'user' }, [], 'conversation')],
] as const)(
  'items that agents see without our marker belong to the lane: %s',
  (_, definition: ServiceDefinition, memory) => {
    expect(definition.lanes.fieldsOf(memory)).toBeDefined();
  },
);

test.each([
  ['jarvis-memory', jarvisMemory, foreign({ memory: 'x' }, ['note'])],
  ['contextual-memory', contextualMemory, foreign({ text: 'x' }, ['note'])],
  ['session-memory', sessionMemory, foreign({ text: 'x', role: 'user' }, ['entry'])],
] as const)('items that no read asks for do not: %s', (_, definition: ServiceDefinition, memory) => {
  expect(definition.lanes.fieldsOf(memory)).toBeUndefined();
});

test('a summary that another writer added counts as a copied one', () => {
  const { lanes } = contextualMemory as ServiceDefinition;
  const summary = foreign({ summary: { code_context: 'x' } }, ['summary']);
  expect([lanes.fieldsOf(summary), lanes.derivedFieldsOf?.(summary)]).toEqual([
    undefined,
    expect.objectContaining({ kind: '"summary"' }),
  ]);
});
