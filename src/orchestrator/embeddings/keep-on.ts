import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../domain/errors.ts';

const FIRST_REST_MS = 500;
const LONGEST_REST_MS = 60_000;

/** Resolves early, and without an error, when the signal ends. */
export async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal, ref: false }).catch(() => undefined);
}

/** Repeats work until the signal ends, with increasing pauses after failures. */
export async function keepOn(
  work: () => Promise<void>,
  signal: AbortSignal,
  onFailure: (message: string) => void,
): Promise<void> {
  let restMs = FIRST_REST_MS;
  while (!signal.aborted) {
    try {
      await work();
      restMs = FIRST_REST_MS;
    } catch (error) {
      if (signal.aborted) return;
      onFailure(messageOf(error));
      await rest(restMs, signal);
      restMs = Math.min(LONGEST_REST_MS, restMs * 2);
    }
  }
}
