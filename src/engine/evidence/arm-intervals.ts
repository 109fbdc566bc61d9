import type { Backend } from '../../domain/backend.ts';
import type { LaneKey, ReplicaId, ServiceName } from '../../domain/ids.ts';
import { exactInterval } from './rate-bounds.ts';

/** A difference or a ratio, with both ends of its 95 % interval. */
export interface Interval {
  readonly value: number;
  readonly lower: number;
  readonly upper: number;
}

/** Fewer groups of lanes are not representative. */
const LEAST_GROUPS = 5;
const Z = 1.959_963_985;

/**
 * Compares the logarithms of two sets of durations: how many times longer the first are, by geometric means. Null if too few
 * lanes were seen.
 */
export function ratioOfMeans(first: Estimate, second: Estimate): Interval | null {
  const groups = Math.min(first.groups, second.groups);
  if (groups < LEAST_GROUPS) return null;
  return exponential(first.mean - second.mean, Math.hypot(first.error, second.error), groups);
}

/** The same, where every logarithm is that of a pair's ratio. */
export function meanRatio(pairs: Estimate): Interval | null {
  return pairs.groups < LEAST_GROUPS ? null : exponential(pairs.mean, pairs.error, pairs.groups);
}

function exponential(mean: number, error: number, groups: number): Interval {
  const spread = studentQuantile(groups - 1) * error;
  return { value: Math.exp(mean), lower: Math.exp(mean - spread), upper: Math.exp(mean + spread) };
}

/** The rate of one arm, with an interval that is valid even with no hits. Null without tries. */
export function rateInterval(rate: Estimate): Interval | null {
  if (rate.count === 0) return null;
  const tries = effectiveTries(rate);
  const { lower, upper } = exactInterval({ hits: rate.mean * tries, tries });
  return { value: rate.mean, lower, upper };
}

/** First rate minus the second: Newcombe's interval from both intervals. Null if too few lanes were seen. */
export function rateDifference(first: Estimate, second: Estimate): Interval | null {
  if (Math.min(first.groups, second.groups) < LEAST_GROUPS) return null;
  const [one, other] = [rateInterval(first), rateInterval(second)];
  if (one === null || other === null) return null;
  const value = one.value - other.value;
  return {
    value,
    lower: value - Math.hypot(one.value - one.lower, other.upper - other.value),
    upper: value + Math.hypot(one.upper - one.value, other.value - other.lower),
  };
}

/** The difference of the rates of pairs in which only the first, or only the second, failed (Bonett and Price). */
export function pairedDifference(onlyFirst: Estimate, onlySecond: Estimate): Interval | null {
  if (onlyFirst.groups < LEAST_GROUPS) return null;
  const tries = Math.min(effectiveTries(onlyFirst), effectiveTries(onlySecond));
  const first = (onlyFirst.mean * tries + 1) / (tries + 2);
  const second = (onlySecond.mean * tries + 1) / (tries + 2);
  const spread = Z * Math.sqrt((first + second - (first - second) ** 2) / (tries + 2));
  const value = onlyFirst.mean - onlySecond.mean;
  const middle = first - second;
  return { value, lower: Math.min(value, middle - spread), upper: Math.max(value, middle + spread) };
}

/**
 * The number of independent tries that would be worth as much. It is lower if hits are clustered. Clusters that have not occurred
 * yet are unknown.
 */
function effectiveTries({ count, mean, error }: Estimate): number {
  const independent = (mean * (1 - mean)) / count;
  const design = independent === 0 ? 1 : Math.max(1, error ** 2 / independent);
  return count / design;
}

/** 97.5 % quantile of Student's distribution: Hill's expansion, to three digits for four degrees of freedom or more. */
function studentQuantile(degrees: number): number {
  const [z3, z5, z7] = [Z ** 3, Z ** 5, Z ** 7];
  return (
    Z +
    (z3 + Z) / (4 * degrees) +
    (5 * z5 + 16 * z3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * z7 + 19 * z5 + 17 * z3 - 15 * Z) / (384 * degrees ** 3)
  );
}

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

/** Lanes are assigned to this many groups at random. Enough for an interval, in constant memory. */
export const GROUPS = 64;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** The group of a lane, 0 to 63. It never changes. */
export function groupOf(lane: LaneKey): number {
  let hash = FNV_OFFSET;
  for (let index = 0; index < lane.length; index += 1)
    hash = Math.imul(hash ^ lane.charCodeAt(index), FNV_PRIME);
  return (hash ^ (hash >>> 15)) & (GROUPS - 1);
}

/** A mean with its standard error. */
interface Estimate {
  readonly count: number;
  readonly mean: number;
  /** Standard deviation of the mean. */
  readonly error: number;
  /** Number of groups with values. Fewer than five prove nothing. */
  readonly groups: number;
}

/** A tally as stored: per group the number of values and their sum. Empty if all are zero. */
interface TallyCounts {
  readonly counts: readonly number[];
  readonly sums: readonly number[];
}

/** Logarithm of a duration below any that is measured. */
const STORED_DIGITS = 1e6;

/**
 * Values by group of lanes. The operations of one lane are correlated, so a thousand of them are not a thousand proofs. The error
 * of the mean is therefore estimated from how the groups differ ("random groups"), and never from how operations differ.
 */
export class GroupedTally {
  readonly #counts = new Float64Array(GROUPS);
  readonly #sums = new Float64Array(GROUPS);

  add(group: number, value: number): void {
    this.#counts[group] = (this.#counts[group] ?? 0) + 1;
    this.#sums[group] = (this.#sums[group] ?? 0) + value;
  }

  counts(): TallyCounts {
    const sums = [...this.#sums].map((sum) => Math.round(sum * STORED_DIGITS) / STORED_DIGITS);
    return { counts: unlessZero([...this.#counts]), sums: unlessZero(sums) };
  }

  addCounts({ counts, sums }: TallyCounts): void {
    for (let group = 0; group < GROUPS; group += 1) {
      this.#counts[group] = (this.#counts[group] ?? 0) + (counts[group] ?? 0);
      this.#sums[group] = (this.#sums[group] ?? 0) + (sums[group] ?? 0);
    }
  }

  estimate(): Estimate {
    const count = this.#counts.reduce((all, one) => all + one, 0);
    const groups = this.#counts.reduce((seen, one) => seen + (one > 0 ? 1 : 0), 0);
    if (count === 0) return { count, mean: 0, error: 0, groups };
    const mean = this.#sums.reduce((all, one) => all + one, 0) / count;
    let squares = 0;
    this.#counts.forEach((tries, group) => (squares += ((this.#sums[group] ?? 0) - mean * tries) ** 2));
    const error = groups < 2 ? 0 : Math.sqrt((groups / (groups - 1)) * squares) / count;
    return { count, mean, error, groups };
  }
}

function unlessZero(numbers: readonly number[]): readonly number[] {
  return numbers.every((number) => number === 0) ? [] : numbers;
}
