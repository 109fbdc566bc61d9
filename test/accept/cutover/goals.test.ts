import { expect, test } from 'vitest';
import { type CutoverResult, problemsOf } from './goals.ts';

const PASSED: CutoverResult = {
  operations: 900,
  acknowledged_writes: 400,
  agent_errors: 0,
  flipped: 80,
  flipped_back: 40,
  held_p50_ms: 4,
  held_p99_ms: 60,
  lost: 0,
  duplicated: 0,
  misordered: 0,
  resurrected: 0,
  foreign_found: 3,
  certificate_valid: true,
  seconds: 200,
  agents_p99_ms_before: 20,
  agents_p99_ms_flipping: 60,
  latches_released: 3,
  refused_while_away: 12,
};

test('a run that meets every goal has no problem', () => {
  expect(problemsOf(PASSED)).toEqual([]);
});

test.each<{ wrong: Partial<CutoverResult>; says: string }>([
  { wrong: { lost: 1 }, says: 'lost is 1, not zero' },
  { wrong: { agent_errors: 2 }, says: 'agent_errors is 2, not zero' },
  { wrong: { flipped: 0 }, says: 'flipped is 0' },
  { wrong: { held_p99_ms: 251 }, says: 'held_p99_ms is 251, above 250' },
  { wrong: { held_p99_ms: Number.NaN }, says: 'held_p99_ms is NaN, above 250' },
  { wrong: { latches_released: 7 }, says: 'latches_released is 7, above 6' },
  { wrong: { foreign_found: 2 }, says: 'foreign_found is 2: one writer in each of 3 services' },
  { wrong: { certificate_valid: false }, says: 'a certificate is not valid' },
  {
    wrong: { agents_p99_ms_flipping: 71 },
    says: "agents' p99 is 71 ms while lanes flip, more than 50 ms above 20 ms",
  },
])('a missed goal is named: $says', ({ wrong, says }) => {
  expect(problemsOf({ ...PASSED, ...wrong })).toEqual([says]);
});
