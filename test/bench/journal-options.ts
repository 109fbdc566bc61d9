import { parseArgs } from 'node:util';

export interface JournalOptions {
  readonly rounds: number;
  readonly secondsPerCell: number;
  readonly isJson: boolean;
}

const USAGE = `npm run bench:journal -- [options]
The journal on a real PostgreSQL: durable intents beside a bare loop that writes the same rows, deliveries into an orchestrator that
does nothing, and what a lane that cannot be delivered costs the others.

  --rounds N              how often everything is measured; the median counts (10)
  --seconds-per-cell S    how long each measurement takes (1.5)
  --json                  print the results as JSON too
  --help                  this`;

/** @throws Error for what is no option or no number */
export function journalOptions(): JournalOptions {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '10' },
      'seconds-per-cell': { type: 'string', default: '1.5' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    process.exit(0);
  }
  const [rounds, secondsPerCell] = [Number(values.rounds), Number(values['seconds-per-cell'])];
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new Error(`--rounds must be a whole number of at least 1, got "${values.rounds}"`);
  if (!(secondsPerCell > 0))
    throw new Error(`--seconds-per-cell must be above 0, got "${values['seconds-per-cell']}"`);
  return { rounds, secondsPerCell, isJson: values.json };
}
