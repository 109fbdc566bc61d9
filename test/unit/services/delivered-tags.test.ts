import fc from '../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { parseOwner } from '../../../src/domain/ids.ts';
import type { ServiceDefinition, StoredMemory } from '../../../src/domain/service-definition.ts';
import { withDueTags } from '../../../src/engine/items/lane-contents.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { Delivered } from './memory-list.ts';

const OWNER = 'ada';
const text = fc.oneof(fc.string(), fc.constantFrom('forgotten', 'decision', 'entry', 'user', 'x'.repeat(80)));
const scalar = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null));
const metadata = fc.option(fc.record({ tags: fc.array(scalar, { maxLength: 3 }) }), { nil: undefined });

const request = (action: string, more: object): string =>
  JSON.stringify({ action, session_id: OWNER, user_id: OWNER, ...more });

/** One write of each kind that makes an item, with whatever agents may put into what becomes a tag. */
const WRITES: readonly (readonly [string, ServiceDefinition, fc.Arbitrary<string>])[] = [
  [
    'session-memory',
    sessionMemory,
    fc.record({ role: scalar, content: text, metadata }).map((item) => request('add_interaction', item)),
  ],
  [
    'contextual-memory',
    contextualMemory,
    fc.oneof(
      fc.record({ type: scalar, content: scalar, metadata }).map((item) => request('add_interaction', item)),
      fc.record({ decision: scalar }).map((item) => request('record_decision', item)),
    ),
  ],
  [
    'jarvis-memory',
    jarvisMemory,
    fc
      .record({ memory: fc.oneof(text, fc.record({ text, type: text })) })
      .map((item) => request('add_memory', item)),
  ],
];

function listed(definition: ServiceDefinition, memory: StoredMemory) {
  const owner = parseOwner(OWNER);
  const fields = definition.lanes.fieldsOf(memory);
  if (owner === undefined || fields === undefined) throw new Error('it is no item of the lane');
  return withDueTags({ memory, fields }, definition.lanes, owner);
}

describe.each(WRITES)('an item of %s', (_, definition, writes) => {
  const delivered = (write: string): StoredMemory => {
    const world = new Delivered(definition);
    world.write(write);
    const [memory] = world.list.memories;
    if (memory === undefined) throw new Error(`nothing is stored for ${write}`);
    return memory;
  };

  test('was delivered with the tags that a copy would give it', () => {
    fc.assert(
      fc.property(writes, (write) => {
        expect(listed(definition, delivered(write)).dueTags).toBeUndefined();
      }),
    );
  });

  test('is recognised without them, and gets them back next to added tags', () => {
    fc.assert(
      fc.property(writes, (write) => {
        const memory = delivered(write);
        const { dueTags } = listed(definition, { ...memory, tags: ['theirs', 'decision', 'entry'] });
        const lost = memory.tags.filter((tag) => !['decision', 'entry'].includes(tag));
        expect(dueTags ?? ['theirs', ...memory.tags]).toEqual(expect.arrayContaining(['theirs', ...lost]));
        const kinds = new Set(definition.lanes.kindTags);
        const shown = (tags: readonly string[]): string[] => tags.filter((tag) => kinds.has(tag));
        if (dueTags !== undefined) expect(shown(dueTags)).toEqual(shown(memory.tags));
      }),
    );
  });
});
