import { describe, expect, test } from 'vitest';
import { digestOfFields, type ListedMemory } from '../../../../src/engine/items/copy-plan.ts';
import { notRestorable, type RestoringFacts } from '../../../../src/engine/runs/restorable.ts';

const item = (id: string, text: string, position = 1): ListedMemory => ({
  memory: {
    memory_id: id,
    memory_type: 'conversation',
    content: '{}',
    tags: [],
    position,
    created_at: '2026-01-01T00:00:00.000Z',
    source_agent: null,
  },
  fields: { text },
});
const shown = (...texts: string[]): RestoringFacts['source'] =>
  texts.map((text) => ({ fields: { text }, at: '2026-01-01T00:00:00.000Z', timestamp: '' }));

function judge(facts: Partial<RestoringFacts> & Pick<RestoringFacts, 'listed' | 'source'>) {
  const wanted = new Set(['lost', 'other']);
  const journaled = { deletions: [], named: [], ids: new Map() };
  return notRestorable({ wanted, waiting: wanted, journaled, ...facts });
}

describe('a lost item', () => {
  test('is sent where legacy does not show it', () => {
    const { deleted, back } = judge({ listed: [item('lost', 'a'), item('kept', 'b')], source: shown('b') });
    expect({ deleted, back: [...back] }).toEqual({ deleted: [], back: [] });
  });

  test('is not sent where legacy shows it again', () => {
    const { back } = judge({ listed: [item('lost', 'a'), item('other', 'b')], source: shown('a') });
    expect([...back]).toEqual(['lost']);
  });

  test('is sent where legacy shows only its equal that was never lost', () => {
    const { back } = judge({ listed: [item('kept', 'a'), item('lost', 'a')], source: shown('a') });
    expect([...back]).toEqual([]);
  });

  test('is sent where the equal item was written since and is not delivered', () => {
    const ids = new Map([[digestOfFields({ text: 'a' }), ['new']]]);
    const { back } = judge({
      listed: [item('lost', 'a')],
      source: shown('a'),
      journaled: { deletions: [], named: [], ids },
    });
    expect([...back]).toEqual([]);
  });

  test('is not sent where an agent deleted it since', () => {
    const named = [{ digest: digestOfFields({ text: 'a' }), newer: 0 }];
    const { deleted } = judge({
      listed: [item('lost', 'a'), item('other', 'b')],
      source: [],
      journaled: { deletions: [], named, ids: new Map() },
    });
    expect(deleted).toEqual(['lost']);
  });
});
