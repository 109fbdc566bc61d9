import { flagName, FLAG_PREFIX, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';

/** Our flags that are not defined, which counts as off, plus unknown flags with our prefix, possibly typos. */
export interface MissingFlags {
  readonly missing: readonly string[];
  /** Empty if no flag is missing, because then these flags belong to another application. */
  readonly misspelled: readonly string[];
}

export function missingFlags(defined: readonly string[], services: readonly ServiceName[]): MissingFlags {
  const ours = [
    ...services.flatMap((service) => SERVICE_FLAGS.map((flag) => flagName(service, flag))),
    KILL_SWITCH,
  ];
  const known = new Set(defined);
  const missing = ours.filter((name) => !known.has(name));
  if (missing.length === 0) return { missing, misspelled: [] };
  const strangers = defined.filter((name) => name.startsWith(FLAG_PREFIX) && !ours.includes(name));
  return { missing, misspelled: strangers };
}

/** A message if a flag may be misspelled; otherwise undefined. */
export function misspelling({ missing, misspelled }: MissingFlags): string | undefined {
  if (misspelled.length === 0) return undefined;
  return `flags not defined, therefore off: ${missing.join(', ')}; unknown flags, possibly typos: ${misspelled.join(', ')}`;
}
