import type { ServiceName } from '../../domain/ids.ts';

/** What the guard watches for, as closed words. */
export const TRIGGERS = [
  'inconsistency',
  'errors',
  'latency',
  'deleted_item_seen',
  'dead_letters',
  'lost',
  'stores',
  'not_comparable',
  'not_compared',
  'external',
] as const;

export type Trigger = (typeof TRIGGERS)[number];

/** The steps, mildest first. `reads_to_legacy` is a trip and sets the latch. */
export const GUARD_STEPS = ['alert', 'drop_shadow_load', 'hold_ramp', 'reads_to_legacy'] as const;

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
