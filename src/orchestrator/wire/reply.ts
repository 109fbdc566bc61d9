import { CrossfadeError, type ErrorCode } from '../../domain/errors.ts';
import { encodeJson, type Json } from '../../domain/json.ts';
import { isKeyProblem } from '../access/refusals.ts';
import { TOO_LARGE } from './limits.ts';
import { refusedValue } from '../memories/refused-operation.ts';

/** The readable parts of a request that its reply repeats. */
export interface Echo {
  readonly action?: string | undefined;
  readonly requestId?: Json | undefined;
}

/** One reply, ready for either front. */
export interface Reply {
  readonly text: string;
  readonly httpStatus: number;
  /** Additional HTTP headers. */
  readonly httpHeaders: Readonly<Record<string, string>>;
}

const HTTP_STATUS: Record<ErrorCode, number> = {
  invalid_request: 400,
  memory_not_found: 404,
  session_not_found: 404,
  permission_denied: 403,
  storage_error: 503,
  search_error: 500,
  validation_error: 422,
  rate_limit_exceeded: 429,
  internal_error: 500,
};
// Reasons with their own HTTP status.
const STATUS_OF_REASON: Readonly<Record<string, number>> = { duplicate: 409, [TOO_LARGE]: 413 };

export function renderSuccess(echo: Echo, data: unknown): Reply {
  return { text: render('success', echo, { data }), httpStatus: 200, httpHeaders: {} };
}

/** The only place that renders a failure as an error of the contract. `details` always has the effect. */
export function renderError(echo: Echo, thrown: unknown): Reply {
  const error = wireErrorOf(thrown);
  const { code, message, reason, effect, details } = error;
  return {
    text: render('error', echo, { error: { code, message, details: { ...details, reason, effect } } }),
    ...httpFactsOf(error),
  };
}

function httpFactsOf({ code, reason, details }: CrossfadeError): Omit<Reply, 'text'> {
  const { retry_after_ms: retryAfterMs } = details;
  if (typeof retryAfterMs === 'number')
    return {
      httpStatus: HTTP_STATUS[code],
      httpHeaders: { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) },
    };
  if (isKeyProblem(reason)) return { httpStatus: 401, httpHeaders: { 'www-authenticate': 'Bearer' } };
  return { httpStatus: STATUS_OF_REASON[reason ?? ''] ?? HTTP_STATUS[code], httpHeaders: {} };
}

/** Converts any failure to a CrossfadeError. An unexpected one contains no details for the caller. */
export function wireErrorOf(thrown: unknown): CrossfadeError {
  if (!(thrown instanceof CrossfadeError))
    return new CrossfadeError('The orchestrator failed', {
      code: 'internal_error',
      effect: 'unknown',
      cause: thrown,
    });
  return refusedValue(thrown) ?? thrown;
}

function render(status: 'success' | 'error', echo: Echo, body: object): string {
  return encodeJson({
    status,
    action: echo.action,
    request_id: echo.requestId ?? null,
    ...body,
    timestamp: new Date().toISOString(),
  });
}
