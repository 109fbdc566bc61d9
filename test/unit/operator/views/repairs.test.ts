import { expect, test } from 'vitest';
import type { PrintedFinding } from '../../../../src/operator/api/repairs.ts';
import { acceptedWords, planSection, undoneWords } from '../../../../src/operator/views/repairs.ts';
import { sectionText } from '../../../../src/operator/views/terminal.ts';

const NONE = { undone: 0, lost: 0, flipped: 0 };

const planText = (plan: Parameters<typeof planSection>[0]): string => sectionText(planSection(plan));

test('accepting a difference of a stopped lane moves no reads, as the answer reports', () => {
  const accepted = { run: 7, findings: 1 };
  expect(acceptedWords('s/o/1', accepted)).toBe(
    '1 difference of s/o/1, found by run 7, accepted. Its reads may move again.',
  );
  const stopped = acceptedWords('s/o/1', { ...accepted, stopped: 'repair_undone' });
  expect(stopped).not.toContain('may move');
  expect(stopped).toContain('stays stopped (repair undone), so legacy answers its reads');
});

test('a plan ends with the next command, or says that there is nothing to repair', () => {
  const side = { items: 1, digest: '0'.repeat(32) };
  const lane = { service: 's', owner: 'o', findings: [], before: side, after: side };
  const plan = { run: 7, findings: 1, share: 0.001, refusal: null, untouched: NONE, lanes: [lane] };
  expect(planText(plan)).toMatch(
    /\n {2}Apply it with: crossfade repair apply 7 --person NAME --reason TEXT$/,
  );
  expect(planText({ ...plan, refusal: 'too many' })).toMatch(/\n {2}◆ A repair would be refused: too many$/);
  expect(planText({ ...plan, lanes: [] })).toBe('Repair of run 7\n  Nothing to repair.');
  expect(planText({ ...plan, lanes: [], untouched: { undone: 2, lost: 1, flipped: 0 } })).toBe(
    [
      'Repair of run 7',
      '  Nothing to repair.',
      '  2 lanes whose repair was undone: reconcile again, then repair or accept.',
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
  const told = planText({ run: 7, findings: 2, share: 0.001, refusal: null, untouched: NONE, lanes: [lane] });
  expect(
    told
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/))
      .slice(3, 6),
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
    planText({ run: 7, findings: 203, share: 0.1, refusal: null, untouched: NONE, lanes: [many] }),
  ).toContain('And 3 more findings: crossfade repair plan --json shows all.');
});

test('an undo says that legacy answers the reads of its lanes', () => {
  expect(undoneWords(0)).toBe('No lane was changed.');
  expect(undoneWords(1)).toMatch(/^1 lane is as before the repair, and stopped\. Legacy answers its reads/);
});
