import type { ReplicaId, ServiceName } from '../../domain/ids.ts';

/** What the guard watches for, as closed words. */
export const TRIGGERS = [
  'inconsistency',
  'errors',
  'latency',
  'deleted_item_seen',
  'dead_letters',
  'lost',
  'legacy_differs',
  'stores',
  'not_comparable',
  'not_compared',
  'external',
] as const;

export type Trigger = (typeof TRIGGERS)[number];

/** The steps, mildest first. `hold_flips`: no further lane is flipped. `reads_to_legacy` is a trip and sets the latch. */
const GUARD_STEPS = ['alert', 'drop_shadow_load', 'hold_flips', 'hold_ramp', 'reads_to_legacy'] as const;

export type GuardStep = (typeof GUARD_STEPS)[number];

/** A finding of the guard, with the numbers it was judged by. */
export interface Finding {
  readonly service: ServiceName;
  readonly trigger: Trigger;
  readonly steps: readonly GuardStep[];
  /** Absent if the service was judged as a whole. */
  readonly action?: string;
  /** What was counted: `1m`, `15m`, `6h`; `orchestrator` or `proxy`; the words of an external signal. */
  readonly detail?: string;
  readonly numbers: Readonly<Record<string, number>>;
}

export function isTrip(finding: Finding): boolean {
  return finding.steps.includes('reads_to_legacy');
}

/** The last finished reconciliation of every owner of a service. */
export interface FullRunSize {
  readonly run: number;
  readonly lanes: number;
  readonly items: number;
  /** Of the lanes. */
  readonly notComparable: number;
}

/** Open findings of reconciliations for a service. */
export interface StoreFindings {
  readonly lanes: number;
  /** Of these, lanes whose items differ. Without those that only lack lost items, or that were never copied. */
  readonly fencedLanes: number;
  /** Differing items of these lanes. */
  readonly items: number;
  /** The newest run with an open finding; null if there is none. */
  readonly run: number | null;
  /** Null if no full reconciliation has finished. */
  readonly full: FullRunSize | null;
}

export const NOTHING_FOUND: StoreFindings = { lanes: 0, fencedLanes: 0, items: 0, run: null, full: null };

/** A stored trip. It keeps the service's reads on legacy until a person releases it. Wall-clock times. */
export interface Latch {
  readonly id: number;
  readonly service: ServiceName;
  readonly finding: Finding;
  readonly replica: ReplicaId;
  readonly trippedAtMs: number;
  /** It cannot be released before. */
  readonly coolDownUntilMs: number;
  /** The flags that the trip switched off; absent until it has. */
  readonly flagsOff?: readonly string[];
}

const LONGEST_COOL_DOWN_MS = 24 * 3_600_000;

/**
 * How long a latch cannot be released. Doubled by each trip of the service within the last week, at most one day.
 * @param earlier trips before this one
 */
export function coolDownMs(earlier: number, firstMs: number): number {
  return Math.min(firstMs * 2 ** earlier, Math.max(LONGEST_COOL_DOWN_MS, firstMs));
}
