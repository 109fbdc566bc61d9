/** The possible results of a request to Unleash. */
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

/** The API: `client` reads flags, `admin` changes them. */
export type UnleashApi = 'client' | 'admin';

/** Called for every request, with its result. */
export type OnUnleashAnswer = (api: UnleashApi, result: UnleashResult) => void;

/** Why a request to Unleash failed. The message contains no token. */
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

/** Converts an error of `fetch`, or of reading a body: a timeout, or an unreachable server. */
export function failureOf(url: string, cause: unknown, timeoutMs: number): UnleashError {
  const isLate = cause instanceof Error && cause.name === 'TimeoutError';
  if (isLate) return new UnleashError('timeout', `${url} did not answer within ${timeoutMs} ms`, { cause });
  return new UnleashError('unreachable', `${url} cannot be reached: ${reasonOf(cause)}`, { cause });
}

/** The message of fetch is only "fetch failed"; its cause has the reason. */
function reasonOf(thrown: unknown): string {
  const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (!(cause instanceof Error)) return String(cause);
  return 'code' in cause ? String(cause.code) : cause.message;
}
