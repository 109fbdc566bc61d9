import type { ServiceName } from './ids.ts';

/** The flags of a service. Each is `crossfade.<service>.<flag>` in Unleash. */
export const SERVICE_FLAGS = [
  'dual-write',
  'shadow-read',
  'read-cutover',
  'write-cutover',
  'legacy-read-only',
] as const;

export type ServiceFlag = (typeof SERVICE_FLAGS)[number];

/** The prefix of all flag names of Crossfade. */
export const FLAG_PREFIX = 'crossfade.';

/** The flag that keeps the reads of all services on legacy. */
export const KILL_SWITCH = 'crossfade.kill-switch';

export function flagName(service: ServiceName, flag: ServiceFlag): string {
  return `${FLAG_PREFIX}${service}.${flag}`;
}
