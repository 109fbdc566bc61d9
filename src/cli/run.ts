import type { Running } from '../parts.ts';

const WAIT_WORDS_EVERY_MS = 1_000;

/** Where a person watches. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Starts, says so, and stops at SIGINT, SIGTERM or when the parent goes. A second signal ends at once.
 * On a terminal the stop says what it waits for, and ends with "Stopped".
 */
export async function runUntilStopped(running: Running, onReady: () => void): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    let asked = 0;
    const ask = (): void => {
      asked += 1;
      if (asked > 1) process.exit(130);
      // What is under way is finished first: a start, or writes that agents wait for.
      if (process.stderr.isTTY)
        process.stderr.write(
          '\nStopping: requests in progress are finished first. Ctrl-C again ends at once.\n',
        );
      resolve();
    };
    process.on('SIGINT', ask);
    process.on('SIGTERM', ask);
    // Our own farewell below comes as this event too: it is no second signal.
    if (process.send !== undefined) process.once('disconnect', resolve);
  });
  const started = running.start().then(() => 'started' as const);
  const first = await Promise.race([started, stopped]);
  if (first === 'started') {
    onReady();
    await stopped;
  } else await started.catch(() => undefined);
  await stoppedVisibly(running, process.stderr);
  if (process.connected) process.disconnect();
}

/** Stops, and on a terminal says every second what it waits for, and at last that it has stopped. */
export async function stoppedVisibly(running: Running, terminal: Terminal): Promise<void> {
  if (terminal.isTTY !== true) return running.stop();
  const beganMs = performance.now();
  const seconds = (): string => ((performance.now() - beganMs) / 1_000).toFixed(0);
  const timer = setInterval(() => {
    const parts = running.waitingFor();
    if (parts.length > 0) terminal.write(`Waiting for: ${parts.join(', ')} (${seconds()} s)\n`);
  }, WAIT_WORDS_EVERY_MS);
  try {
    await running.stop();
  } finally {
    clearInterval(timer);
  }
  terminal.write(`Stopped after ${seconds()} s.\n`);
}
