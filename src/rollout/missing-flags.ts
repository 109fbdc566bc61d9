import { flagName, FLAG_PREFIX, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';

/** Flags of ours that are not defined, which counts as off; beside them what is defined and nobody's: perhaps their misspelling. */
export interface MissingFlags {
  readonly missing: readonly string[];
  /** Empty where nothing is missing: then they belong to somebody else. */
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

/** One sentence for people, where a flag may be misspelled; else undefined. */
export function misspelling({ missing, misspelled }: MissingFlags): string | undefined {
  if (misspelled.length === 0) return undefined;
  return `not defined, and so off: ${missing.join(', ')}; defined, and no flag of a configured service: ${misspelled.join(', ')}`;
}
