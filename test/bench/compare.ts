import { availableParallelism, loadavg } from 'node:os';
import { setImmediate as nextTick } from 'node:timers/promises';
import { LargeComparisons } from '../../src/compose/large-comparisons.ts';
import type { Judgement } from '../../src/engine/compare/compare-replies.ts';
import { createProgressBar } from '../support/progress.ts';
import { cases, type Case, type Contender } from './compare-cases.ts';
import { largePairs, TIMESTAMP_RULES } from './compare-replies.ts';
import { atMost, printGoals, printTable, type Goal } from './goals.ts';
import { roundOptions } from './options.ts';
import { idleTurnMs, longestTurn } from './event-loop-turns.ts';
import { median, rounded } from './samples.ts';

// npm run bench:compare -- [--rounds N] [--json] [--help]: what a comparison costs, from two replies' texts to the
// verdict and the places that differ.

interface Timed {
  readonly case: string;
  readonly contender: string;
  readonly microseconds: number[];
}

const ITERATIONS = 400;

function timeOf({ pairs, run }: Contender): number {
  const startedAtMs = performance.now();
  for (let iteration = 0; iteration < ITERATIONS; iteration += 1) {
    const pair = pairs[iteration % pairs.length];
    if (pair !== undefined) run(pair);
  }
  return ((performance.now() - startedAtMs) * 1_000) / ITERATIONS;
}

/** All contenders in turn, in another order in every round; the first rounds are for the compiler. */
function measure(all: readonly Case[], rounds: number): Timed[] {
  const timed = all.flatMap((each) =>
    each.contenders.map((contender) => ({ each, contender, microseconds: [] as number[] })),
  );
  const warmUp = 5;
  const bar = createProgressBar(rounds + warmUp);
  for (let round = -warmUp; round < rounds; round += 1) {
    bar.show(round + warmUp, 'comparing');
    const by = (round + warmUp) % timed.length;
    for (const { contender, microseconds } of [...timed.slice(by), ...timed.slice(0, by)]) {
      const time = timeOf(contender);
      if (round >= 0) microseconds.push(time);
    }
  }
  bar.end();
  return timed.map(({ each, contender, microseconds }) => ({
    case: each.name,
    contender: contender.name,
    microseconds,
  }));
}

/** The median over the rounds of Crossfade's time against another's in the same round. */
function ratio(timed: readonly Timed[], name: string, other: string): number {
  const find = (contender: string): readonly number[] =>
    timed.find((each) => each.case === name && each.contender === contender)?.microseconds ?? [];
  const others = find(other);
  return median(find('crossfade').map((time, round) => time / (others[round] ?? Number.NaN)));
}

interface Blocked {
  readonly name: string;
  /** Longest time between two turns of the event loop, and the most processor time this thread used in one. */
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly verdict: string;
  readonly durationMs: number;
}

async function measureBlocking(rounds: number): Promise<Blocked[]> {
  const large = new LargeComparisons();
  const found = new Map<string, Blocked[]>();
  const all = Object.entries(await largePairs());
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, { legacy, orchestrator }] of all) {
      const startedAtMs = performance.now();
      // From bytes, as a reply comes: turning them into text is part of what blocks.
      const bytes = { legacy: Buffer.from(legacy), orchestrator: Buffer.from(orchestrator) };
      await nextTick();
      const work = async (): Promise<Judgement> =>
        large.compare({
          legacy: bytes.legacy.toString('utf8'),
          orchestrator: bytes.orchestrator.toString('utf8'),
          rules: TIMESTAMP_RULES,
        });
      const { result, wallMs, cpuMs } = await longestTurn(nextTick().then(work));
      const durationMs = performance.now() - startedAtMs;
      const blocked = { name, wallMs, cpuMs, verdict: result.comparison.verdict, durationMs };
      found.set(name, [...(found.get(name) ?? []), blocked]);
    }
  }
  await large.stop();
  return [...found].flatMap(([name, each]) => {
    const [first] = each;
    if (first === undefined) return [];
    return [
      {
        name,
        wallMs: Math.max(...each.map(({ wallMs }) => wallMs)),
        cpuMs: Math.max(...each.map(({ cpuMs }) => cpuMs)),
        verdict: first.verdict,
        durationMs: median(each.map(({ durationMs }) => durationMs)),
      },
    ];
  });
}

function goalsOf(timed: readonly Timed[], blocked: readonly Blocked[]): Goal[] {
  return [
    atMost(
      '2 KiB, ignored timestamps: time as a multiple of fast-deep-equal',
      2,
      ratio(timed, 'ignored timestamps', 'fast-deep-equal'),
    ),
    atMost(
      '2 KiB, three altered texts, 20 rules: time as a multiple of fast-json-patch.compare',
      1,
      ratio(timed, 'three altered texts', 'fast-json-patch'),
    ),
    atMost(
      '2 KiB, three defects and own clocks, 20 rules: time as a multiple of fast-json-patch.compare',
      1,
      ratio(timed, 'three defects, own clocks', 'fast-json-patch'),
    ),
    // Processor time: what else runs on the machine holds up a thread too, and is no work of the comparison.
    atMost(
      '1 MiB: longest turn of the event loop, ms of processor time',
      20,
      Math.max(...blocked.map(({ cpuMs }) => cpuMs)),
    ),
  ];
}

async function run(): Promise<void> {
  const { rounds, isJson } = roundOptions({
    name: 'compare',
    what: "Measures what a comparison costs, from two replies' texts to the verdict.",
    rounds: 60,
  });
  const machine = { cpus: availableParallelism(), load_average_before: rounded(loadavg()[0] ?? 0, 1) };
  const timed = measure(await cases(), rounds);
  const idleMs = await idleTurnMs();
  const blocked = await measureBlocking(Math.min(rounds, 10));
  const goals = goalsOf(timed, blocked);
  const results = timed.map(({ case: name, contender, microseconds }) => ({
    case: name,
    contender,
    microseconds: rounded(median(microseconds), 2),
  }));
  printTable(
    ['case', 'contender', 'µs'],
    results.map((row) => Object.values(row)),
  );
  printTable(
    ['1 MiB', 'longest turn ms', 'of it processor ms', 'whole comparison ms', 'verdict'],
    blocked.map((row) => [row.name, row.wallMs, row.cpuMs, row.durationMs, row.verdict]),
  );
  printGoals(goals);
  if (!isJson) return;
  const large = blocked.map(({ name, wallMs, cpuMs, durationMs, verdict }) => ({
    case: name,
    longest_turn_ms: rounded(wallMs, 1),
    longest_turn_cpu_ms: rounded(cpuMs, 1),
    comparison_ms: rounded(durationMs, 1),
    verdict,
  }));
  const idle = rounded(idleMs, 1);
  const report = { goals, reply_bytes: 2_048, rounds, machine, idle_turn_ms: idle, results, large };
  console.log(JSON.stringify(report));
}

try {
  await run();
} catch (error) {
  console.error(
    `Comparisons could not be measured: ${error instanceof Error ? error.message : String(error)}`,
  );
  process.exitCode = 1;
}
