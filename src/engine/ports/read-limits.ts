import type { ServiceName } from '../../domain/ids.ts';

/** How much of read-cutover holds for one action. */
export interface CutoverLimit {
  /** Most percent of lanes; 100 where nothing is lowered. */
  readonly atMost: number;
  /** What lowered it, where something did. */
  readonly loweredBy?: 'interlock' | 'latched';
}

/** What latches and interlocks leave of the flags. Asked for every read: constant time, from memory. They only ever lower. */
export interface ReadLimits {
  cutover(service: ServiceName, action: string): CutoverLimit;
  /** False where shadow reads are held back: to take load off, or for lack of coverage. */
  mayShadow(service: ServiceName): boolean;
  /** Whether dual writes that a flag asks for may begin. */
  mayBegin(service: ServiceName): boolean;
}

const WHOLE: CutoverLimit = { atMost: 100 };

/** Nothing is lowered. */
export const NO_LIMITS: ReadLimits = { cutover: () => WHOLE, mayShadow: () => true, mayBegin: () => true };
