import { expect, test } from 'vitest';
import { parseOwner, serviceName, type LaneKey, type OperationId } from '../../../../src/domain/ids.ts';
import { digestOfFields } from '../../../../src/migration/copies/copy-plan.ts';
import type { PendingWrite } from '../../../../src/migration/ports.ts';
import { expectedList } from '../../../../src/migration/reconciliation/expected-list.ts';
import type { ServiceRuntime } from '../../../../src/migration/service-runtime.ts';
import { sessionMemory } from '../../../../src/services/session-memory.ts';

const OWNER = parseOwner('s1') ?? expect.fail();
const SERVICE = {
  name: serviceName('session-memory'),
  definition: sessionMemory,
  context: { timeZone: 'UTC' },
} as unknown as ServiceRuntime;

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
const digest = (content: string): string =>
  digestOfFields({ role: '"user"', content: JSON.stringify(content), metadata: '{}' });
const baseline = { sequence: 1, items: [{ digest: digest('a'), atMs: 0 }] };
const expected = (writes: readonly PendingWrite[] | undefined) =>
  expectedList(SERVICE, OWNER, { baseline, writes });

test('writes since both sides were equal are added, and what they cleared is gone', () => {
  expect(expected([])).toEqual([digest('a')]);
  expect(expected([write(2, said('b'))])).toEqual([digest('a'), digest('b')]);
  expect(expected([write(2, { action: 'clear_session' }), write(3, said('c'))])).toEqual([digest('c')]);
});

test('where it cannot be told it is not guessed', () => {
  expect(expected(undefined)).toBeUndefined();
  expect(expectedList(SERVICE, OWNER, { baseline: undefined, writes: [] })).toBeUndefined();
  expect(expected([write(2, said('b'), true)])).toBeUndefined();
});

test('what a service had forgotten before an owner began again never counts as come back', () => {
  const again = { action: 'create_session', user_id: 'u', metadata: {} };
  expect(expected([write(2, again)])).toBeUndefined();
  expect(expected([write(2, { action: 'delete_session' }), write(3, again)])).toEqual([]);
});
