import type { Backend } from '../../domain/backend.ts';
import type { ServiceName } from '../../domain/ids.ts';

/** The reason of a decision, as closed words. */
type DecisionReason =
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

/** How much of read-cutover is permitted for one action. */
export interface CutoverLimit {
  /** Maximum percent of lanes; 100 if nothing is lowered. */
  readonly atMost: number;
  /** What lowered it, if anything. */
  readonly loweredBy?: 'interlock' | 'latched';
}

/** What latches and interlocks permit of the flags. Called for every read: constant time, from memory. They only lower. */
export interface ReadLimits {
  cutover(service: ServiceName, action: string): CutoverLimit;
  /** False if shadow reads are stopped, to reduce load or because coverage is missing. */
  mayShadow(service: ServiceName): boolean;
  /** Whether dual writes that a flag requests may begin. */
  mayBegin(service: ServiceName): boolean;
}

const WHOLE: CutoverLimit = { atMost: 100 };

/** Nothing is lowered. */
export const NO_LIMITS: ReadLimits = { cutover: () => WHOLE, mayShadow: () => true, mayBegin: () => true };
