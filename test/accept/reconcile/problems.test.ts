import { expect, test } from 'vitest';
import { BREAKAGES } from './breakages.ts';
import { problemsOf } from './problems.ts';

const PASSED = {
  items: 1_000,
  backfilled: 1_000,
  broken: 120,
  found: 120,
  false_findings: 0,
  bypass_named: 45,
  repaired: 105,
  lost_on_legacy: BREAKAGES.lost,
  left: BREAKAGES.lost,
  duplicates: 0,
  resurrected: 0,
  unequal: 0,
};

test('a run in which all was found, named and repaired is passed', () => {
  expect(problemsOf(PASSED)).toEqual([]);
});

test.each([
  ['backfilled', 999],
  ['backfilled', 1_001],
  ['found', 119],
  ['false_findings', 1],
  ['bypass_named', 44],
  ['bypass_named', 0],
  ['repaired', 104],
  ['lost_on_legacy', 14],
  ['left', 16],
  ['duplicates', -1],
  ['resurrected', 1],
  ['unequal', 1],
])('%s: %d is a failure', (name, number) => {
  expect(problemsOf({ ...PASSED, [name]: number })).not.toEqual([]);
});

test.each(Object.keys(PASSED))('a result without %s is a failure', (name) => {
  const without: Record<string, number> = { ...PASSED };
  delete without[name];
  expect(problemsOf(without)).not.toEqual([]);
});
