import { expect, test } from 'vitest';
import { codeLines, linesThatRan, spansOf } from '../coverage/lines.ts';

const SOURCE = `/** A comment. */
import type { A } from './a.ts';
interface B {
  readonly a: A;
}
export function one(b: B): number {
  // Why.
  if (b === undefined) {
    return 1;
  }
  return 2;
}
`;

test('types, comments, blank lines and lone brackets are no lines of code', () => {
  expect(codeLines(SOURCE).map(({ number }) => number)).toEqual([6, 8, 9, 11]);
});

test('a line ran unless the innermost range around it was never entered', () => {
  const lines = codeLines(SOURCE);
  const at = (text: string) => SOURCE.indexOf(text);
  const whole = { startOffset: 0, endOffset: SOURCE.length, count: 1 };
  const body = { startOffset: at('export'), endOffset: SOURCE.length - 1 };
  const branch = { startOffset: at('{\n    return 1'), endOffset: at('  return 2') - 1 };
  const ran = (...ranges: (typeof whole)[]) => [
    ...linesThatRan(lines, { url: '', functions: [{ ranges: [whole] }, { ranges }] }),
  ];
  expect(ran({ ...body, count: 3 }, { ...branch, count: 0 })).toEqual([6, 8, 11]);
  expect(ran({ ...body, count: 3 }, { ...branch, count: 1 })).toEqual([6, 8, 9, 11]);
  expect(ran({ ...body, count: 0 })).toEqual([]);
});

test('lines are listed as spans', () => {
  expect(spansOf([1, 3, 4, 5, 9])).toBe('1, 3-5, 9');
  expect(spansOf([])).toBe('');
});
