import type { ServiceFlag } from './flags.ts';

/** How far a service has moved, in order. */
export const STAGES = [
  'off',
  'dual_write',
  'shadow_read',
  'read_cutover',
  'write_cutover',
  'legacy_read_only',
  'complete',
] as const;

export type Stage = (typeof STAGES)[number];

/**
 * Whether legacy still takes writes of a service. `open`: it does. `read_only`: it got its last write, and only reads are relayed.
 * `complete`: it is not asked any more.
 */
export const WRITES_STATES = ['open', 'read_only', 'complete'] as const;

export type WritesState = (typeof WRITES_STATES)[number];

const STAGE_AT_THE_END: Readonly<Partial<Record<WritesState, Stage>>> = {
  read_only: 'legacy_read_only',
  complete: 'complete',
};

/** The stage that no flag decides. Undefined while legacy takes writes. */
export function stageAtTheEnd(state: WritesState = 'open'): Stage | undefined {
  return STAGE_AT_THE_END[state];
}

/** The flag that puts a service into a stage when it is on, for any share of lanes. No flag requests `complete`. */
const STAGE_FLAG = {
  legacy_read_only: 'legacy-read-only',
  write_cutover: 'write-cutover',
  read_cutover: 'read-cutover',
  shadow_read: 'shadow-read',
  dual_write: 'dual-write',
} as const satisfies Partial<Record<Stage, ServiceFlag>>;

/** The stage that a service's flags request. Without dual writes, no other flag has an effect. */
export function stageOf(percentages: Readonly<Record<ServiceFlag, number>>): Stage {
  if (percentages['dual-write'] === 0) return 'off';
  const reached = Object.entries(STAGE_FLAG).find(([, flag]) => percentages[flag] > 0);
  return (reached?.[0] ?? 'off') as Stage;
}
