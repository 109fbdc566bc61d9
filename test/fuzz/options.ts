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
Sends mutated requests to every listening port of a proxy and its orchestrator, while other agents work. Exit code 1 where a process
ends, or the other agents' p99 during an attack is more than three times their p99 without it.

  --seconds N             of attack on each port (20)
  --seed S                draws the same mutations (1)
  --only NAME,NAME        only ports whose names contain one of these
  --json                  only the JSON line
  --help                  this`;

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
