import { ConnectionError } from '../domain/errors.ts';

interface Late<Value> {
  /**
   * What took too long, or the error to throw. A name throws a ConnectionError with effect `not_applied`, so use it only for work
   * without an effect on a backend.
   */
  readonly what: string | (() => Error);
  /** Called with a value that comes later. */
  onLate?(value: Value): void;
}

/** Resolves with the promise's value if it comes in time. Nothing is cancelled. @throws the error of `late.what` */
export function within<Value>(promise: Promise<Value>, ms: number, late: Late<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(
      () => {
        isLate = true;
        reject(typeof late.what === 'string' ? slow(late.what, ms) : late.what());
      },
      Math.max(0, ms),
    );
    promise.then(
      (value) => {
        clearTimeout(timer);
        if (isLate) late.onLate?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

function slow(what: string, ms: number): ConnectionError {
  return new ConnectionError(`${what} took longer than ${Math.round(ms)} ms`, {
    effect: 'not_applied',
    reason: 'slow',
  });
}
