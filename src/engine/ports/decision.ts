import type { Backend } from '../../domain/backend.ts';

/** Why a decision is what it is, in closed words. */
export type DecisionReason =
  | 'passthrough'
  | 'not_covered'
  | 'covered'
  | 'legacy_only'
  | 'flag_off'
  | 'flag_on'
  | 'kill_switch'
  /** The flag permits more than the interlocks let through, or than a latch does. */
  | 'interlock'
  | 'latched';

/** What to do with one operation. A plain value: printed, tested without I/O, put on a span. */
export interface Decision {
  /** Whom the agent's answer comes from, as far as the flags permit; the lane's fence may still keep a read on legacy. */
  readonly primary: Backend;
  readonly dualWrite: boolean;
  readonly shadowRead: boolean;
  readonly reason: DecisionReason;
}
