import { ValidationError } from '../../domain/errors.ts';
import { LIMITS } from './limits.ts';

/** The reason in the answer; over HTTP the status is 413. */
export const TOO_LARGE = 'too_large';

export function messageTooLarge(): ValidationError {
  return new ValidationError(`The message is too long: the limit is ${LIMITS.messageBytes} bytes`, {
    code: 'invalid_request',
    reason: TOO_LARGE,
    details: { field: 'message', limit: LIMITS.messageBytes },
  });
}
