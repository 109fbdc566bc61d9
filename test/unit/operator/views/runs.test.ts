import { expect, test } from 'vitest';
import type { ShownRun } from '../../../../src/operator/api/runs.ts';
import { runsTable } from '../../../../src/operator/views/runs.ts';
import { tableText } from '../../../../src/operator/views/terminal.ts';

const RESULT = {
  differences: 0,
  lanes: 0,
  seen_lanes: 4,
  not_comparable_lanes: 0,
  unresolved_lanes: 0,
  superseded_lanes: 0,
  flipped_lanes: 0,
};
const FOUND = { ...RESULT, differences: 3, lanes: 2 };

function lineOf(
  result: typeof RESULT,
  request: ShownRun['request'] = { services: ['jarvis-memory'] },
): string {
  const run: ShownRun = {
    run: 1,
    kind: 'reconcile',
    state: 'finished',
    reason: '',
    began_at: '2026-11-22T12:00:00.000Z',
    finished_at: '2026-11-22T12:00:01.000Z',
    request,
    lanes: 0,
    lanes_done: 0,
    brake: null,
    survey: {},
    services: {},
    report: null,
    result,
  };
  return tableText(runsTable([run])).split('\n')[1] ?? '';
}

test.each([
  ['equal', RESULT],
  ['no lane compared (4 lanes not comparable)', { ...RESULT, not_comparable_lanes: 4 }],
  ['equal (1 lane not comparable)', { ...RESULT, not_comparable_lanes: 1 }],
  ['no lane to compare', { ...RESULT, seen_lanes: 0 }],
  ['3 differences in 2 lanes (all resolved)', FOUND],
  ['3 differences in 2 lanes', { ...FOUND, unresolved_lanes: 2 }],
  ['3 differences in 2 lanes (1 still differs)', { ...FOUND, unresolved_lanes: 1 }],
  ['3 differences in 2 lanes (superseded by a later run)', { ...FOUND, superseded_lanes: 2 }],
  ['3 differences in 2 lanes (1 superseded by a later run)', { ...FOUND, superseded_lanes: 1 }],
])('runs list shows the result "%s"', (words, result) => {
  expect(lineOf(result).replaceAll(/ {2,}/g, '  ')).toContain(
    `reconcile 1  finished  ${words}  jarvis-memory  2026`,
  );
});

test('runs list shows that a run for one owner found no lane', () => {
  const request = { services: ['jarvis-memory'], owner: 'anna' };
  expect(lineOf({ ...RESULT, seen_lanes: 0 }, request)).toContain(
    'finished  no lane of this owner  jarvis-memory, anna  2026',
  );
});

test('a run shows how long it took, and the person with the reason', () => {
  const request = { services: ['jarvis-memory'], person: 'ann', reason: 'to see' };
  expect(lineOf(RESULT, request)).toMatch(/2026-11-22T12:00:00.000Z {2}1 s {3}ann \(to see\)$/);
});
