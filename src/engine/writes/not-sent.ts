import { ConnectionError } from '../../domain/errors.ts';

export function tooLate(): ConnectionError {
  return new ConnectionError('too little of the deadline was left', {
    effect: 'not_applied',
    reason: 'late',
  });
}

/** The service is read-only. A write to a lane that was given up is refused, and so is a relayed request that may be a write. */
export function legacyIsReadOnly(): ConnectionError {
  return new ConnectionError('legacy takes no more requests that may change it', {
    effect: 'not_applied',
    reason: 'read_only',
  });
}

export function asleep(): ConnectionError {
  return new ConnectionError('this replica has had no heartbeat of the others for seconds', {
    effect: 'not_applied',
    reason: 'no_lease',
  });
}
