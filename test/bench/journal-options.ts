import { parseArgs } from 'node:util';

export interface JournalOptions {
  readonly rounds: number;
  readonly secondsPerCell: number;
  readonly isJson: boolean;
}

const USAGE = `npm run bench:journal -- [options]
Measures the journal on a real PostgreSQL. Durable intents are compared with a bare loop that writes the same rows. Deliveries go to an
orchestrator that does nothing. One lane that cannot be delivered shows what it costs the others.

  --rounds N              number of rounds; the median of each measurement is printed (default: 10)
  --seconds-per-cell S    seconds of each measurement (default: 1.5)
  --json                  also print the results as one JSON line
  --help                  print this help`;

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
