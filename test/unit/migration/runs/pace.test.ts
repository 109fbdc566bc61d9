import { expect, test } from 'vitest';
import { Pace } from '../../../../src/migration/runs/pace.ts';

/** A clock that only moves when it is told to, or slept on. */
function paceAt(settings: { live?: () => number; calm?: number; line?: () => number; rate?: number }) {
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
    liveP95: () => settings.live?.(),
    calmP95: settings.calm,
    embeddingLine: () => settings.line?.() ?? 0,
    rate: settings.rate,
  });
  const pass = (ms: number): void => {
    nowMs += ms;
  };
  return { pace, pass, now: () => nowMs };
}

const nothing = async (): Promise<number> => 0;

test('within a second of agents waiting 20 % longer, an eighth of the lanes is under way', async () => {
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

test('a long line of memories to embed slows it too', () => {
  const { pace, pass } = paceAt({ line: () => 5_001 });
  pass(250);
  expect(pace.brake).toBe('embeddings_wait');
});

test('a rate is kept over lanes of any size', async () => {
  const { pace, now } = paceAt({ rate: 100 });
  for (const items of [10, 300, 1, 89]) await pace.after(async () => items);
  expect(now()).toBe(4_000);
});
