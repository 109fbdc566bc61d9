import { expect, test } from 'vitest';
import { GatheredCalls } from '../../../../src/engine/copies/copy-calls.ts';

/** Calls of at most four entries, which end when the test says so. */
function createCalls(atOnce: number) {
  const sent: { readonly entries: readonly number[]; readonly end: () => void }[] = [];
  const calls = new GatheredCalls<number, number>({
    atOnce,
    isOnesFault: () => false,
    fits: (entries) => entries.length < 4,
    send: (entries) =>
      new Promise((resolve) => {
        sent.push({ entries, end: () => resolve(entries.map((entry) => entry * 10)) });
      }),
  });
  const add = (from: number, to: number): Promise<number>[] =>
    Array.from({ length: to - from + 1 }, (_, index) => calls.add(from + index));
  return { add, sent: () => sent.map(({ entries }) => entries), end: (call: number) => sent[call]?.end() };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

test('full calls are sent at once, up to the limit; the rest gathers', async () => {
  const { add, sent, end } = createCalls(2);
  const results = Promise.all(add(1, 10));
  await turn();
  expect(sent()).toEqual([
    [1, 2, 3, 4],
    [5, 6, 7, 8],
  ]);
  const more = Promise.all(add(11, 11));
  end(0);
  await turn();
  // Not full, and another one is under way.
  expect(sent()).toHaveLength(2);
  end(1);
  await turn();
  expect(sent()[2]).toEqual([9, 10, 11]);
  end(2);
  expect(await results).toEqual([10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
  expect(await more).toEqual([110]);
});

test('a call that gets full while another is under way is sent', async () => {
  const { add, sent, end } = createCalls(2);
  const first = Promise.all(add(1, 1));
  await turn();
  const few = Promise.all(add(2, 4));
  await turn();
  expect(sent()).toEqual([[1]]);
  const rest = Promise.all(add(5, 6));
  await turn();
  expect(sent()).toEqual([[1], [2, 3, 4, 5]]);
  for (const call of [0, 1]) end(call);
  await turn();
  end(2);
  expect(await Promise.all([first, few, rest])).toEqual([[10], [20, 30, 40], [50, 60]]);
});

test('calls are sent one at a time if the limit is one', async () => {
  const { add, sent, end } = createCalls(1);
  const results = Promise.all(add(1, 9));
  for (let ended = 0; ended < 3; ended += 1) {
    await turn();
    expect(sent()).toHaveLength(ended + 1);
    end(ended);
  }
  expect(await results).toHaveLength(9);
});
