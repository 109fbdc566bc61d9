import { availableParallelism, loadavg } from 'node:os';
import { Command, InvalidArgumentError } from 'commander';
import { measured as runMeasured, type Cleanup } from './cleanup.ts';
import {
  ANSWERS,
  ANSWERS_AGAIN,
  CLIENTS,
  flipAll,
  type FlipOptions,
  type FlippedAll,
  FLIPS,
  HANGS,
  KILLED,
  measureAway,
  measureOthers,
  measureReverse,
  measureWrites,
  NO_FLIPS,
  NO_FLIPS_AGAIN,
  type OthersMeasured,
  prepare,
  type ReverseMeasured,
  type WritePath,
} from './flip-stages.ts';
import type { Holds } from '../support/flip-holds.ts';
import { atLeast, atMost, printGoals, printTable, type Goal } from './goals.ts';
import { medianOf, paired, type Measured } from './rounds.ts';
import { median, rounded, type Sample } from './samples.ts';

// npm run bench:flip -- [--lanes N] [--rounds N] [--seconds-per-cell S] [--json]: what it costs to move the writes of lanes.

interface Options extends FlipOptions {
  readonly json?: boolean;
}

interface Results {
  readonly others: OthersMeasured;
  readonly all: FlippedAll;
  readonly writes: readonly Measured[];
  readonly reverse: ReverseMeasured;
  readonly away: readonly Measured[];
}

function find(all: readonly Measured[], path: string, clients?: number): Measured {
  const found = all.find(
    ({ cell }) => cell.path === path && (clients === undefined || cell.clients === clients),
  );
  if (found === undefined) throw new Error(`${path} was not measured`);
  return found;
}

const p99Times = (left: Sample, right: Sample): number => left.p99Ms / right.p99Ms;
const p99More = (left: Sample, right: Sample): number => left.p99Ms - right.p99Ms;
const p50Times = (left: Sample, right: Sample): number => left.p50Ms / right.p50Ms;

/** How far apart two equal rounds are. */
function spreadOf(all: readonly Measured[], one: string, again: string): number {
  return paired([find(all, one), find(all, again)], (left, right) =>
    Math.max(p99Times(left, right), p99Times(right, left)),
  );
}

/** What a write in write_cutover costs, as a multiple of another path. */
function timesOf(writes: readonly Measured[], path: WritePath, clients: number): number {
  return paired([find(writes, 'write_cutover', clients), find(writes, path, clients)], p50Times);
}

function shareOfBare({ delivered, bare }: ReverseMeasured): number {
  return median(delivered.map((perSecond, round) => perSecond / (bare[round] ?? Number.NaN)));
}

function failuresOf({ others, all, writes, away }: Results): number {
  const cells = [...others.cells, ...writes, ...away].flatMap(({ samples }) => samples);
  return [...cells, ...all.agents, ...all.walked, ...others.walked].reduce(
    (sum, { errors }) => sum + errors,
    0,
  );
}

function goalsOf(results: Results): Goal[] {
  const { others, all, writes, reverse, away } = results;
  const spread = spreadOf(others.cells, NO_FLIPS, NO_FLIPS_AGAIN);
  const felt = paired([find(others.cells, FLIPS), find(others.cells, NO_FLIPS)], p99Times);
  const without = find(away, ANSWERS);
  return [
    atLeast('lanes flipped a second, without the default pace', 20, all.perSecond),
    atMost('hold of a lane, p99, ms', 250, Math.max(all.holds.p99Ms, others.holds.p99Ms)),
    atMost(
      'p99 of agents of other lanes: times that without flips (1.1, or the spread of two equal rounds)',
      Math.max(1.1, rounded(spread)),
      felt,
    ),
    ...CLIENTS.map((clients) =>
      atMost(
        `write_cutover, p50 of a write: times that of the bare loop, ${clients} clients`,
        1.2,
        timesOf(writes, 'bare loop', clients),
      ),
    ),
    atLeast('reverse delivery, requests a second: share of the bare loop', 0.8, shareOfBare(reverse)),
    ...[HANGS, KILLED].map((path) =>
      atMost(`${path}: ms more p99 on flipped lanes`, 2, paired([find(away, path), without], p99More)),
    ),
    atMost('calls that failed', 0, failuresOf(results)),
  ];
}

function rowsOf(all: readonly Measured[]) {
  return all.map((one) => ({
    path: one.cell.path,
    clients: one.cell.clients,
    p50_ms: rounded(medianOf(one, ({ p50Ms }) => p50Ms)),
    p99_ms: rounded(medianOf(one, ({ p99Ms }) => p99Ms)),
    calls_per_second: rounded(
      medianOf(one, ({ perSecond }) => perSecond),
      0,
    ),
    errors: one.samples.reduce((sum, { errors }) => sum + errors, 0),
  }));
}

