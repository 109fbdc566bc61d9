import { expect, test } from 'vitest';
import {
  aside,
  code,
  column,
  counts,
  instant,
  link,
  mark,
  rate,
  remark,
  section,
  tableOf,
  times,
} from '../../../../src/operator/views/document.ts';
import { sectionsText } from '../../../../src/operator/views/terminal.ts';

const AT = '2026-01-01T00:00:00.000Z';
const NONE = { empty: 'No rows yet', advice: 'Add one.' };

test('columns are aligned, numbers on the right, and an empty cell is a dash', () => {
  const rows = [
    { name: 'a', times: 1_234, at: AT, who: 'ann' },
    { name: 'longer', times: 5, at: null, who: '' },
  ];
  const table = tableOf(
    rows,
    [
      column('name', ({ name }) => name),
      counts('times', ({ times: number }) => number),
      times('at', ({ at }) => at),
      column('who', ({ who }) => who),
    ],
    NONE,
  );
  expect(sectionsText([section('Rows', table)]).split('\n')).toEqual([
    'name    times  at                        who',
    `a       1,234  ${AT}  ann`,
    'longer      5  –                         –',
  ]);
});

test('every piece is plain text, and asides are in parentheses', () => {
  const cell = [
    mark('dirty', 'warn'),
    ', ',
    code('get_context'),
    ' of ',
    link('run 3', '/runs/3'),
    aside('since ', instant(AT)),
    aside(rate(0.25)),
  ];
  expect(sectionsText([section('Lane', remark(...cell))])).toBe(
    `dirty, get_context of run 3 (since ${AT}; 25 %)`,
  );
  expect(sectionsText([section('Lane', remark(aside('nothing else')))])).toBe('nothing else');
});

test('an empty table is its words, and several sections have titles', () => {
  const empty = tableOf([], [], NONE);
  expect(sectionsText([section('Rows', empty)])).toBe('No rows yet. Add one.');
  expect(sectionsText([section('One', remark('first')), section('Two', empty)])).toBe(
    'One\n  first\n\nTwo\n  No rows yet. Add one.',
  );
});
