import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../../domain/errors.ts';
import { backoffMs } from '../../shared/backoff.ts';

const RETRY = { firstMs: 500, longestMs: 60_000 };

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
  let failures = 0;
  while (!signal.aborted) {
    try {
      await work();
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      onFailure(messageOf(error));
      failures += 1;
      await rest(backoffMs(failures, RETRY), signal);
    }
  }
}
