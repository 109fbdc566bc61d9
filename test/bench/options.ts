import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly rounds: number;
  readonly secondsPerCell: number;
  readonly isJson: boolean;
}

interface Help {
  /** As in `npm run bench:<name>`. */
  readonly name: string;
  readonly what: string;
  readonly options: readonly (readonly [option: string, what: string])[];
}

/** With `--help` among the arguments it prints the options and ends the process. */
export function helpIfAsked({ name, what, options }: Help): void {
  if (!process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) return;
  const lines = options.map(([option, does]) => `  ${option.padEnd(24)}${does}`);
  console.log(
    [
      `npm run bench:${name} -- [options]`,
      what,
      '',
      ...lines,
      `  ${'--help'.padEnd(24)}print this help`,
    ].join('\n'),
  );
  process.exit(0);
}

interface BenchDefaults extends Omit<Help, 'options'> {
  readonly secondsPerCell: number;
}

/** `[--rounds N] [--seconds-per-cell S] [--json] [--help]`. @throws Error for anything else */
export function benchOptions(defaults: BenchDefaults): BenchOptions {
  helpIfAsked({
    ...defaults,
    options: [
      ['--rounds N', 'number of rounds; the median of each measurement is printed (default: 5)'],
      ['--seconds-per-cell S', `seconds of each measurement (default: ${defaults.secondsPerCell})`],
      ['--json', 'also print the results as one JSON line'],
    ],
  });
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      'seconds-per-cell': { type: 'string', default: String(defaults.secondsPerCell) },
      json: { type: 'boolean', default: false },
    },
  });
  const secondsPerCell = Number(values['seconds-per-cell']);
  if (!(secondsPerCell > 0))
    throw new Error(`--seconds-per-cell must be above 0, got "${values['seconds-per-cell']}"`);
  return { rounds: roundsOf(values.rounds), secondsPerCell, isJson: values.json };
}

interface RoundDefaults extends Omit<Help, 'options'> {
  readonly rounds: number;
}

/** `[--rounds N] [--json] [--help]`. @throws Error for anything else */
export function roundOptions(defaults: RoundDefaults): Omit<BenchOptions, 'secondsPerCell'> {
  helpIfAsked({
    ...defaults,
    options: [
      [
        '--rounds N',
        `number of rounds; the median of each measurement is printed (default: ${defaults.rounds})`,
      ],
      ['--json', 'also print the results as one JSON line'],
    ],
  });
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: String(defaults.rounds) },
      json: { type: 'boolean', default: false },
    },
  });
  return { rounds: roundsOf(values.rounds), isJson: values.json };
}

function roundsOf(text: string): number {
  const rounds = Number(text);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds must be a whole number of at least 1, got "${text}"`);
  return rounds;
}
