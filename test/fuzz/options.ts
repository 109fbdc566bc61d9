import { parseArgs } from 'node:util';
import { namesIn, wholeNumber } from '../support/options.ts';

export interface Options {
  /** Of attack on each port. */
  readonly seconds: number;
  readonly seed: number;
  readonly isJson: boolean;
  /** Names of ports. @defaultValue all */
  readonly only: readonly string[];
}

const OPTIONS = {
  seconds: { type: 'string', default: '20' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  only: { type: 'string', default: '' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export const USAGE = `npm run fuzz -- [options]
Sends mutated requests to every listening port of a proxy and its orchestrator, while other agents work.
A port is attacked a second time if the p99 of the other agents rose to more than three times their p99 without an attack.
The lower of the two ratios counts.
Exit codes: 0 success; 1 a process ended, or the p99 rose that much both times.

  --seconds N             seconds of the attack on each port (default: 20)
  --seed S                seed of the mutations; the same seed gives the same mutations (default: 1)
  --only NAME,NAME        only ports whose names contain one of these
  --json                  print only the JSON line
  --help                  print this help`;

/** Undefined where only the help was asked for. @throws Error for what is no option or no number */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return undefined;
  return {
    seconds: wholeNumber('seconds', values.seconds, 1),
    seed: wholeNumber('seed', values.seed, 0),
    isJson: values.json,
    only: namesIn(values.only),
  };
}
