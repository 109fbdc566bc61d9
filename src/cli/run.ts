import type { Running } from '../shared/parts.ts';

const WAIT_WORDS_EVERY_MS = 1_000;

/** The stream on which a person may watch. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/**
 * Starts, calls `onReady`, and stops at SIGINT, SIGTERM or when the parent process exits. A second signal exits at once.
 * On a terminal the stop prints what it waits for, and at the end "Stopped".
 */
export async function runUntilStopped(running: Running, onReady: () => void): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    let asked = 0;
    const ask = (): void => {
      asked += 1;
      if (asked > 1) process.exit(130);
      // Work in progress is finished first: a start, or writes that agents wait for.
      if (process.stderr.isTTY)
        process.stderr.write(
          '\nStopping after requests in progress are finished. Press Ctrl-C again to exit at once.\n',
        );
      resolve();
    };
    process.on('SIGINT', ask);
    process.on('SIGTERM', ask);
    // The disconnect below causes this event too, so it must not count as a second signal.
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

/** Stops. On a terminal it prints every second what it waits for, and at the end that it has stopped. */
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
