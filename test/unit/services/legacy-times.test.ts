import { expect, test } from 'vitest';
import type { LegacyItem, StoredMemory } from '../../../src/domain/service-definition.ts';
import { encodeJson } from '../../../src/domain/json.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { ownerNamed } from '../engine/engine-parts.ts';

const AT = '2026-01-01T12:00:00.123Z';
const OWNER = ownerNamed('ann');
const NUMBERS = '[1e16, 1000.0, 12345678901234567890, NaN]';

const CASES = [
  {
    definition: sessionMemory,
    timestamp: '2026-01-01T13:00:00.123456',
    fields: { role: '"user"', content: '"tea"', metadata: `{"n": ${NUMBERS}}` },
  },
  {
    definition: contextualMemory,
    timestamp: '1767268800.123456',
    fields: { kind: '"entry"', type: '"user_query"', content: '"tea"', metadata: NUMBERS },
  },
  { definition: jarvisMemory, timestamp: '1767268800.123456', fields: { memory: NUMBERS } },
];

/** What the orchestrator shows of an item that a copy has written under a time. */
function storedAs(
  { definition: { lanes }, fields }: (typeof CASES)[number],
  timestamp: string,
): StoredMemory {
  const item: LegacyItem = { fields: fields as Record<string, string>, timestamp, at: AT };
  const { memory_type, content, tags } = lanes.createPayload(item, OWNER);
  const place = { memory_id: 'm-1', position: 1, created_at: AT, source_agent: null };
  return {
    ...place,
    memory_type: memory_type as string,
    tags: tags as readonly string[],
    content: encodeJson(content),
  };
}

test.each(CASES)('$definition.name: an item adopts a time and keeps everything else', (facts) => {
  const { lanes } = facts.definition;
  const item: LegacyItem = { fields: facts.fields as never, timestamp: facts.timestamp, at: AT };
  const retimed = lanes.retime?.(storedAs(facts, 'another'), item);
  const wanted = storedAs(facts, facts.timestamp);
  expect(retimed).toMatchObject({ created_at: AT });
  const taken = { ...wanted, content: encodeJson(retimed?.['content']) };
  expect(taken.content).toContain('12345678901234567890');
  expect(lanes.fieldsOf(taken)).toEqual(lanes.fieldsOf(wanted));
  expect(lanes.retime?.(taken, item)).toBeUndefined();
});

test.each(CASES)('$definition.name: a text that is not a time is not adopted', (facts) => {
  const item: LegacyItem = {
    fields: facts.fields as never,
    timestamp: 'soon',
    at: AT,
    isTimeUnknown: true,
  };
  expect(facts.definition.lanes.retime?.(storedAs(facts, 'another'), item)).toBeUndefined();
});

test('an item that has no room for its time keeps the time it has', () => {
  const [facts] = CASES;
  if (facts === undefined) throw new Error('no case');
  const item: LegacyItem = { fields: facts.fields as never, timestamp: facts.timestamp, at: AT };
  const stored = storedAs(facts, 'x');
  const long = encodeJson({
    ...(JSON.parse(stored.content.replace('NaN', '0')) as object),
    text: 'x'.repeat(2 ** 20 - 100),
  });
  expect(facts.definition.lanes.retime?.({ ...stored, content: long }, item)).toBeUndefined();
});
