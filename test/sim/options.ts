import { parseArgs } from 'node:util';
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

export const USAGE = `npm run sim -- [--runs N] [--seed S] [--json] [--trace] [--replicas N] [--workers N] [--break ${BREAKS.join('|')}] [--jump-clocks] [--without-shadow-reads] [--without ${FAULTS.join(',')}]`;

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
} as const;

/** @throws Error for what is no option or no number */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  return {
    // A seed without a number of runs is one to be looked at.
    runs: wholeNumber('runs', values.runs ?? (values.seed === undefined ? '1000' : '1')),
    seed: wholeNumber('seed', values.seed ?? '1'),
    json: values.json,
    trace: values.trace,
    broken: breakNamed(values.break),
    replicas: wholeNumber('replicas', values.replicas),
    workers: wholeNumber('workers', values.workers),
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
  const names = list.split(',').filter((name) => name !== '');
  const unknown = names.find((name) => !(FAULTS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`"${unknown}" is no fault: ${FAULTS.join(', ')}`);
  return names;
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} takes a whole number above 0`);
  return value;
}
