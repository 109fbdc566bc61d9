import { parseArgs } from 'node:util';
import { helpIfAsked } from './options.ts';

export interface OrchestratorBenchOptions {
  /** Memories that are there before the first measurement. */
  readonly items: number;
  readonly rounds: number;
  readonly secondsPerCell: number;
  readonly isSoak: boolean;
  readonly soakMinutes: number;
  readonly isJson: boolean;
  /** PostgreSQL to measure on; PGlite without. */
  readonly databaseUrl: string | undefined;
}

const PGLITE_ITEMS = 5_000;
const POSTGRES_ITEMS = 100_000;

const HELP = `Compares the orchestrator with the bare SQL of the same requests, both on copies of the same store. The store is PGlite, or databases
on the PostgreSQL server of ORCHESTRATOR_DATABASE_URL.`;

/** `[--items N] [--rounds N] [--seconds-per-cell S] [--soak] [--soak-minutes M] [--json] [--help]`. @throws Error for anything else */
export function orchestratorBenchOptions(env: NodeJS.ProcessEnv): OrchestratorBenchOptions {
  helpIfAsked({
    name: 'orchestrator',
    what: HELP,
    options: [
      [
        '--items N',
        `memories in the store before the first measurement (default: ${PGLITE_ITEMS}, or ${POSTGRES_ITEMS} on PostgreSQL)`,
      ],
      ['--rounds N', 'number of rounds; the median of each measurement is printed (default: 3)'],
      ['--seconds-per-cell S', 'seconds of each measurement (default: 1)'],
      ['--soak', 'afterwards also measure how the memory of the process grows under load'],
      ['--soak-minutes M', 'minutes of that measurement (default: 10)'],
      ['--json', 'also print the results as one JSON line'],
    ],
  });
  const databaseUrl = env['ORCHESTRATOR_DATABASE_URL'];
  const { values } = parseArgs({
    options: {
      items: { type: 'string', default: String(databaseUrl === undefined ? PGLITE_ITEMS : POSTGRES_ITEMS) },
      rounds: { type: 'string', default: '3' },
      'seconds-per-cell': { type: 'string', default: '1' },
      soak: { type: 'boolean', default: false },
      'soak-minutes': { type: 'string', default: '10' },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    items: whole('--items', values.items, 100),
    rounds: whole('--rounds', values.rounds, 1),
    secondsPerCell: positive('--seconds-per-cell', values['seconds-per-cell']),
    isSoak: values.soak,
    soakMinutes: positive('--soak-minutes', values['soak-minutes']),
    isJson: values.json,
    databaseUrl,
  };
}

export function whole(name: string, text: string, least: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least)
    throw new Error(`${name} must be a whole number of at least ${least}, got "${text}"`);
  return number;
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`${name} must be above 0, got "${text}"`);
  return number;
}
