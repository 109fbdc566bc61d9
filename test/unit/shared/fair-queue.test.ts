import { expect, test } from 'vitest';
import { FairQueue, type Caller } from '../../../src/shared/fair-queue.ts';

const MANY = 10_000;

function drained<Item>(queue: FairQueue<Item>): Item[] {
  const items: Item[] = [];
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) items.push(item);
  return items;
}

function flooded(callerOf: (index: number) => Caller): FairQueue<string> {
  const queue = new FairQueue<string>();
  for (let index = 0; index < MANY; index += 1) queue.push(`many ${index}`, callerOf(index));
  return queue;
}

const FLOODS: readonly [string, (index: number) => Caller, Caller][] = [
  ['one connection', () => ['a', 'x', '1'], ['a', 'x', '2']],
  ['many connections of one name', (index) => ['a', 'x', String(index)], ['a', 'y', '1']],
  ['many names of one address', (index) => ['a', String(index), String(index)], ['b', 'x', '1']],
];

test.each(FLOODS)('%s: 10,000 items delay another caller by one', (_, flood, other) => {
  const queue = flooded(flood);
  queue.push('first', other);
  queue.push('second', other);
  expect(drained(queue).flatMap((item, at) => (item.startsWith('many') ? [] : [[item, at]]))).toEqual([
    ['first', 1],
    ['second', 3],
  ]);
});

test.each(FLOODS)('%s: another caller gets half of a full queue', (_, flood, other) => {
  const queue = flooded(flood);
  let displaced = 0;
  while (queue.displace(other) !== undefined) {
    queue.push('other', other);
    displaced += 1;
    expect(queue.size).toBe(MANY);
  }
  expect(displaced).toBe(MANY / 2);
  const items = drained(queue);
  expect(items).toHaveLength(MANY);
  expect(items.filter((item) => item === 'other')).toHaveLength(MANY / 2);
});

test.each(FLOODS)('%s: it displaces no item of another caller', (_, flood, other) => {
  const queue = flooded(flood);
  queue.push('other', other);
  queue.displace(flood(MANY - 1));
  expect(drained(queue)).toContain('other');
});

test('items of one caller stay in order, also if callers are unknown', () => {
  const queue = new FairQueue<number>();
  for (let item = 0; item < 100; item += 1) queue.push(item, item % 2 === 0 ? ['a', 'x', '1'] : undefined);
  expect(queue.removeWhere((item) => item === 50)).toEqual([50]);
  expect(queue.minimum((item) => item)).toBe(0);
  expect(queue.size).toBe(99);
  const items = drained(queue);
  for (const rest of [0, 1]) {
    const own = items.filter((item) => item % 2 === rest);
    expect(own).toEqual(own.toSorted((a, b) => a - b));
  }
  expect(items).toHaveLength(99);
  expect(queue.size).toBe(0);
});

test('a caller without items left is forgotten, and may come again', () => {
  const queue = new FairQueue<string>();
  const [one, other]: Caller[] = [
    ['a', 'x', '1'],
    ['b', 'x', '1'],
  ];
  for (const item of ['1', '2', '3']) queue.push(item, one);
  queue.removeWhere(() => true);
  queue.push('4', one);
  queue.push('5', other);
  expect(drained(queue)).toEqual(['4', '5']);
});
