import { FLAG_PREFIX, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import { nearestName } from '../shared/nearest-name.ts';

interface FlagNames {
  /** Of the flag files. */
  readonly defined: readonly string[];
  /** That are configured. */
  readonly services: readonly string[];
}

const OF_SERVICE = /^(.+)\.([^.]+)$/;

/**
 * A warning if a flag in the files is none of Crossfade's. Flags of a service that is not configured are expected, unless a
 * configured service with a similar name lacks the flag.
 */
export function unknownFlag(name: string, { defined, services }: FlagNames): string[] {
  if (!name.startsWith(FLAG_PREFIX)) return [];
  const rest = name.slice(FLAG_PREFIX.length);
  const meant = meantBy(rest, services);
  const isLacking = meant !== undefined && !defined.includes(meant);
  const isOfService = SERVICE_FLAGS.some((flag) => flag === OF_SERVICE.exec(rest)?.[2]);
  if (meant === name || (isOfService && !isLacking)) return [];
  return [`Crossfade has no flag ${name}, so it has no effect${isLacking ? `; did you mean ${meant}?` : ''}`];
}

/** The most similar flag that exists; undefined if none is close. */
function meantBy(rest: string, services: readonly string[]): string | undefined {
  const [, service, flag] = OF_SERVICE.exec(rest) ?? [];
  if (service === undefined || flag === undefined)
    return nearestName(rest, [KILL_SWITCH.slice(FLAG_PREFIX.length)]) && KILL_SWITCH;
  const [nearService, nearFlag] = [nearestName(service, services), nearestName(flag, SERVICE_FLAGS)];
  if (nearService === undefined || nearFlag === undefined) return undefined;
  return `${FLAG_PREFIX}${nearService}.${nearFlag}`;
}
