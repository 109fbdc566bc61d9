import type { Backend } from '../../domain/backend.ts';
import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { TallyCounts } from './grouped-tally.ts';

/** Reads of lanes that one backend is chosen for, as they are stored. Durations by bucket: their ends never change. */
export interface ArmCounts {
  readonly latency: TallyCounts;
  readonly failures: TallyCounts;
  readonly durations: readonly (readonly [bucket: number, count: number])[];
  readonly fallbacks: number;
}

/** Reads that both backends were asked, as they are stored. */
export interface PairCounts {
  readonly latency: TallyCounts;
  readonly onlyOrchestratorFailed: TallyCounts;
  readonly onlyLegacyFailed: TallyCounts;
  /** What each backend took where both answered, by bucket as of {@link ArmCounts.durations}. Slices of older versions lack it. */
  readonly durations?: Readonly<Record<Backend, ArmCounts['durations']>>;
}

/** What one action showed of both backends during some time: sums over groups of lanes, no owner. */
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

/** What lanes of both backends saw, of all replicas. @throws StorageError */
export interface ArmStore {
  /** In place of what this replica wrote of these slices before: safe to repeat. */
  write(replica: ReplicaId, slices: readonly ArmSlice[]): Promise<void>;
  /** Of all other replicas: slices that began since `fromMs`, as far as they were written within the last `writtenWithinMs`. */
  ofOthers(
    replica: ReplicaId,
    since: { readonly fromMs: number; readonly writtenWithinMs: number },
  ): Promise<readonly StoredArmSlice[]>;
  /** Of all replicas: slices that began within a day. */
  ofDay(
    service: ServiceName,
    day: { readonly fromMs: number; readonly toMs: number },
  ): Promise<readonly StoredArmSlice[]>;
  prune(beforeMs: number): Promise<void>;
}
