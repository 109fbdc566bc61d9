import { LANE_KEY_LIMIT } from '../../domain/ids.ts';

/** What a caller may send. Over a limit the answer names the field and the limit. */
export const LIMITS = {
  messageBytes: 4 * 1024 * 1024,
  /** Of a whole message. More would hold up all other callers for longer; a batch of vectors has a value for each eight bytes. */
  values: 500_000,
  /** Of a longer message its key is looked at before the rest is parsed. */
  parsedUnidentifiedBytes: 64 * 1024,
  /** Of each member that is looked at first. A longer one counts as absent. */
  senderBytes: 4 * 1024,
  contentBytes: 1024 * 1024,
  /** Nesting of a whole message: PostgreSQL's own recursion ends not far above, and PGlite's stack is smaller. */
  depth: 500,
  idLength: 64,
  memoryTypeLength: 32,
  laneKeyLength: LANE_KEY_LIMIT,
  pageDefault: 50,
  pageMax: 1_000,
  /** Of the contents in one answer: read on where there is a cursor, refused elsewhere. */
  pageBytes: 16 * 1024 * 1024,
  batchOperations: 500,
  /** Longer ones are echoed up to 256 characters and name nothing. */
  requestIdLength: 256,
  /** How long a request may take when its caller does not say. */
  deadlineMs: 10_000,
  deadlineMaxMs: 60_000,
  ttlSeconds: 100 * 365 * 86_400,
  /** Of `older_than`: more than there have been years to be counted. */
  ageSeconds: 100_000_000_000,
  position: Number.MAX_SAFE_INTEGER,
} as const;
