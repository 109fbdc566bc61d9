import { expect, test } from 'vitest';
import { systemClock as clock } from '../../../src/shared/clock.ts';
import { ByteBudget } from '../../../src/frontends/byte-budget.ts';

test('one caller with many requests waiting does not delay another', async () => {
  const budget = new ByteBudget({ limitBytes: 100, patienceMs: 60_000, clock });
  budget.add(100);
  const admitted: string[] = [];
  const take = (name: string): Promise<void> =>
    budget.take(100, 60_000, ['a', name, '1']).then(() => void admitted.push(name));
  for (let index = 0; index < 1_000; index += 1) void take('many');
  const other = take('other');
  budget.give(100);
  budget.give(100);
  await other;
  expect(admitted).toEqual(['many', 'other']);
});

test('a request that was refused takes no room afterwards', async () => {
  const budget = new ByteBudget({ limitBytes: 100, patienceMs: 60_000, clock });
  budget.add(100);
  expect(await budget.take(100, 1)).toBe(false);
  const second = budget.take(60);
  budget.give(100);
  expect(await second).toBe(true);
  expect(budget.hasRoom).toBe(true);
});