function shownHolds({ flips, p50Ms, p99Ms }: Holds) {
  return { flips, hold_p50_ms: rounded(p50Ms), hold_p99_ms: rounded(p99Ms) };
}

function shownOf({ others, all, writes, reverse, away }: Results) {
  return {
    flips: [
      { rate: 'default', per_second: rounded(others.perSecond, 1), ...shownHolds(others.holds) },
      { rate: 'unpaced', per_second: rounded(all.perSecond, 1), ...shownHolds(all.holds) },
    ],
    others: rowsOf(others.cells),
    spread: rounded(spreadOf(others.cells, NO_FLIPS, NO_FLIPS_AGAIN)),
    writes: rowsOf(writes),
    times_dual_write: CLIENTS.map((clients) => rounded(timesOf(writes, 'dual_write', clients))),
    reverse: {
      writes: median(reverse.writes),
      delivered_per_second: rounded(median(reverse.delivered), 0),
      bare_per_second: rounded(median(reverse.bare), 0),
    },
    away: rowsOf(away),
    away_spread: rounded(spreadOf(away, ANSWERS, ANSWERS_AGAIN)),
  };
}

function print(shown: ReturnType<typeof shownOf>, goals: readonly Goal[]): void {
  printTable(
    ['flips', 'a second', 'lanes', 'hold p50 ms', 'hold p99 ms'],
    shown.flips.map((row) => [row.rate, row.per_second, row.flips, row.hold_p50_ms, row.hold_p99_ms]),
  );
  printTable(
    ['what', 'clients', 'p50 ms', 'p99 ms', 'calls/s', 'errors'],
    [...shown.others, ...shown.writes, ...shown.away].map((row) => [
      row.path,
      row.clients,
      row.p50_ms,
      row.p99_ms,
      row.calls_per_second,
      row.errors,
    ]),
  );
  printTable(
    ['what', 'result'],
    [
      ['p99 of two equal rounds without flips, one as a multiple of the other', shown.spread],
      ['p99 of two equal rounds with legacy, one as a multiple of the other', shown.away_spread],
      ...CLIENTS.map(
        (clients, index) =>
          [
            `write_cutover, p50 of a write: times that in dual_write, ${clients} clients`,
            shown.times_dual_write[index] ?? Number.NaN,
          ] as const,
      ),
      ['reverse delivery, requests a second', shown.reverse.delivered_per_second],
      ['the same requests by the bare loop, a second', shown.reverse.bare_per_second],
    ],
  );
  printGoals(goals);
}

async function measureAll(cleanup: Cleanup, { json, ...options }: Options): Promise<void> {
  const startedAtMs = performance.now();
  const machine = { cpus: availableParallelism(), load_average_before: rounded(loadavg()[0] ?? 0, 1) };
  const stage = await prepare(cleanup, options);
  const others = await measureOthers(stage);
  const all = await flipAll(stage);
  const writes = await measureWrites(stage);
  const reverse = await measureReverse(stage);
  const away = await measureAway(stage);
  const results = { others, all, writes, reverse, away };
  const [shown, goals] = [shownOf(results), goalsOf(results)];
  print(shown, goals);
  const failed = [...others.cells, ...writes, ...away].flatMap(({ samples }) => samples);
  for (const { firstError } of [...failed, ...all.agents, ...all.walked, ...others.walked])
    if (firstError !== undefined) console.error(firstError);
  const seconds = rounded((performance.now() - startedAtMs) / 1_000, 1);
  const { lanes, rounds, secondsPerCell } = options;
  if (json === true)
    console.log(
      JSON.stringify({ goals, lanes, rounds, seconds_per_cell: secondsPerCell, machine, ...shown, seconds }),
    );
  process.exitCode = goals.every(({ met }) => met) ? 0 : 1;
}

function atLeastOf(least: number) {
  return (text: string): number => {
    const value = Number(text);
    if (!(value >= least)) throw new InvalidArgumentError(`It must be a number of at least ${least}.`);
    return value;
  };
}

function wholeOf(least: number) {
  const parse = atLeastOf(least);
  return (text: string): number => {
    const value = parse(text);
    if (!Number.isInteger(value)) throw new InvalidArgumentError('It must be a whole number.');
    return value;
  };
}

await new Command('npm run bench:flip --')
  .description(
    'Moves the writes of lanes to the orchestrator under load, and measures flips, the agents of other lanes, writes, reverse delivery, and calls while legacy is away. Exit code 1: a goal was missed.',
  )
  .option('--lanes <count>', 'lanes that are flipped', wholeOf(200), 10_000)
  .option('--rounds <count>', 'number of rounds; the median of each measurement is printed', wholeOf(1), 5)
  .option('--seconds-per-cell <seconds>', 'seconds of each measurement', atLeastOf(0.5), 4)
  .option('--json', 'also print the results as one JSON line')
  .action((options: Options) => runMeasured('The flips', (cleanup) => measureAll(cleanup, options)))
  .parseAsync();
