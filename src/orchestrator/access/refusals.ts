import { OperationError } from '../../domain/errors.ts';

/** Why a key is refused. */
export type KeyProblem = 'key_missing' | 'key_unknown' | 'key_revoked' | 'key_expired';

const SAYINGS: Readonly<Record<KeyProblem, string>> = {
  key_missing: 'An API key is required: auth.key of the message, or the Authorization: Bearer header',
  key_unknown: 'Unknown API key',
  key_revoked: 'The API key was revoked',
  key_expired: 'The API key has expired',
};

export function isKeyProblem(reason: string | undefined): reason is KeyProblem {
  return reason !== undefined && Object.hasOwn(SAYINGS, reason);
}

export function keyRefused(problem: KeyProblem): OperationError {
  return new OperationError(SAYINGS[problem], {
    code: 'permission_denied',
    effect: 'rejected',
    reason: problem,
  });
}

/** What a caller requested without permission. */
export type Overreach = 'role' | 'foreign_agent' | 'foreign_memory' | 'foreign_session' | 'foreign_user';

/** `details` contains only values from the request. */
export function denied(
  message: string,
  reason: Overreach,
  details: Readonly<Record<string, unknown>> = {},
): OperationError {
  return new OperationError(message, { code: 'permission_denied', effect: 'rejected', reason, details });
}

export function tooFast(retryAfterMs: number): OperationError {
  return new OperationError(`Too many requests with this key: retry after ${retryAfterMs} ms`, {
    code: 'rate_limit_exceeded',
    effect: 'not_applied',
    details: { retry_after_ms: retryAfterMs },
  });
}
