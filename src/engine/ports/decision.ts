import type { Backend } from '../../domain/backend.ts';

/** The reason of a decision, as closed words. */
export type DecisionReason =
  | 'passthrough'
  | 'not_covered'
  | 'covered'
  | 'legacy_only'
  | 'flag_off'
  | 'flag_on'
  | 'kill_switch'
  /** The flag permits more than the interlocks or a latch. */
  | 'interlock'
  | 'latched';

/** What to do with one operation. A plain value: printed, tested without I/O, put on a span. */
export interface Decision {
  /** The backend that answers the agent, according to the flags. The lane's fence may still keep a read on legacy. */
  readonly primary: Backend;
  readonly dualWrite: boolean;
  readonly shadowRead: boolean;
  readonly reason: DecisionReason;
}
