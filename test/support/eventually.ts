import { setTimeout as sleep } from 'node:timers/promises';

const PAUSE_MS = 25;
// Whoever waits for what comes anyway loses nothing by patience: a machine may be four times slower than the one this was written on.
const PATIENCE_MS = 60_000;

/**
 * Looks again and again until `look` returns something else than undefined or false, and returns that.
 * @throws Error that names what did not happen, after `withinMs`
 */
export async function eventually<Found>(
  what: string,
  look: () => Found | Promise<Found>,
  withinMs = PATIENCE_MS,
): Promise<Exclude<Found, undefined | false>> {
  const lastAtMs = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as Exclude<Found, undefined | false>;
    if (performance.now() > lastAtMs) throw new Error(`${what}: not so within ${withinMs} ms`);
    await sleep(PAUSE_MS);
  }
}
