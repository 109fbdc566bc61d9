import type { Comparison, ComparisonRule, DifferenceClass, Hint } from '../../domain/comparison.ts';
import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';
import type { Backend } from '../../domain/backend.ts';
import type { JudgedWith } from './compare-replies.ts';

/** A rule that an operator added while the proxy ran, beside those of the definition. */
export interface OperatorRule {
  readonly id: number;
  readonly service: ServiceName;
  readonly action: string;
  readonly rule: ComparisonRule;
  readonly addedAtMs: number;
}

export interface RuleHits {
  readonly service: ServiceName;
  readonly action: string;
  /** The result of `ruleNameOf`. */
  readonly rule: string;
  readonly hits: number;
  readonly lastHitAtMs: number;
}

/** How often operators have changed the rules of an action: adding and removing a rule each count. */
export interface RuleChanges {
  readonly service: ServiceName;
  readonly action: string;
  readonly changes: number;
}

/** The rules that operators added, and how often each rule accepted a difference. @throws StorageError */
export interface RuleStore {
  /** All rules that were not removed, including expired ones. */
  rules(): Promise<readonly OperatorRule[]>;
  /** For the actions whose rules were ever changed. */
  changes(): Promise<readonly RuleChanges[]>;
  add(rule: Omit<OperatorRule, 'id' | 'addedAtMs'>): Promise<number>;
  /** False if no such rule is in force. @param by the person who removes it */
  remove(id: number, by: string): Promise<boolean>;
  /** Adds to the stored counts of all replicas. */
  addHits(hits: readonly RuleHits[]): Promise<void>;
  hits(): Promise<readonly RuleHits[]>;
}

/** The common properties of differences with one cause. */
export interface SignatureKey {
  readonly service: ServiceName;
  readonly action: string;
  readonly path: string;
  readonly class: DifferenceClass;
  /** Both values without sizes and digests: `string → absent`. */
  readonly shape: string;
}

/** One redacted difference that has a signature. */
export interface SignatureExample {
  readonly at: string;
  readonly lane: LaneKey;
  readonly operation_id: OperationId;
  readonly legacy: string;
  readonly orchestrator: string;
  readonly apart?: number;
}

/** What was seen of a signature since it was last stored. */
export interface SignatureSightings extends SignatureKey {
  readonly count: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
  /** How often each likely cause was found. Differences without a likely cause are not counted. */
  readonly hints: Readonly<Partial<Record<Hint, number>>>;
  /** Registers of an estimate of the affected lanes: see `DistinctEstimate`. */
  readonly laneRegisters: readonly number[];
  /** At most five. */
  readonly examples: readonly SignatureExample[];
}

/** Signatures of a service that are kept. */
export const SIGNATURES_KEPT = 2_000;

/** The likely cause that was found most often. A difference without a cause does not hide it. */
export function likeliest(hints: SignatureSightings['hints']): Hint | undefined {
  const found = Object.entries(hints) as [Hint, number][];
  return found.toSorted(([one, a], [other, b]) => b - a || one.localeCompare(other))[0]?.[0];
}

/** Difference signatures of all replicas. Bounded: those not seen for longest are removed first. @throws StorageError */
export interface SignatureStore {
  add(sightings: readonly SignatureSightings[]): Promise<void>;
  /** Most frequent first. */
  list(service: ServiceName, limit: number): Promise<readonly SignatureSightings[]>;
}

/** The writes of a lane that create and remove items. @throws StorageError */
export interface KeyedWrites {
  /**
   * The writes of these actions that legacy is known to have applied, oldest first, among the lane's last thousand stored writes.
   * Empty if none of these is a `removing` write.
   */
  appliedTo(
    lane: LaneKey,
    of: {
      readonly actions: readonly string[];
      readonly removing: readonly string[];
      /** Later writes are left out. @defaultValue all writes count */
      readonly upTo?: number | undefined;
    },
  ): Promise<readonly { readonly action: string; readonly request: string }[]>;
}

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
  /** The compared texts, unencrypted. Stored only if the operator has switched samples on. */
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
