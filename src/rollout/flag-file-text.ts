import { FLAG_PREFIX } from '../domain/flags.ts';
import { parseDefinitions, type Definitions, type Feature } from './definitions.ts';
import { SHARE_OF_STRATEGY } from './evaluation.ts';

interface FlagFileText {
  readonly definitions: Definitions;
  /** Each names the flag and the value. */
  readonly problems: readonly string[];
}

/**
 * The definitions of a flag file. A person writes it, so a strategy or percentage of our flags that would silently count as 0 %
 * or 100 % is reported as a problem. Such a flag keeps its definition in `before`, and all others are used. The kill switch must
 * not depend on another flag. @throws Error if the file as a whole cannot be used
 */
export function parseFlagFile(text: string, before?: Definitions): FlagFileText {
  const { features, segments } = parseDefinitions(text);
  const problems: string[] = [];
  const used = features.flatMap((feature) => {
    const found = flagProblems(feature);
    problems.push(...found);
    // A flag that is switched off is off, whatever its share is.
    if (found.length === 0 || !feature.enabled) return [feature];
    return before?.features.filter(({ name }) => name === feature.name) ?? [];
  });
  return { definitions: { features: used, segments }, problems };
}

/** What a person must correct in a flag of ours. */
export function flagProblems({ name: flag, strategies = [] }: Feature): string[] {
  if (!flag.startsWith(FLAG_PREFIX)) return [];
  return strategies.flatMap(({ name, parameters }) => {
    const share = Object.hasOwn(SHARE_OF_STRATEGY, name) ? SHARE_OF_STRATEGY[name] : undefined;
    if (share === undefined)
      return [
        `${flag}: the strategy must be one of ${Object.keys(SHARE_OF_STRATEGY).join(', ')}, got ${JSON.stringify(name)}`,
      ];
    if (typeof share === 'string') return [];
    const value: unknown = parameters[share.parameter];
    return isPercent(value)
      ? []
      : [
          `${flag}: ${share.parameter} must be a number from 0 to 100, got ${JSON.stringify(value) ?? 'nothing'}`,
        ];
  });
}

function isPercent(value: unknown): boolean {
  if (typeof value !== 'string' && typeof value !== 'number') return false;
  return /^\d{1,3}(\.\d+)?$/.test(String(value)) && Number(value) <= 100;
}
