import { describe, expect, test } from 'vitest';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { Both, decide, entry, OWNER } from './contextual-both.ts';
import { listedFields } from './memory-list.ts';

describe('the store', () => {
  test('and the delivered writes show the same list', async () => {
    const both = new Both();
    const said = ['plain', 'ñ😀\u0000', 5, 1.5, null, undefined, [1, 'a'], { b: 1, a: [NaN] }];
    for (const content of said) {
      both.write(entry('code', content, { k: content }));
      both.write(entry(content, 'x', content));
      both.write(decide(content));
    }
    const lane = await both.lane();
    expect(listedFields(both.delivered.list, contextualMemory)).toEqual(
      lane.items.map(({ fields }) => fields),
    );
    expect(lane.derived).toEqual([]);
  });

  test('counts entries, but not decisions, toward the fifty', async () => {
    const both = new Both();
    for (let index = 0; index < 70; index += 1) {
      both.write(entry('code', `${index}`));
      both.write(decide(index));
    }
    const { items, derived } = await both.lane();
    const { lanes } = contextualMemory;
    const { retention } = lanes;
    expect(items.filter(({ fields }) => retention.counts?.(fields) ?? true)).toHaveLength(
      retention.entries ?? 0,
    );
    expect(items).toHaveLength(120);
    expect(derived).toHaveLength(1);
    await both.copy();
    const summaries = both.delivered.list.memories.map((memory) => lanes.derivedFieldsOf?.(memory));
    expect(summaries.filter((fields) => fields !== undefined)).toEqual([derived?.[0]?.fields]);
  });

  test('lists its sessions, and is never read as empty', async () => {
    const { lanes } = contextualMemory;
    const file = (text: string) => ({ jsonFile: () => Promise.resolve(text) });
    expect(await lanes.owners(file('{"sessions":{"a":[],"":[]},"summaries":{"b":{},"a":{}}}'))).toEqual([
      'a',
      'b',
    ]);
    await expect(lanes.owners(file('[]'))).rejects.toThrow('not a JSON object');
    await expect(lanes.owners({})).rejects.toThrow('not configured');
    expect(await lanes.readLegacy(OWNER, file('{"sessions":{}}'), { timeZone: 'UTC' })).toMatchObject({
      exists: false,
      items: [],
    });
  });
});
