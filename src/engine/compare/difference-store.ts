import type { Backend } from '../../domain/backend.ts';
import type { Comparison } from '../../domain/comparison.ts';
import type { JudgedWith } from './compare-replies.ts';
import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';

export interface StoredDifference {
  /** Ascends with time; absent before it is stored. */
  readonly id?: number;
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly action: string;
  readonly lane: LaneKey;
  readonly primary: Backend;
  readonly comparison: Comparison;
  readonly atMs: number;
  /** Absent where it is no pair of answers that differs: a whole lane. Nor is it known of what earlier versions stored. */
  readonly judgedWith?: JudgedWith;
  /** What was compared, in clear: kept only where the operator turned samples on. */
  readonly sample?: DifferenceSample;
}

export interface DifferenceSample {
  readonly request: string;
  readonly legacy: string;
  readonly orchestrator: string;
}

/** Which differences of a service are looked for; what is absent restricts nothing. */
export interface DifferenceQuery {
  readonly limit: number;
  readonly action?: string;
  readonly lane?: LaneKey;
  /** A difference at this path, of this class. */
  readonly path?: string;
  readonly class?: string;
  readonly sinceMs?: number;
  /** Only those with a lower id. */
  readonly before?: number;
}

/** Differences, redacted. Bounded: the oldest leave first. */
export interface DifferenceStore {
  add(difference: StoredDifference): Promise<void>;
  recent(service: ServiceName, limit: number): Promise<readonly StoredDifference[]>;
}
