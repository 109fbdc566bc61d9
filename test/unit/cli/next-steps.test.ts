import { acceptedWords } from '../../../src/cli/repair.ts';
import { expect, test } from 'vitest';
import { afterReconciliation } from '../../../src/cli/reconcile.ts';
import { showPlan } from '../../../src/cli/run-tables.ts';
import type { PrintedFinding } from '../../../src/operator/api/repairs.ts';
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

const NONE = { undone: 0, lost: 0 };

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

test('accepting a difference of a stopped lane moves no reads, as the answer reports', () => {
  const accepted = { run: 7, findings: 1 };
  expect(acceptedWords('s/o/1', accepted)).toBe(
    '1 difference of s/o/1, found by run 7, accepted; its reads may move again',
  );
  const stopped = acceptedWords('s/o/1', { ...accepted, stopped: 'repair_undone' });
  expect(stopped).not.toContain('may move');
  expect(stopped).toContain('stays stopped (repair undone), so legacy answers its reads');
});

test('a plan ends with the next command, or says that there is nothing to repair', () => {
  const side = { items: 1, digest: '0'.repeat(32) };
  const lane = { service: 's', owner: 'o', findings: [], before: side, after: side };
  const plan = { run: 7, findings: 1, share: 0.001, refusal: null, untouched: NONE, lanes: [lane] };
  expect(showPlan(plan)).toMatch(/\nnext: crossfade repair apply 7 --reason TEXT$/);
  expect(showPlan({ ...plan, refusal: 'too many' })).toMatch(/\n {2}apply would be refused: too many$/);
  expect(showPlan({ ...plan, lanes: [] })).toBe('run 7: nothing to repair');
  expect(showPlan({ ...plan, lanes: [], untouched: { undone: 2, lost: 1 } })).toBe(
    [
      'run 7: nothing to repair',
      '  2 lanes whose repair was undone: reconcile again, then repair or accept',
      '  1 lane with lost items: crossfade lost list',
    ].join('\n'),
  );
});

test('a plan shows the id, time, side, finding, before and after of each item', () => {
  const side = { items: 1, digest: '0'.repeat(32) };
  const findings: PrintedFinding[] = [
    {
      side: 'unknown',
      kind: 'removed',
      at: '2026-11-22T19:30:01.000Z',
      place: 3,
      after_fields: { role: 'string(4)#aa', text: 'string(9)#bb' },
    },
    {
      side: 'orchestrator',
      kind: 'altered',
      at: '2026-11-22T19:30:02.000Z',
      memory_id: 'm7',
      before_fields: { role: 'string(4)#aa', text: 'string(6)#cc' },
      after_fields: { role: 'string(4)#aa', text: 'string(9)#dd' },
    },
  ];
  const lane = { service: 's', owner: 'o', findings, before: side, after: side };
  const told = showPlan({ run: 7, findings: 2, share: 0.001, refusal: null, untouched: NONE, lanes: [lane] });
  expect(
    told
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/))
      .slice(2, 5),
  ).toEqual([
    ['item', 'written', 'side', 'finding', 'before', 'after'],
    [
      'item 3 of legacy',
      '2026-11-22T19:30:01.000Z',
      'unknown',
      'Missing on the orchestrator (cause unknown: no earlier baseline)',
      'absent',
      'role string(4)#aa, text string(9)#bb',
    ],
    [
      'm7',
      '2026-11-22T19:30:02.000Z',
      'orchestrator',
      'Changed on the orchestrator',
      'text string(6)#cc',
      'text string(9)#dd',
    ],
  ]);
  const many = {
    ...lane,
    findings: Array.from({ length: 203 }, () => findings[0] ?? lane.findings[0]).filter(
      (one) => one !== undefined,
    ),
  };
  expect(
    showPlan({ run: 7, findings: 203, share: 0.1, refusal: null, untouched: NONE, lanes: [many] }),
  ).toContain('and 3 more findings: --json shows all');
});
