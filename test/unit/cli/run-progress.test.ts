import { expect, test } from 'vitest';
import { createRunProgress, type SeenRun } from '../../../src/cli/run-watch.ts';

/** A screen of which every text is kept. */
function screenThat(isTTY: boolean) {
  const texts: string[] = [];
  return { isTTY, texts, write: (text: string) => void texts.push(text) };
}

function watching({ isTTY, json }: { readonly isTTY: boolean; readonly json: boolean }) {
  let nowMs = 0;
  const screen = screenThat(isTTY);
  const lines = screenThat(false);
  const progress = createRunProgress({ json, screen, lines, now: () => nowMs });
  const at = (ms: number, seen: Partial<SeenRun>): void => {
    nowMs = ms;
    progress.show({ run: 7, state: 'running', lanes: 100, lanes_done: 0, brake: null, ...seen });
  };
  return { screen, lines, progress, at };
}

test('a terminal shows a bar that fills, with lanes, rate and time left', () => {
  const { screen, lines, progress, at } = watching({ isTTY: true, json: false });
  at(0, { state: 'listing', lanes: 0 });
  at(1_000, { lanes_done: 0 });
  at(3_000, { lanes_done: 50 });
  at(4_000, { lanes_done: 80, brake: 'agents_wait' });
  progress.end();
  const [listing = '', first = '', half = '', braked = '', cleared] = screen.texts;
  expect(listing).toContain('listing lanes');
  expect(first).toContain('0/100 lanes, 0/s');
  expect(first).not.toContain('left');
  expect(half).toContain('50/100 lanes, 17/s, 3 s left');
  expect(braked).toContain('80/100 lanes, 20/s, 1 s left, slowed: agents wait');
  const filled = [first, half, braked].map((text) => text.split('█').length - 1);
  expect(filled).toEqual([0, 15, 24]);
  expect(screen.texts.every((text) => text.startsWith('\r\u001B[K') && !text.includes('\n'))).toBe(true);
  expect(cleared).toBe('\r\u001B[K');
  expect(lines.texts).toEqual([]);
});

test.each([
  { isTTY: false, json: true },
  { isTTY: true, json: true },
])('with --json there is a JSON line every two seconds and no bar: %o', (where) => {
  const { screen, lines, progress, at } = watching(where);
  at(0, {});
  at(1_999, { lanes_done: 20 });
  at(2_000, { lanes_done: 40, brake: 'embeddings_wait' });
  at(4_000, { lanes_done: 100 });
  progress.end();
  expect(screen.texts).toEqual([]);
  expect(lines.texts.map((line) => JSON.parse(line) as object)).toMatchObject([
    { run: 7, lanes: 100, lanes_done: 0, lanes_per_second: 0, seconds_left: null, brake: null },
    { lanes_done: 40, lanes_per_second: 20, seconds_left: 3, brake: 'embeddings_wait' },
    { lanes_done: 100, lanes_per_second: 25, seconds_left: 0 },
  ]);
  expect(lines.texts.every((line) => line.endsWith('\n'))).toBe(true);
});

test('the rate is that of the last ten seconds', () => {
  const { screen, at } = watching({ isTTY: true, json: false });
  for (let look = 0; look <= 40; look += 1) at(look * 250, { lanes_done: look * 2 });
  for (let look = 41; look <= 80; look += 1) at(look * 250, { lanes_done: 80 });
  expect(screen.texts.at(-1)).toContain('80/100 lanes, 0/s');
});

test('without a terminal and without --json there are lines of text and no JSON', () => {
  const { screen, lines, progress, at } = watching({ isTTY: false, json: false });
  at(0, { state: 'listing', lanes: 0 });
  at(9_999, { lanes_done: 20 });
  at(10_000, { lanes_done: 40, brake: 'agents_wait' });
  progress.end();
  expect(lines.texts).toEqual([]);
  expect(screen.texts).toEqual([
    'run 7: listing lanes, 0/s\n',
    'run 7: 40/100 lanes, 4/s, 15 s left, slowed: agents wait\n',
  ]);
});
