/** What is known about the effect of a failed call. Retry and delivery decide by this, and never by a message. */
export type Effect = 'rejected' | 'not_applied' | 'unknown';

/** The orchestrator's error codes, the only ones on its wire. */
export const ERROR_CODES = [
  'invalid_request',
  'memory_not_found',
  'session_not_found',
  'permission_denied',
  'storage_error',
  'search_error',
  'validation_error',
  'rate_limit_exceeded',
  'internal_error',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface FailureFacts {
  readonly code: ErrorCode;
  readonly effect: Effect;
  /** A closed word that refines the code, such as `duplicate` or `timeout`. */
  readonly reason?: string;
  /** Facts for the caller that may be printed: names, limits, times. Never memory content. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * The base class of every expected failure. The class says what failed, the code what the wire carries, the effect what a retry
 * may assume.
 */
export class CrossfadeError extends Error {
  readonly code: ErrorCode;
  readonly effect: Effect;
  readonly reason: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, facts: FailureFacts) {
    super(message, { cause: facts.cause });
    this.name = new.target.name;
    this.code = facts.code;
    this.effect = facts.effect;
    this.reason = facts.reason;
    this.details = facts.details ?? {};
  }
}

interface RefusalFacts {
  readonly code?: ErrorCode;
  readonly reason?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** The content or shape was refused. @defaultValue code `validation_error` */
export class ValidationError extends CrossfadeError {
  constructor(message: string, facts: RefusalFacts = {}) {
    super(message, { code: 'validation_error', effect: 'rejected', ...facts });
  }
}

/** The memory or session is absent. @defaultValue code `memory_not_found` */
export class NotFoundError extends CrossfadeError {
  constructor(message: string, facts: RefusalFacts = {}) {
    super(message, { code: 'memory_not_found', effect: 'rejected', ...facts });
  }
}

/** The id or the idempotency key exists with different content. */
export class DuplicateError extends CrossfadeError {
  constructor(message: string, facts: RefusalFacts = {}) {
    super(message, { code: 'validation_error', effect: 'rejected', reason: 'duplicate', ...facts });
  }
}

interface OutageFacts {
  readonly effect: Exclude<Effect, 'rejected'>;
  readonly reason?: string;
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/** No connection (`not_applied`), or no answer in time (`unknown`). */
export class ConnectionError extends CrossfadeError {
  constructor(message: string, facts: OutageFacts) {
    const reason = facts.effect === 'not_applied' ? 'unreachable' : 'timeout';
    super(message, { code: 'internal_error', reason, ...facts });
  }
}

/** PostgreSQL failed. Never includes its whole error object, which holds parameters and row values. */
export class StorageError extends CrossfadeError {
  constructor(message: string, facts: OutageFacts) {
    super(message, { code: 'storage_error', ...facts });
  }
}

/** Any other failure that a backend reports. */
export class OperationError extends CrossfadeError {}

/** The message of any thrown value, for logs and wrapping. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Why something was refused for good, for a person: the reason, the field, and the limit that the field exceeds. */
export function refusalReasonOf({ reason, details }: CrossfadeError): string {
  const { field, limit } = details;
  const place = typeof field === 'string' ? field : undefined;
  const bound = typeof limit === 'number' ? `limit ${limit}` : undefined;
  return [reason, place, bound].filter((part) => part !== undefined).join(', ');
}
