import type { ConnectionError } from '../domain/errors.ts';
import type { LegacyCall, Reply } from '../engine/ports/ports.ts';

/** How long after its deadline a reply is still recognised. */
export const LATE_MS = 60_000;
/** The result of a call for the circuit breaker. */
export type CallOutcome = 'answered' | 'timeout' | 'reset' | 'unreachable';

/** The two callbacks of a call's promise. */
export interface Settle {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: ConnectionError) => void;
}

/**
 * One call from acceptance to its end. `queued`: it is withdrawn at its deadline. `sent`: its effect is unknown until the reply.
 * `late`: its caller no longer waits, but the reply may still come.
 */
export class PendingCall {
  readonly id: number;
  readonly call: LegacyCall;
  readonly resolve: Settle['resolve'];
  readonly reject: Settle['reject'];
  state: 'queued' | 'sent' | 'late' = 'queued';
  sentAtMs = 0;
  dueMs: number;

  constructor(id: number, call: LegacyCall, settle: Settle) {
    this.id = id;
    this.call = call;
    this.resolve = settle.resolve;
    this.reject = settle.reject;
    this.dueMs = call.deadlineAtMs;
  }
}

/** Messages for calls that were never sent. */
export const REFUSALS = {
  unreachable: 'has no connection',
  queue_full: 'has too many calls waiting',
  deadline: 'was not free before the deadline',
  stopped: 'is not running',
} as const;
