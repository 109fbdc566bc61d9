import { expect, test } from 'vitest';
import example from '../../../config/examples/reminder-service.ts';
import { parseOwner, type Owner } from '../../../src/domain/ids.ts';
import type { LegacyAccess, WriteAction } from '../../../src/domain/service-definition.ts';
import { compareReplies } from '../../../src/engine/compare/compare-replies.ts';
import { Delivered, listedFields, message } from './memory-list.ts';

const ANN = parseOwner('ann') as Owner;
const CONTEXT = { timeZone: 'UTC' };
const { lanes } = example;

const storing = (text: string): LegacyAccess => ({ jsonFile: async () => text });
const STORE =
  '{"ann": [{"timestamp": 1767268800.5, "reminder": 1000.0}, {"timestamp": "?", "reminder": "tea"}]}';

test('the example reads lanes from the JSON file', async () => {
  const access = storing(STORE);
  const lane = {
    exists: true,
    items: [
      { fields: { reminder: '1000.0' }, timestamp: '1767268800.5', at: '2026-01-01T12:00:00.500Z' },
      {
        fields: { reminder: '"tea"' },
        timestamp: '"?"',
        at: '1970-01-01T00:00:00.000Z',
        isTimeUnknown: true,
      },
    ],
  };
  const ben = parseOwner('ben') as Owner;
  const nothing = { exists: false, items: [] };
  expect(await lanes.owners(access)).toEqual([ANN]);
  expect(await lanes.readLegacy(ANN, access, CONTEXT)).toEqual(lane);
  expect(await lanes.readMany?.([ANN, ben], access, CONTEXT)).toEqual(
    new Map([
      [ANN, lane],
      [ben, nothing],
    ]),
  );
});

test('without a usable JSON file the example reads no empty store', async () => {
  expect(lanes.isReadable?.({})).toBe(false);
  expect(lanes.isReadable?.(storing('{}'))).toBe(true);
  await expect(lanes.readLegacy(ANN, {}, CONTEXT)).rejects.toThrow('legacy.jsonFile of the reminders');
  await expect(lanes.readLegacy(ANN, storing('[]'), CONTEXT)).rejects.toThrow('not a JSON object');
});

test('a delivered reminder is listed as legacy lists it, within the rules', () => {
  const delivered = new Delivered(example);
  const reminders = ['"tea"', '{"at": 5}', '1000.0'];
  for (const reminder of reminders)
    delivered.write(`{"action": "add_reminder", "user_id": "ann", "reminder": ${reminder}}`);
  const { list_reminders: read } = example.actions;
  const rules = read?.kind === 'read' && read.legacyOnly === undefined ? read.rules : [];
  const listed = (seconds: number) =>
    reminders.map((reminder, index) => `{"timestamp": ${seconds + index}.25, "reminder": ${reminder}}`);
  const orchestrator = delivered.read('{"action": "list_reminders", "user_id": "ann"}');
  const verdictAt = (seconds: number) => {
    const legacy = `{"status": "ok", "reminders": [${listed(seconds).join(', ')}]}`;
    return compareReplies({ legacy, orchestrator, rules }).comparison.verdict;
  };
  expect([verdictAt(1_795_226_191), verdictAt(1_795_226_291)]).toEqual(['match', 'mismatch']);
  expect(listedFields(delivered.list, example)).toEqual(reminders.map((reminder) => ({ reminder })));
});

test('a copied reminder gets back its own time, and can be restored', () => {
  const item = { fields: { reminder: '"tea"' }, timestamp: '1767268800.5', at: '2026-01-01T12:00:00.500Z' };
  expect(lanes.createPayload(item, ANN)).toMatchObject({
    content: { text: 'tea', metadata: { legacy_timestamp: '1767268800.5' } },
    tags: ['reminder'],
  });
  expect(lanes.restoreRequest?.(item.fields, ANN)).toBe(
    '{"action":"add_reminder","user_id":"ann","reminder":"tea"}',
  );
});

test.each([
  ['add_reminder', '{"status": "ok"}', 'applied'],
  ['add_reminder', '{"status": "error", "reason": "disk full"}', 'unknown'],
  ['delete_reminder', '{"status": "error", "reason": "Invalid index"}', 'refused'],
  ['delete_reminder', '{}', 'unknown'],
])('the reply to %s %s is %s', (name, reply, expected) => {
  const action = example.actions[name] as WriteAction;
  expect(action.outcome(message(reply), message('{}'))).toBe(expected);
});
