import { FLAG_PREFIX } from '../domain/flags.ts';
import { parseDefinitions, type Definitions, type Feature } from './definitions.ts';
import { SHARE_OF_STRATEGY } from './rollout-percentage.ts';

/**
 * The definitions of a flag file. A person writes it, so strategies and shares of our flags that would silently count as 0 % or 100 %
 * are errors here. @throws Error with each flag and its value
 */
export function parseFlagFile(text: string): Definitions {
  const definitions = parseDefinitions(text);
  const problems = definitions.features
    .filter(({ name }) => name.startsWith(FLAG_PREFIX))
    .flatMap(strategyProblems);
  if (problems.length > 0) throw new Error(problems.join('; '));
  return definitions;
}

function strategyProblems({ name: flag, strategies = [] }: Feature): string[] {
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
