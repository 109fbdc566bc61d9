import { StorageError } from '../../domain/errors.ts';
import { within } from '../../shared/within.ts';

/** The end of the available time, as an instant of `performance.now()`. Infinity: no deadline. */
export type DeadlineMs = number;

export function tooLate(): StorageError {
  return new StorageError('The deadline passed before the query was sent', {
    effect: 'not_applied',
    reason: 'timeout',
  });
}

/** @throws StorageError when it has passed */
export function checkDeadline(atMs: DeadlineMs): void {
  if (performance.now() >= atMs) throw tooLate();
}

// Changing the server's timeout takes one more statement, so callers with similar deadlines share one value.
const STEPS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

// A caller that waits about as long as the default timeout needs no own value.
const ABOUT = 0.9;

/** The longest step that ends before the deadline, at most `mostMs`. */
export function statementTimeoutMs(atMs: DeadlineMs, mostMs: number): number {
  const leftMs = atMs - performance.now();
  if (leftMs >= mostMs * ABOUT) return mostMs;
  return STEPS_MS.findLast((step) => step <= leftMs) ?? 1;
}

/** The result of `waiting`, or an error at the deadline. `lateArrival` gets a result that comes later. */
export function arrivedInTime<T>(
  waiting: Promise<T>,
  atMs: DeadlineMs,
  lateArrival: (value: T) => void,
): Promise<T> {
  if (atMs === Infinity) return waiting;
  return within(waiting, atMs - performance.now(), { what: tooLate, onLate: lateArrival });
}
