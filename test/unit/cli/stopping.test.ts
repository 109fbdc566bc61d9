import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { stoppedVisibly } from '../../../src/cli/run.ts';
import { inOrder } from '../../../src/shared/parts.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** Two parts, of which the first to stop waits until it is let go. */
async function slowly() {
  const letGo = Promise.withResolvers<undefined>();
  const running = inOrder([
    { name: 'journal', start: async () => undefined, stop: async () => undefined },
    { name: 'migration', start: async () => undefined, stop: () => letGo.promise },
  ]);
  await running.start();
  return { running, letGo: () => letGo.resolve(undefined) };
}

function terminalThat(isTTY: boolean) {
  const texts: string[] = [];
  return { isTTY, texts, write: (text: string) => void texts.push(text) };
}

test('on a terminal a stop prints every second what it waits for, and its end', async () => {
  const { running, letGo } = await slowly();
  const terminal = terminalThat(true);
  const stopped = stoppedVisibly(running, terminal);
  vi.advanceTimersByTime(2_000);
  letGo();
  await stopped;
  expect(terminal.texts).toEqual([
    'Waiting for: migration (1 s)\n',
    'Waiting for: migration (2 s)\n',
    'Stopped after 2 s.\n',
  ]);
});

test('without a terminal a stop prints only log lines', async () => {
  const { running, letGo } = await slowly();
  const terminal = terminalThat(false);
  const stopped = stoppedVisibly(running, terminal);
  vi.advanceTimersByTime(3_000);
  letGo();
  await stopped;
  expect(terminal.texts).toEqual([]);
});
