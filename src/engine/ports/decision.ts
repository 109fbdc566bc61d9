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
  /** The orchestrator is primary for the lane's writes. Nothing else decides about its reads. */
  | 'flipped'
  /** The flag permits more than the interlocks or a latch. */
  | 'interlock'
  | 'latched'
  /** Legacy takes no more writes, so that only the orchestrator has the newest state. */
  | 'read_only'
  /** Legacy is not asked any more. */
  | 'complete';

/** What to do with one operation. A plain value: printed, tested without I/O, put on a span. */
export interface Decision {
  /** The backend that answers the agent. The fence of the lane may still keep a read on legacy, unless the lane is flipped. */
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

/** How many lanes may have their writes moved now. Lanes whose writes have moved stay. */
export interface WriteLimit {
  /** Maximum percent of lanes. Undefined: not known yet. */
  readonly atMost: number | undefined;
  /** Maximum percent of lanes if the way back were proven. */
  readonly ifProven: number;
  /** The trigger of the latch; null if the service has none. */
  readonly latch: string | null;
  /** Whether the guard holds increases. */
  readonly isRampHeld: boolean;
  /** Whether the guard holds further flips, because legacy differs in a flipped lane. */
  readonly areFlipsHeld: boolean;
}

/** What latches and interlocks permit of the flags. Called for every read: constant time, from memory. They only lower. */
export interface ReadLimits {
  cutover(service: ServiceName, action: string): CutoverLimit;
  /** False if shadow reads are stopped, to reduce load or because coverage is missing. */
  mayShadow(service: ServiceName): boolean;
  /** Whether dual writes that a flag requests may begin. */
  mayBegin(service: ServiceName): boolean;
  writes(service: ServiceName): WriteLimit;
}

const WHOLE: CutoverLimit = { atMost: 100 };

/** Nothing is lowered. */
export const NO_LIMITS: ReadLimits = {
  cutover: () => WHOLE,
  mayShadow: () => true,
  mayBegin: () => true,
  writes: () => ({ atMost: 100, ifProven: 100, latch: null, isRampHeld: false, areFlipsHeld: false }),
};
