import type { Backend } from '../../domain/backend.ts';
import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { TallyCounts } from './grouped-tally.ts';

/** Reads of lanes for which one backend is chosen, as stored. Durations by bucket. The ends of the buckets never change. */
export interface ArmCounts {
  readonly latency: TallyCounts;
  readonly failures: TallyCounts;
  readonly durations: readonly (readonly [bucket: number, count: number])[];
  readonly fallbacks: number;
}

/** Reads that were sent to both backends, as stored. */
export interface PairCounts {
  readonly latency: TallyCounts;
  readonly onlyOrchestratorFailed: TallyCounts;
  readonly onlyLegacyFailed: TallyCounts;
  /**
   * The time of each backend where both answered, by bucket as in {@link ArmCounts.durations}. Slices of older versions lack it.
   */
  readonly durations?: Readonly<Record<Backend, ArmCounts['durations']>>;
}

/** What one action showed of both backends during some time: sums over groups of lanes, without owners. */
export interface ActionArmCounts {
  readonly legacy: ArmCounts;
  readonly orchestrator: ArmCounts;
  readonly pairs: PairCounts;
}

/** What one replica saw of an action in one slice of time. Wall clock. */
export interface ArmSlice {
  readonly service: ServiceName;
  readonly action: string;
  readonly beganAtMs: number;
  readonly counts: ActionArmCounts;
}

export interface StoredArmSlice extends ArmSlice {
  readonly replica: ReplicaId;
}

/** What lanes of both backends saw, over all replicas. @throws StorageError */
export interface ArmStore {
  /** Replaces what this replica wrote of these slices before, so it can be repeated. */
  write(replica: ReplicaId, slices: readonly ArmSlice[]): Promise<void>;
  /** Slices of all other replicas that began since `fromMs` and were written within the last `writtenWithinMs`. */
  ofOthers(
    replica: ReplicaId,
    since: { readonly fromMs: number; readonly writtenWithinMs: number },
  ): Promise<readonly StoredArmSlice[]>;
  /** Slices of all replicas that began within a day. */
  ofDay(
    service: ServiceName,
    day: { readonly fromMs: number; readonly toMs: number },
  ): Promise<readonly StoredArmSlice[]>;
  prune(beforeMs: number): Promise<void>;
}
