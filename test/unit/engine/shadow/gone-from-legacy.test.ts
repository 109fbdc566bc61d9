import { expect, test } from 'vitest';
import type { Comparison } from '../../../../src/domain/comparison.ts';
import { showsLess } from '../../../../src/engine/shadow/shadow-task.ts';

const EXTRA: Comparison = {
  verdict: 'mismatch',
  differences: [{ path: 'context[0]', class: 'extra_in_orchestrator' } as Comparison['differences'][number]],
  suppressed: 0,
};

test('only an answer with items that legacy lacks asks for an explanation', () => {
  expect(showsLess(EXTRA)).toBe(true);
  const altered = { ...EXTRA.differences[0], class: 'value' } as Comparison['differences'][number];
  expect(showsLess({ ...EXTRA, differences: [...EXTRA.differences, altered] })).toBe(false);
});

test('a deleted item that the orchestrator shows again is never explained', () => {
  expect(showsLess({ ...EXTRA, deletedReturned: 1 })).toBe(false);
});
