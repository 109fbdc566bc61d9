/** How a request to Unleash ended, in closed words. */
export const UNLEASH_RESULTS = [
  'ok',
  'not_modified',
  'unauthorized',
  'forbidden',
  'not_found',
  'conflict',
  'rate_limited',
  'refused',
  'server_error',
  'timeout',
  'unreachable',
  'malformed',
] as const;

export type UnleashResult = (typeof UNLEASH_RESULTS)[number];

/** Which API: flags are read through `client`, and changed through `admin`. */
export type UnleashApi = 'client' | 'admin';

/** Told of every request, whatever became of it. */
export type OnUnleashAnswer = (api: UnleashApi, result: UnleashResult) => void;

/** Why a request to Unleash came to nothing, in words that hold no token. */
export class UnleashError extends Error {
  readonly result: UnleashResult;

  constructor(result: UnleashResult, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'UnleashError';
    this.result = result;
  }
}

const RESULTS: Readonly<Record<number, UnleashResult>> = {
  304: 'not_modified',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  429: 'rate_limited',
};

export function resultOf(status: number): UnleashResult {
  if (status >= 200 && status < 300) return 'ok';
  return RESULTS[status] ?? (status >= 500 ? 'server_error' : 'refused');
}

/** What `fetch`, or the reading of a body, threw: late, or not reached. */
export function failureOf(url: string, cause: unknown, timeoutMs: number): UnleashError {
  const isLate = cause instanceof Error && cause.name === 'TimeoutError';
  if (isLate) return new UnleashError('timeout', `${url} did not answer within ${timeoutMs} ms`, { cause });
  return new UnleashError('unreachable', `${url} cannot be reached: ${reasonOf(cause)}`, { cause });
}

/** fetch says only "fetch failed"; what failed is its cause. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause ? String(cause.code) : cause.message;
}
