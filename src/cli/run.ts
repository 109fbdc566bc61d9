import type { Running } from '../parts.ts';

/** Starts, says so, and stops at SIGINT, SIGTERM or when the parent goes. A second signal ends at once. */
export async function runUntilStopped(running: Running, onReady: () => void): Promise<void> {
  const stopped = new Promise<void>((resolve) => {
    let asked = 0;
    const ask = (): void => {
      asked += 1;
      if (asked > 1) process.exit(130);
      // What is under way is finished first: a start, or writes that agents wait for.
      if (process.stderr.isTTY) console.error('\nStopping; Ctrl-C once more ends it at once.');
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
  await running.stop();
  if (process.connected) process.disconnect();
}
