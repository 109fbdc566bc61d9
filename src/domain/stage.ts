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

/** The flag whose being on, for any share of lanes, puts a service into a stage. `complete` is not asked for by a flag. */
const STAGE_FLAG = {
  legacy_read_only: 'legacy-read-only',
  write_cutover: 'write-cutover',
  read_cutover: 'read-cutover',
  shadow_read: 'shadow-read',
  dual_write: 'dual-write',
} as const satisfies Partial<Record<Stage, ServiceFlag>>;

/** The stage that a service's flags ask for. Without dual writes every other flag asks in vain. */
export function stageOf(percentages: Readonly<Record<ServiceFlag, number>>): Stage {
  if (percentages['dual-write'] === 0) return 'off';
  const reached = Object.entries(STAGE_FLAG).find(([, flag]) => percentages[flag] > 0);
  return (reached?.[0] ?? 'off') as Stage;
}
