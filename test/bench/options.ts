import { parseArgs } from 'node:util';

export interface BenchOptions {
  readonly rounds: number;
  readonly secondsPerCell: number;
  readonly isJson: boolean;
}

/** `[--rounds N] [--seconds-per-cell S] [--json]`. @throws Error for anything else */
export function benchOptions(defaults: { readonly secondsPerCell: number }): BenchOptions {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      'seconds-per-cell': { type: 'string', default: String(defaults.secondsPerCell) },
      json: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  const secondsPerCell = Number(values['seconds-per-cell']);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds must be a whole number of at least 1, got "${values.rounds}"`);
  if (!(secondsPerCell > 0))
    throw new Error(`--seconds-per-cell must be above 0, got "${values['seconds-per-cell']}"`);
  return { rounds, secondsPerCell, isJson: values.json };
}
