import { StorageError } from '../../domain/errors.ts';

/** When work must be over, as an instant of `performance.now()`. Infinity: no deadline. */
export type DeadlineMs = number;

export function tooLate(): StorageError {
  return new StorageError('The deadline passed before the database was asked', {
    effect: 'not_applied',
    reason: 'timeout',
  });
}

/** @throws StorageError when it has passed */
export function checkDeadline(atMs: DeadlineMs): void {
  if (performance.now() >= atMs) throw tooLate();
}

// A server's own timeout is changed with a statement of its own. Callers with about the same patience share one value.
const STEPS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000];

// A caller who waits about as long as a statement may take anyway needs no value of its own.
const ABOUT = 0.9;

/** The longest step that ends before the deadline, and no longer than `mostMs`. */
export function statementTimeoutMs(atMs: DeadlineMs, mostMs: number): number {
  const leftMs = atMs - performance.now();
  if (leftMs >= mostMs * ABOUT) return mostMs;
  return STEPS_MS.findLast((step) => step <= leftMs) ?? 1;
}

/** What `waiting` brings, or at the deadline a refusal; `lateArrival` gets what came after that. */
export async function arrivedInTime<T>(
  waiting: Promise<T>,
  atMs: DeadlineMs,
  lateArrival: (value: T) => void,
): Promise<T> {
  if (atMs === Infinity) return waiting;
  let isOver = false;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => {
        isOver = true;
        reject(tooLate());
      },
      Math.max(0, atMs - performance.now()),
    );
  });
  waiting.then((value) => isOver && lateArrival(value)).catch(() => undefined);
  return Promise.race([waiting, over]).finally(() => clearTimeout(timer));
}
