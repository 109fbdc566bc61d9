import type { ServiceName } from './ids.ts';

/** The flags of a service; each is `crossfade.<service>.<flag>` in Unleash. */
export const SERVICE_FLAGS = [
  'dual-write',
  'shadow-read',
  'read-cutover',
  'write-cutover',
  'legacy-read-only',
] as const;

export type ServiceFlag = (typeof SERVICE_FLAGS)[number];

/** What the name of every flag of ours begins with. */
export const FLAG_PREFIX = 'crossfade.';

/** The latch for all services. */
export const KILL_SWITCH = 'crossfade.kill-switch';

export function flagName(service: ServiceName, flag: ServiceFlag): string {
  return `${FLAG_PREFIX}${service}.${flag}`;
}
