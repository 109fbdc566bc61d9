import { parseArgs } from 'node:util';
import { namesIn } from '../support/options.ts';

export interface Options {
  readonly only: readonly string[];
  readonly from: string | undefined;
  readonly workers: number;
  readonly isJson: boolean;
}

export const USAGE = `npm run mutants -- [options]
Puts one fault after another into a scratch copy of the source and runs the tests that must notice it. First it runs the
same commands without a fault, because a command that fails anyway proves nothing. Exit code 1 if no test
notices a fault: that fault has survived.

  --only M10,M11   run only these faults
  --from M30       start at this fault
  --workers N      scratch copies that are tested at the same time (default: 2)
  --json           print only the JSON line: {mutants, caught, survived}
  --help           print this help`;

const OPTIONS = {
  only: { type: 'string', default: '' },
  from: { type: 'string' },
  workers: { type: 'string', default: '2' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Undefined where only the help was asked for. @throws Error for an unknown option, fault or number */
export function readOptions(args: readonly string[], known: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return undefined;
  const only = namesIn(values.only);
  for (const id of [...only, ...(values.from === undefined ? [] : [values.from])])
    if (!known.includes(id)) throw new Error(`there is no mutant "${id}": use one of ${known.join(', ')}`);
  const workers = Number(values.workers);
  if (!Number.isSafeInteger(workers) || workers < 1 || workers > 16)
    throw new Error(`--workers takes a whole number from 1 to 16, got "${values.workers}"`);
  return { only, from: values.from, workers, isJson: values.json };
}
