import { expect, test } from 'vitest';
import { backoffMs } from '../../../src/shared/backoff.ts';

test('each pause is twice as long as the one before, up to the longest', () => {
  const pauses = [1, 2, 3, 4, 5, 1_100].map((failures) =>
    backoffMs(failures, { firstMs: 50, longestMs: 400 }),
  );
  expect(pauses).toEqual([50, 100, 200, 400, 400, 400]);
});

test('pauses without a longest one keep growing', () => {
  expect(backoffMs(8, { firstMs: 1_000 })).toBe(128_000);
});
