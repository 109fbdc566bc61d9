import { parseArgs } from 'node:util';
import { namesIn, wholeNumber } from '../support/options.ts';

export const PLANTS = [
  'lost-write',
  'duplicate',
  'reorder',
  'resurrect',
  'flip-without-drain',
  'lost-reverse',
  'double-reverse',
] as const;

/** What is spoilt in the tables of the orchestrator, or of legacy, before a round is judged, to see that it is noticed. */
export type Plant = (typeof PLANTS)[number];

export interface Options {
  readonly rounds: number;
  readonly seed: number;
  readonly isJson: boolean;
  readonly plant: Plant | undefined;
  /** Seconds after the last round in which what is still owed may happen, before all lanes are judged once more. */
  readonly afterSeconds: number;
  /** Names of the faults that are dealt. @defaultValue all */
  readonly only: readonly string[];
  /** Whether every core has a busy loop beside the run. */
  readonly isBusy: boolean;
}

const OPTIONS = {
  rounds: { type: 'string', default: '20' },
  seed: { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  plant: { type: 'string' },
  after: { type: 'string', default: '65' },
  only: { type: 'string', default: '' },
  busy: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

export const USAGE = `npm run chaos -- [options]
Runs real processes, sockets and PostgreSQL. Agents write while lanes move to the orchestrator and return. Meanwhile processes are
killed, some exactly at the crash points K1 to K14, and connections are broken. After each round both stores are judged.
Exit codes: 0 nothing was lost, duplicated, misordered or resurrected, and a process was killed at each crash point that the run waited
for; 1 otherwise.

  --rounds N              number of rounds, each with one fault or two (default: 20)
  --seed S                seed of the order of the faults; the same seed gives the same order (default: 1)
  --only NAME,NAME        only faults whose names contain one of these (kill-at-K1 … kill-at-K14 are the crash points)
  --plant KIND            plant this fault in one session, so that the exit code must be 1:
                          ${PLANTS.join(', ')}
  --after SECONDS         seconds before the last judgement; the proxy checks an unknown outcome again after 60 s (default: 65)
  --busy                  run a busy loop on each core, as on a loaded machine
  --json                  print only the JSON line
  --help                  print this help`;

/** Undefined where only the help was asked for. @throws Error for what is no option or no number */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return undefined;
  return {
    rounds: wholeNumber('rounds', values.rounds, 1),
    seed: wholeNumber('seed', values.seed, 0),
    isJson: values.json,
    plant: plantNamed(values.plant),
    afterSeconds: wholeNumber('after', values.after, 0),
    isBusy: values.busy,
    only: namesIn(values.only),
  };
}

function plantNamed(name: string | undefined): Plant | undefined {
  const known = PLANTS.find((plant) => plant === name);
  if (name !== undefined && known === undefined) throw new Error(`--plant takes ${PLANTS.join(', ')}`);
  return known;
}
