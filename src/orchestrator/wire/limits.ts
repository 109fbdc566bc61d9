import { LANE_KEY_LIMIT } from '../../domain/ids.ts';
import { ValidationError } from '../../domain/errors.ts';

/** Limits of requests. An answer about an exceeded limit contains the field and the limit. */
export const LIMITS = {
  messageBytes: 4 * 1024 * 1024,
  /** JSON values of a whole message. More would delay other callers for longer; a batch of vectors has a value per eight bytes. */
  values: 500_000,
  /** For a longer message the key is checked before the rest is parsed. */
  parsedUnidentifiedBytes: 64 * 1024,
  /** Limit of each member that identifies the sender. A longer one counts as absent. */
  senderBytes: 4 * 1024,
  contentBytes: 1024 * 1024,
  /** Nesting of a whole message. PostgreSQL's own limit is not much higher, and PGlite's stack is smaller. */
  depth: 500,
  idLength: 64,
  memoryTypeLength: 32,
  laneKeyLength: LANE_KEY_LIMIT,
  pageDefault: 50,
  pageMax: 1_000,
  /** Size of the contents in one answer. With a cursor the next page continues; otherwise the request is refused. */
  pageBytes: 16 * 1024 * 1024,
  batchOperations: 500,
  /** Preconditions of a batch. */
  requirements: 100,
  /** The answer of a write with an `operation_id`, which its lane keeps. */
  keptAnswerBytes: 64 * 1024,
  /** Longer ids are returned cut to 256 characters, and do not identify a write. */
  requestIdLength: 256,
  /** Default deadline of a request. */
  deadlineMs: 10_000,
  deadlineMaxMs: 60_000,
  ttlSeconds: 100 * 365 * 86_400,
  /** Limit of `older_than`, larger than any real age. */
  ageSeconds: 100_000_000_000,
  position: Number.MAX_SAFE_INTEGER,
} as const;

/** The reason in the answer; over HTTP the status is 413. */
export const TOO_LARGE = 'too_large';

export function messageTooLarge(): ValidationError {
  return new ValidationError(`The message is too long: the limit is ${LIMITS.messageBytes} bytes`, {
    code: 'invalid_request',
    reason: TOO_LARGE,
    details: { field: 'message', limit: LIMITS.messageBytes },
  });
}
