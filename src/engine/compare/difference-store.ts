import type { Backend } from '../../domain/backend.ts';
import type { Comparison } from '../../domain/comparison.ts';
import type { JudgedWith } from './compare-replies.ts';
import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';

export interface StoredDifference {
  /** Ascends with time. Absent before it is stored. */
  readonly id?: number;
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly action: string;
  readonly lane: LaneKey;
  readonly primary: Backend;
  readonly comparison: Comparison;
  readonly atMs: number;
  /** Absent for a difference of whole lanes, and for differences that earlier versions stored. */
  readonly judgedWith?: JudgedWith;
  /** The compared texts in clear. Stored only if the operator has switched samples on. */
  readonly sample?: DifferenceSample;
}

export interface DifferenceSample {
  readonly request: string;
  readonly legacy: string;
  readonly orchestrator: string;
}

/** A filter for the differences of a service. Absent members restrict nothing. */
export interface DifferenceQuery {
  readonly limit: number;
  readonly action?: string;
  readonly lane?: LaneKey;
  /** A difference at this path and of this class. */
  readonly path?: string;
  readonly class?: string;
  readonly sinceMs?: number;
  /** Only those with a lower id. */
  readonly before?: number;
}

/** Differences, redacted. Bounded: the oldest are removed first. */
export interface DifferenceStore {
  add(difference: StoredDifference): Promise<void>;
  recent(service: ServiceName, limit: number): Promise<readonly StoredDifference[]>;
}
