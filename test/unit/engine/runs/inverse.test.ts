import { expect, test } from 'vitest';
import type { SessionId } from '../../../../src/domain/ids.ts';
import { encodeJson } from '../../../../src/domain/json.ts';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import { inverseOf, parseInverse } from '../../../../src/engine/runs/lane-repairer.ts';

const SESSION = 's1' as SessionId;
const write = (action: OrchestratorWrite['action'], payload: object): OrchestratorWrite => ({
  action,
  sessionId: SESSION,
  payload: { ...payload },
});

test('deletes, creates and moves are undone digit for digit, in reverse order', () => {
  const content = '{"n": 12345678901234567890, "f": 1.0}';
  const listed = ['gone', 'moved'].map((id, index) => ({
    fields: {},
    memory: {
      memory_id: id,
      memory_type: 'context',
      content,
      tags: ['t'],
      position: 7 + index,
      created_at: '2026-01-01T00:00:00.000Z',
      source_agent: null,
    },
  }));
  const operations = [
    write('delete', { memory_id: 'gone' }),
    write('update', { memory_id: 'moved', position: 99 }),
    write('create', { memory_id: 'new' }),
    write('bulk_delete', { filter: { position_below: 0 } }),
  ];
  const inverse = parseInverse(inverseOf(operations, listed), SESSION);
  expect(inverse.map(({ action, payload }) => [action, payload['memory_id'], payload['position']])).toEqual([
    ['delete', 'new', undefined],
    ['update', 'moved', 8],
    ['create', 'gone', 7],
  ]);
  expect(encodeJson(inverse[2]?.payload['content'])).toBe(content);
  expect(inverse.every(({ payload }) => payload['suppress_events'] === true)).toBe(true);
});
