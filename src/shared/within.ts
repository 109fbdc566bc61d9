import { ConnectionError } from '../domain/errors.ts';

/**
 * Resolves with the promise's value if it comes in time. Nothing is cancelled. A later value is ignored, except by `onLate`.
 * @throws ConnectionError effect `not_applied`, so use it only for work without an effect on a backend
 */
export function within<Value>(
  promise: Promise<Value>,
  ms: number,
  late: { readonly what: string; onLate?(value: Value): void },
): Promise<Value> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(
      () => {
        isLate = true;
        reject(
          new ConnectionError(`${late.what} took longer than ${Math.round(ms)} ms`, {
            effect: 'not_applied',
            reason: 'slow',
          }),
        );
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
