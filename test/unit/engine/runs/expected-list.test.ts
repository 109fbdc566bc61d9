import { expect, test } from 'vitest';
import { parseOwner, serviceName, type LaneKey, type OperationId } from '../../../../src/domain/ids.ts';
import { digestOfFields } from '../../../../src/engine/items/copy-plan.ts';
import type { PendingWrite } from '../../../../src/engine/ports/ports.ts';
import { expectedList } from '../../../../src/engine/runs/expected-list.ts';
import { notes } from '../../../sim/legacy/notes-service.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { serviceWith } from '../engine-parts.ts';

const OWNER = parseOwner('s1') ?? expect.fail();
const SERVICE = serviceWith({ name: serviceName('session-memory'), definition: sessionMemory });

function write(sequence: number, request: object, isUncertain = false): PendingWrite {
  const text = JSON.stringify({ session_id: 's1', ...request });
  return {
    laneId: 1,
    lane: 'session-memory/s1' as LaneKey,
    sequence,
    operationId: `00000000-0000-4000-8000-00000000000${sequence}` as OperationId,
    action: (JSON.parse(text) as { action: string }).action,
    request: text,
    acceptedAtMs: 0,
    ...(isUncertain && { isUncertain }),
  };
}

const said = (content: string) => ({ action: 'add_interaction', role: 'user', content });
const fieldsOf = (content: string) => ({
  role: '"user"',
  content: JSON.stringify(content),
  metadata: '{}',
});
const digest = (content: string): string => digestOfFields(fieldsOf(content));
const baseline = { sequence: 1, items: [{ digest: digest('a'), atMs: 0 }] };
const expected = (writes: readonly PendingWrite[] | undefined) =>
  expectedList(SERVICE, OWNER, { baseline, writes, shown: [{ fields: fieldsOf('a') }] });

test('writes since the base are added, and what they cleared is gone', () => {
  expect(expected([])).toEqual([digest('a')]);
  expect(expected([write(2, said('b'))])).toEqual([digest('a'), digest('b')]);
  expect(expected([write(2, { action: 'clear_session' }), write(3, said('c'))])).toEqual([digest('c')]);
});

test('an unknown list is not guessed', () => {
  expect(expected(undefined)).toBeUndefined();
  expect(expectedList(SERVICE, OWNER, { baseline: undefined, writes: [], shown: [] })).toBeUndefined();
  expect(expected([write(2, said('b'), true)])).toBeUndefined();
});

test('items forgotten before an owner began again never count as resurrected', () => {
  const again = { action: 'create_session', user_id: 'u', metadata: {} };
  expect(expected([write(2, again)])).toBeUndefined();
  expect(expected([write(2, { action: 'delete_session' }), write(3, again)])).toEqual([]);
});

test('a replacement under a key keeps every other item, and is in the list', () => {
  const service = serviceWith({ ...SERVICE, definition: notes });
  const note = (key: string, text: string) => ({ key: JSON.stringify(key), text: JSON.stringify(text) });
  const held = [note('a', '1'), note('b', '2'), note('', '3')];
  const afterNotes = (...requests: readonly object[]) =>
    expectedList(service, OWNER, {
      baseline: { sequence: 1, items: held.map((fields) => ({ digest: digestOfFields(fields), atMs: 0 })) },
      writes: requests.map((request, index) => write(2 + index, { owner: 's1', ...request })),
      shown: held.map((fields) => ({ fields })),
    });
  const put = (key: string, text: string) => ({ action: 'put', key, text });
  const digests = (...fields: readonly ReturnType<typeof note>[]) => fields.map(digestOfFields);
  const [, b = expect.fail(), jotted = expect.fail()] = held;
  expect(afterNotes(put('a', '4'))).toEqual(digests(b, jotted, note('a', '4')));
  expect(afterNotes(put('a', '4'), put('a', '5'))).toEqual(digests(b, jotted, note('a', '5')));
  expect(afterNotes({ action: 'remove', key: 'b' })).toEqual(digests(note('a', '1'), jotted));
  expect(afterNotes({ action: 'clear' }, put('b', '6'))).toEqual(digests(note('b', '6')));
});
