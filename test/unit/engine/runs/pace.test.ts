import { expect, test } from 'vitest';
import { Pace } from '../../../../src/engine/runs/pace.ts';

/** A clock that only moves when it is told to, or slept on. */
function paceAt(settings: {
  live?: () => number;
  few?: () => readonly number[];
  calm?: number;
  lately?: () => number | undefined;
  line?: () => number;
  rate?: number;
  leastRiseMs?: number;
}) {
  let nowMs = 0;
  const clock = {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms: number) => {
      nowMs += ms;
    },
  };
  const pace = new Pace({
    clock,
    most: 8,
    leastRiseMs: settings.leastRiseMs ?? 1,
    liveP95: () => settings.live?.(),
    slower: (thanMs) => {
      const newest = settings.few?.() ?? [];
      return { slower: newest.filter((duration) => duration > thanMs).length, of: newest.length };
    },
    calmP95: settings.calm,
    latelyP95: () => settings.lately?.(),
    embeddingLine: () => settings.line?.() ?? 0,
    rate: settings.rate,
  });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { pace, pass, now: () => nowMs };
}

const nothing = async (): Promise<number> => 0;

test('within a second of 20 % longer waits, an eighth of the lanes is under way', async () => {
  let live = 10;
  const { pace, pass } = paceAt({ live: () => live, calm: 10 });
  expect(pace.width).toBe(8);
  live = 12.5;
  for (let quarter = 0; quarter < 4; quarter += 1) {
    pass(250);
    await pace.after(nothing);
  }
  expect(pace.brake).toBe('agents_wait');
  expect(pace.width).toBe(1);
});

test('an increase up to the least rise never slows the run', async () => {
  let live = 5;
  const { pace, pass } = paceAt({ live: () => live, calm: 5, leastRiseMs: 10 });
  live = 15;
  pass(250);
  await pace.after(nothing);
  expect(pace.brake).toBeUndefined();
  live = 15.5;
  pass(250);
  await pace.after(nothing);
  expect(pace.brake).toBe('agents_wait');
});

test('at three operations per second two slow ones slow the run within a second', async () => {
  let newest = [10, 9, 8];
  const { pace, pass } = paceAt({ few: () => newest, calm: 10 });
  pass(250);
  expect(pace.width).toBe(8);
  newest = [9, 13, 14];
  for (let quarter = 0; quarter < 3; quarter += 1) {
    pass(250);
    await pace.after(nothing);
  }
  expect(pace.brake).toBe('agents_wait');
  expect(pace.width).toBe(1);
  newest = [10, 9, 8];
  pass(250);
  expect(pace.brake).toBeUndefined();
});

test.each<[string, readonly number[], 'agents_wait' | undefined]>([
  ['one alone', [500], undefined],
  ['two of two', [13, 13], 'agents_wait'],
  ['one of two', [13, 10], undefined],
  ['two of four', [13, 13, 10, 10], undefined],
  ['three of four', [13, 13, 13, 10], 'agents_wait'],
  ['three of nine', [13, 13, 13, 9, 9, 9, 9, 9, 9], 'agents_wait'],
  ['three of ten', [13, 13, 13, 9, 9, 9, 9, 9, 9, 9], undefined],
  ['all of nineteen by less than 20 %', Array.from({ length: 19 }, () => 11.9), undefined],
])('%s of few operations', (_name, newest, brake) => {
  const { pace, pass } = paceAt({ few: () => newest, calm: 10 });
  pass(250);
  expect(pace.brake).toBe(brake);
});

test('without earlier traffic, few operations are compared with the reference', () => {
  const remembered: number[] = [];
  const { pace, pass } = paceAt({ few: () => [30, 30, 30], lately: () => remembered[0] });
  pass(250);
  expect(pace.brake).toBeUndefined();
  remembered.push(10);
  pass(250);
  expect(pace.brake).toBe('agents_wait');
});

test('a rise of less than 20 %, or of less than a millisecond, slows nothing', () => {
  const { pace, pass } = paceAt({ live: () => 11.9, calm: 10 });
  pass(1_000);
  expect(pace.width).toBe(8);
  const fast = paceAt({ live: () => 1.4, calm: 0.5 });
  fast.pass(1_000);
  expect(fast.pace.brake).toBeUndefined();
});

test('it speeds up again step by step', async () => {
  let live = 20;
  const { pace, pass, now } = paceAt({ live: () => live, calm: 10 });
  for (let look = 0; look < 8; look += 1) {
    pass(250);
    await pace.after(nothing);
  }
  expect(pace.width).toBe(1);
  const before = now();
  await pace.after(nothing);
  expect(now() - before).toBeGreaterThanOrEqual(100);
  live = 10;
  pass(250);
  expect(pace.width).toBe(2);
  for (let look = 0; look < 8; look += 1) {
    pass(250);
    expect(pace.width).toBeGreaterThan(2);
  }
  expect(pace.width).toBe(8);
});

test('a long queue of embeddings slows it too', () => {
  const { pace, pass } = paceAt({ line: () => 5_001 });
  pass(250);
  expect(pace.brake).toBe('embeddings_wait');
});

test('a rate is kept over lanes of any size', async () => {
  const { pace, now } = paceAt({ rate: 100 });
  for (const items of [10, 300, 1, 89]) await pace.after(async () => items);
  expect(now()).toBe(4_000);
});

test('agents that wait as long without the run do not stop it for minutes', async () => {
  const { pace, pass, now } = paceAt({ live: () => (now() < 1_000 ? 10 : 40), calm: 10 });
  while (now() < 2_000) {
    pass(250);
    await pace.after(nothing);
  }
  expect(pace.brake).toBe('agents_wait');
  while (pace.brake !== undefined && now() < 600_000) {
    pass(250);
    await pace.after(nothing);
  }
  expect(now()).toBeLessThan(90_000);
});

test('agents that wait because of the run slow it for as long as it lasts', async () => {
  // Half as many lanes under way, and they wait no longer.
  const { pace, pass, now } = paceAt({ live: () => (pace.width > 2 ? 40 : 10), calm: 10 });
  let wide = 0;
  let looks = 0;
  while (now() < 1_800_000) {
    pass(250);
    await pace.after(nothing);
    looks += 1;
    if (pace.width > 3) wide += 1;
  }
  expect(wide / looks).toBeLessThan(0.05);
});
