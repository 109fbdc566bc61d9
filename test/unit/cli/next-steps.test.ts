import { expect, test } from 'vitest';
import { afterReconciliation } from '../../../src/cli/reconcile.ts';
import type { ShownRun } from '../../../src/operator/api/runs.ts';

function ended(counts: Readonly<Record<string, number>>, more: Partial<ShownRun> = {}): ShownRun {
  return {
    run: 7,
    kind: 'reconcile',
    state: 'finished',
    reason: '',
    began_at: '2026-11-22T12:00:00.000Z',
    finished_at: '2026-11-22T12:00:01.000Z',
    request: { services: ['session-memory'], scope: 'changed' },
    lanes: 1,
    lanes_done: 1,
    brake: null,
    survey: {},
    services: { 'session-memory': counts },
    report: null,
    result: null,
    ...more,
  };
}

test('a reconciliation prints the next command for its findings', () => {
  expect(afterReconciliation(ended({ lanes: 2, findings: 3, lost: 1 }), false)).toEqual([
    'next: crossfade repair plan 7 shows what a repair would change',
    'next: crossfade lost list shows 1 item that legacy lost: no repair touches them',
  ]);
  // Nothing but what was lost differs: a plan would be empty.
  expect(afterReconciliation(ended({ lanes: 2, findings: 2, lost: 2 }), false)).toHaveLength(1);
  // The plan stands below, or the repair is made.
  expect(afterReconciliation(ended({ lanes: 2, findings: 1 }), true)).toEqual([]);
  expect(afterReconciliation(ended({ lanes: 2 }), false)).toEqual([]);
});

test('a reconciliation of changed lanes says if no lane has changed', () => {
  const nothing = ended({}, { services: {} });
  expect(afterReconciliation(nothing, false)).toEqual([
    '  nothing to compare: no lane was written to since it was last found equal',
  ]);
  expect(
    afterReconciliation({ ...nothing, request: { services: ['session-memory'], scope: 'full' } }, false),
  ).toEqual([]);
  const unread = { 'session-memory': { not_listed: 'no such file' } };
  expect(afterReconciliation({ ...nothing, survey: unread }, false)).toEqual([]);
  expect(afterReconciliation({ ...nothing, state: 'stopped' }, false)).toEqual([]);
});
