import { parseArgs } from 'node:util';
import { namesIn, wholeNumber } from '../support/options.ts';
import { FAULTS } from './faults.ts';
import { BREAKS, type Break } from './plant.ts';

export interface Options {
  readonly runs: number;
  readonly seed: number;
  readonly json: boolean;
  readonly trace: boolean;
  readonly broken: Break | undefined;
  readonly replicas: number;
  /** Runs at the same time, each in a thread of its own. */
  readonly workers: number;
  readonly without: readonly string[];
  /** The proxies' wall clocks jump an hour forth and back, again and again. */
  readonly jumpsClocks: boolean;
  readonly hasShadowReads: boolean;
}

export const USAGE = `npm run sim -- [options]
Runs the engine under a virtual clock while random faults happen: crashes at any await, and lost, late and doubled messages. Each run
checks the invariants when nothing is left to do. A seed that breaks one is printed, and it replays exactly.
Exit codes: 0 no invariant was broken; 1 an invariant was broken, or an error. With --break: 1 the planted fault was caught.

  --runs N                number of runs, each with its own seed (default: 1000, or 1 with --seed)
  --seed S                seed of the first run; each next run takes the next number (default: 1)
  --replicas N            proxies in each run (default: 1)
  --workers N             runs at the same time, each in its own thread (default: 2)
  --break FAULT           plant this fault in the engine, and stop when it is caught:
                          ${listed(BREAKS, 4)}
  --jump-clocks           the wall clocks of the proxies jump an hour forward and back, again and again
  --without NAME,NAME     leave out these faults:
                          ${listed(FAULTS, 4)}
  --without-shadow-reads  make no shadow reads
  --trace                 print each step of each run
  --json                  print only the JSON line, after the seeds that failed
  --help                  print this help`;

/** Names in lines, as the help shows them. */
function listed(names: readonly string[], perLine: number): string {
  const rows = Array.from({ length: Math.ceil(names.length / perLine) }, (_, row) =>
    names.slice(row * perLine, (row + 1) * perLine).join(', '),
  );
  return rows.join(`,\n${' '.repeat(26)}`);
}

const OPTIONS = {
  runs: { type: 'string' },
  seed: { type: 'string' },
  json: { type: 'boolean', default: false },
  trace: { type: 'boolean', default: false },
  break: { type: 'string' },
  replicas: { type: 'string', default: '1' },
  workers: { type: 'string', default: '2' },
  without: { type: 'string', default: '' },
  'jump-clocks': { type: 'boolean', default: false },
  'without-shadow-reads': { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** Undefined where only the help was asked for. @throws Error for what is no option or no number */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return undefined;
  return {
    // A seed without a number of runs is one to be looked at.
    runs: wholeNumber('runs', values.runs ?? (values.seed === undefined ? '1000' : '1'), 1),
    seed: wholeNumber('seed', values.seed ?? '1', 1),
    json: values.json,
    trace: values.trace,
    broken: breakNamed(values.break),
    replicas: wholeNumber('replicas', values.replicas, 1),
    workers: wholeNumber('workers', values.workers, 1),
    without: faultsNamed(values.without),
    jumpsClocks: values['jump-clocks'],
    hasShadowReads: !values['without-shadow-reads'],
  };
}

function breakNamed(name: string | undefined): Break | undefined {
  const known = BREAKS.find((candidate) => candidate === name);
  if (name !== undefined && known === undefined) throw new Error(`--break takes ${BREAKS.join(', ')}`);
  return known;
}

function faultsNamed(list: string): readonly string[] {
  const names = namesIn(list);
  const unknown = names.find((name) => !(FAULTS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`"${unknown}" is no fault: ${FAULTS.join(', ')}`);
  return names;
}
