import { parseArgs } from 'node:util';

export interface Options {
  /** Undefined: the tier runs once, with vitest's own output, and is not recorded. */
  readonly times: number | undefined;
  readonly isBusy: boolean;
  readonly seed: number | undefined;
  readonly isJson: boolean;
  /** Only files whose path contains one of these. */
  readonly only: readonly string[];
}

export const USAGE = `npm run test:system -- [options] [FILE ...]
Runs every test that npm test leaves out. With --times the tier is repeated, to find tests that fail now and then. Each run adds one JSON
line to .cache/system-runs.jsonl: date, commit, seed, counts, the names of failed tests, seconds. The next call continues the series:
--times 10 after 4 recorded runs of this commit does 6 more. A series has the same commit, the same files, and --busy or not.
A commit with changes that are not committed is recorded as COMMIT+changes.

  --times N   runs in the series (default: one run, without a series); exit code 1 if a run of the series failed
  --busy      run a busy loop on each core, as on a loaded machine
  --seed S    order of the files in the first run; each next run takes the next number (default: a random number)
  --json      print the series as one JSON line at the end
  --help      print this help
  FILE        only test files whose path contains one of these words`;

const OPTIONS = {
  times: { type: 'string' },
  busy: { type: 'boolean', default: false },
  seed: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Undefined where only the help was asked for. @throws Error for what is no option or no number */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  if (values.help) return undefined;
  if (values.times === undefined && (values.seed !== undefined || values.json))
    throw new Error('--seed and --json need --times');
  return {
    times: wholeNumber('times', values.times),
    isBusy: values.busy,
    seed: wholeNumber('seed', values.seed),
    isJson: values.json,
    only: positionals,
  };
}

function wholeNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new Error(`--${name} takes a whole number above 0, got "${text}"`);
  return value;
}
