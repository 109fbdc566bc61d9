import fc from '../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { parseOwner, type Owner } from '../../../src/domain/ids.ts';
import type { WriteAction } from '../../../src/domain/service-definition.ts';
import { compareReplies } from '../../../src/engine/compare/compare-replies.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { Delivered, listedFields, message } from './memory-list.ts';
import { exchangesOf } from './recordings.ts';

const RECORDED = exchangesOf('jarvis_memory_pc2', 5598);
const ALICE = parseOwner('alice') as Owner;
const [rules] = Object.values(jarvisMemory.actions).flatMap((action) =>
  action.kind === 'read' && action.legacyOnly === undefined ? [action.rules] : [],
);

function outcomeOf(request: string, reply: string) {
  const action = jarvisMemory.actions[String(message(request).fields['action'])] as WriteAction;
  return action.outcome(message(reply), message(request));
}

const add = (memory: unknown): string => JSON.stringify({ action: 'add_memory', user_id: 'alice', memory });
const ASK = '{"action":"get_memories","user_id":"alice"}';

test('the recorded exchanges are answered like the original', () => {
  const delivered = new Delivered(jarvisMemory);
  const compared: string[] = [];
  for (const { action: name, request, response } of RECORDED) {
    const action = jarvisMemory.actions[name];
    if (action === undefined || action.kind === 'passthrough') continue;
    if (action.owner(message(request)) === undefined) continue;
    if (action.kind === 'write') {
      expect(outcomeOf(request, response)).toBe('applied');
      delivered.write(request, '2026-11-21T01:56:31.080Z');
    } else {
      const orchestrator = delivered.read(request);
      compared.push(
        compareReplies({ legacy: response, orchestrator, rules: rules ?? [] }).comparison.verdict,
      );
    }
  }
  expect(compared).toEqual(['match', 'match', 'match', 'match', 'match', 'match']);
});

test.each([
  ['{"status":"ok"}', 'applied'],
  [
    `{"status":"error","reason":"send_proactive_event() got an unexpected keyword argument 'text'"}`,
    'applied',
  ],
  ['{"status":"error","reason":"[Errno 28] No space left on device"}', 'unknown'],
  ['{}', 'unknown'],
])('%s is %s', (reply, expected) => {
  expect(outcomeOf(add({ type: 'reminder' }), reply)).toBe(expected);
});

test.each([
  ['{}', 'default'],
  ['{"user_id":"alice"}', 'alice'],
  ['{"user_id":null}', undefined],
  ['{"user_id":42}', undefined],
  ['{"user_id":["a"]}', undefined],
])('%s belongs to %s', (text, expected) => {
  expect((jarvisMemory.actions['add_memory'] as WriteAction).owner(message(text))).toBe(expected);
});

test.each([
  [{ type: 'custom_command', trigger_phrase: 'lights' }, 'user_preference'],
  [{ preferences: { color: 'red' } }, 'user_preference'],
  [{ type: 'reminder', text: 'drink water' }, 'context'],
  ['plain', 'context'],
])('%j is kept as %s', (memory, expected) => {
  const delivered = new Delivered(jarvisMemory);
  delivered.write(add(memory));
  expect(delivered.list.memories[0]?.memory_type).toBe(expected);
});

test('any memory is returned unchanged', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 5 }), (memories) => {
      const delivered = new Delivered(jarvisMemory);
      for (const memory of memories) delivered.write(add(memory));
      const reply = JSON.parse(delivered.read(ASK)) as { memories: { memory: unknown }[] };
      expect(reply.memories.map(({ memory }) => JSON.stringify(memory))).toEqual(
        memories.map((memory) => JSON.stringify(memory)),
      );
    }),
  );
  const delivered = new Delivered(jarvisMemory);
  delivered.write(
    '{"action":"add_memory","user_id":"alice","memory":{"n":123456789012345678901234567890,"x":NaN,"f":1000.0}}',
  );
  expect(delivered.read(ASK)).toContain(
    '"memory": {"n": 123456789012345678901234567890, "x": NaN, "f": 1000.0}}',
  );
});

test('lists of any length are read, and a clear ends them', () => {
  const delivered = new Delivered(jarvisMemory);
  for (let index = 0; index < 2_001; index += 1) delivered.write(add(index));
  const count = (): number => (JSON.parse(delivered.read(ASK)) as { memories: unknown[] }).memories.length;
  expect(count()).toBe(2_001);
  delivered.write('{"action":"clear_memories","user_id":"alice"}');
  delivered.write(add('after'));
  expect(count()).toBe(1);
});

describe('the store', () => {
  const context = { timeZone: 'UTC' };
  const memories =
    '[{"timestamp": 1795226191.0797758, "memory": {"type": "reminder", "x": 1.50}}, {"timestamp": 1, "memory": null}]';

  test('is read through the service, and its copy has the service’s own times', async () => {
    const asked: string[] = [];
    const call = (text: string) => {
      asked.push(text);
      return Promise.resolve(message(`{"status": "ok", "memories": ${memories}}`));
    };
    const lane = await jarvisMemory.lanes.readLegacy(ALICE, { call }, context);
    expect(asked).toEqual(['{"action": "get_memories", "user_id": "alice"}']);
    expect(lane.items[0]?.at).toBe('2026-11-21T01:56:31.080Z');
    const delivered = new Delivered(jarvisMemory);
    delivered.list.copy(lane, ALICE, jarvisMemory);
    expect(listedFields(delivered.list, jarvisMemory)).toEqual(lane.items.map(({ fields }) => fields));
    expect(delivered.read(ASK)).toBe(`{"status": "ok", "memories": ${memories.replace('1.50', '1.5')}}`);
  });

  test('that answers an error is not read as empty', async () => {
    const call = () => Promise.resolve(message('{"status": "error", "reason": "x"}'));
    await expect(jarvisMemory.lanes.readLegacy(ALICE, { call }, context)).rejects.toThrow('did not answer');
    await expect(jarvisMemory.lanes.readLegacy(ALICE, {}, context)).rejects.toThrow('neither');
  });

  test('lists its users if its file is known', async () => {
    const jsonFile = () => Promise.resolve(`{"alice": ${memories}, "": []}`);
    expect(await jarvisMemory.lanes.owners({ jsonFile })).toEqual(['alice']);
    expect(await jarvisMemory.lanes.owners({})).toBeUndefined();
    expect((await jarvisMemory.lanes.readLegacy(ALICE, { jsonFile }, context)).items).toHaveLength(2);
  });
});

test('a clear that is delivered late deletes nothing that was added after it', () => {
  const delivered = new Delivered(jarvisMemory);
  const add = (memory: string): string => JSON.stringify({ action: 'add_memory', user_id: 'alice', memory });
  delivered.write(add('before'));
  delivered.sequence = 2;
  delivered.write(add('after'));
  delivered.sequence = 1;
  delivered.write('{"action": "clear_memories", "user_id": "alice"}');
  const { memories } = JSON.parse(delivered.read(ASK)) as { memories: { memory: string }[] };
  expect(memories.map(({ memory }) => memory)).toEqual(['after']);
});
