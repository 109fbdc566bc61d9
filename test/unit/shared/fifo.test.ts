import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { Fifo } from '../../../src/shared/fair-queue.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('removed items are freed, however many still wait', async () => {
  const queue = new Fifo<object>();
  const items = Array.from({ length: 100 }, () => ({}));
  const left = items.slice(0, 60).map((item) => new WeakRef(item));
  for (const item of items.splice(0)) queue.push(item);
  for (const _ of left) queue.shift();
  await nextTurn();
  collectGarbage();
  expect(left.filter((item) => item.deref() !== undefined)).toEqual([]);
  expect(queue.size).toBe(40);
});
