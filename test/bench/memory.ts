import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { createProgressBar } from '../support/progress.ts';
import { measured, type Cleanup } from './cleanup.ts';
import { atLeast, atMost, printGoals, printTable, type Goal } from './goals.ts';
import { HISTORY_TURNS, topicAt, topicsOf, turnAt } from './memory-dialogue.ts';
import type { MemorySide } from './memory-legacy.ts';
import { startMemoryWorld, type Pair } from './memory-world.ts';
import { helpIfAsked } from './options.ts';
import { whole } from './orchestrator-options.ts';
import { median, rounded } from './samples.ts';

// npm run bench:memory -- [--item-count N] [--rounds N] [--json] [--help]: the legacy session and contextual memory beside the orchestrator on
// what the first users' own benchmark measured, one call after the other. Both sides must have returned the same.

const SECTIONS = ['add', 'get', 'search', 'history'] as const;
type Section = (typeof SECTIONS)[number];

/** What was once promised of each, times faster. */
const PROMISED: Readonly<Record<Section, number>> = { add: 2, get: 3, search: 5, history: 2 };
const PROMISED_SEARCH_LATENCY_PERCENT = -50;
/** How many of the first turns are got; how often is searched and the history asked for. */
const CALLS = 20;

interface Done {
  readonly seconds: number;
  readonly answers: readonly (readonly string[])[];
}

interface Compared {
  readonly v1_duration: number;
  readonly v2_duration: number;
  readonly v1_items_per_second: number;
  readonly v2_items_per_second: number;
  readonly v1_result_count: number;
  readonly v2_result_count: number;
  readonly improvement_factor: number;
  readonly promised_factor: number;
}

type Results = Readonly<Partial<Record<Section, Compared>>>;

/** The calls of a section; undefined where the side does not offer them. */
function callsOf(section: Section, side: MemorySide, turns: number): (() => Promise<string[]>)[] | undefined {
  const { get, search } = side;
  const counted = (count: number, call: (index: number) => Promise<string[]>) =>
    Array.from({ length: count }, (_, index) => () => call(index));
  switch (section) {
    case 'add':
      return counted(turns, async (index) => (await side.add(turnAt(index, turns)), ['added']));
    case 'get':
      return get && counted(Math.min(CALLS, turns), (index) => get(index));
    case 'search':
      return search && counted(CALLS, (index) => search(topicAt(index % topicsOf(turns))));
    case 'history':
      return counted(CALLS, () => side.history());
  }
}

async function perform(calls: readonly (() => Promise<string[]>)[]): Promise<Done> {
  const answers: string[][] = [];
  const startedAtMs = performance.now();
  for (const call of calls) answers.push(await call());
  return { seconds: (performance.now() - startedAtMs) / 1_000, answers };
}

/** @throws Error where the sides did not return the same, or nothing at all */
function checkSame(what: string, v1: Done, v2: Done): void {
  for (const [index, one] of v1.answers.entries()) {
    const other = v2.answers[index] ?? [];
    // The orders of two searches differ: one side has the newest first, the other the best.
    const isSearch = what.endsWith('search');
    const [left, right] = [one, other].map((texts) => (isSearch ? texts.toSorted() : texts).join('\n'));
    if (left !== right)
      throw new Error(`${what}: the sides did not return the same: "${left}" and "${right}"`);
    if (left === '') throw new Error(`${what}: neither side returned anything`);
  }
}

interface Measured {
  readonly v1: Done;
  readonly v2: Done;
}

/** One conversation on both sides. Who comes first changes from round to round. */
async function converse(
  { service, v1, v2 }: Pair,
  round: number,
  turns: number,
): Promise<ReadonlyMap<Section, Measured>> {
  const measured = new Map<Section, Measured>();
  const session = `${service}-${round}`;
  for (const side of [v1, v2]) await side.begin(session);
  for (const section of SECTIONS) {
    const [first, second] = round % 2 === 0 ? [v1, v2] : [v2, v1];
    const calls = [callsOf(section, first, turns), callsOf(section, second, turns)] as const;
    if (calls[0] === undefined || calls[1] === undefined) continue;
    const done = [await perform(calls[0]), await perform(calls[1])] as const;
    const both = round % 2 === 0 ? { v1: done[0], v2: done[1] } : { v1: done[1], v2: done[0] };
    checkSame(`${service} ${section}`, both.v1, both.v2);
    measured.set(section, both);
  }
  return measured;
}

function comparedOf(section: Section, rounds: readonly Measured[]): Compared {
  const seconds = (side: 'v1' | 'v2'): number => median(rounds.map((measured) => measured[side].seconds));
  const calls = rounds[0]?.v1.answers.length ?? 0;
  const count = (side: 'v1' | 'v2'): number =>
    rounds[0]?.[side].answers.reduce((sum, answer) => sum + answer.length, 0) ?? 0;
  return {
    v1_duration: rounded(seconds('v1'), 4),
    v2_duration: rounded(seconds('v2'), 4),
    v1_items_per_second: rounded(calls / seconds('v1'), 0),
    v2_items_per_second: rounded(calls / seconds('v2'), 0),
    v1_result_count: count('v1'),
    v2_result_count: count('v2'),
    improvement_factor: rounded(median(rounds.map(({ v1, v2 }) => v1.seconds / v2.seconds)), 2),
    promised_factor: PROMISED[section],
  };
}

function goalsOf(service: string, results: Results): Goal[] {
  const goals = SECTIONS.flatMap((section) => {
    const compared = results[section];
    if (compared === undefined) return [];
    const name = `${service}: ${section}, times as fast as legacy`;
    return [atLeast(name, PROMISED[section], compared.improvement_factor)];
  });
  const { search } = results;
  if (search === undefined) return goals;
  const changePercent = 100 * (1 / search.improvement_factor - 1);
  return [
    ...goals,
    atMost(
      `${service}: change of the search latency, percent`,
      PROMISED_SEARCH_LATENCY_PERCENT,
      changePercent,
    ),
  ];
}

function optionsOf(): { itemCount: number; rounds: number; isJson: boolean } {
  helpIfAsked({
    name: 'memory',
    what: 'Compares the stand-ins of session-memory and contextual-memory with the orchestrator: adding, getting, searching, and the history.',
    options: [
      ['--item-count N', 'turns of a conversation, at least 51 (default: 100)'],
      ['--rounds N', 'number of rounds; the median of each measurement is printed (default: 5)'],
      ['--json', 'also print the results as one JSON line'],
    ],
  });
  const { values } = parseArgs({
    options: {
      'item-count': { type: 'string', default: '100' },
      rounds: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
    },
  });
  return {
    // The history must be full, and contextual-memory makes its first summary at the fifty-first entry.
    itemCount: whole('--item-count', values['item-count'], 51),
    rounds: whole('--rounds', values.rounds, 1),
    isJson: values.json,
  };
}

async function run(cleanup: Cleanup): Promise<void> {
  const { itemCount, rounds, isJson } = optionsOf();
  const machine = { cpus: availableParallelism(), load_average_before: rounded(loadavg()[0] ?? 0, 1) };
  const pairs = await startMemoryWorld(cleanup, process.env['ORCHESTRATOR_DATABASE_URL']);
  const bar = createProgressBar((rounds + 1) * pairs.length);
  const results: Record<string, Results> = {};
  for (const [at, pair] of pairs.entries()) {
    const measured: ReadonlyMap<Section, Measured>[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      bar.show(at * (rounds + 1) + round, pair.service);
      const conversation = await converse(pair, round, itemCount);
      // The first one warms up.
      if (round > 0) measured.push(conversation);
    }
    results[pair.service] = Object.fromEntries(
      SECTIONS.filter((section) => measured[0]?.has(section)).map((section) => {
        const ofSection = measured.flatMap((conversation) => conversation.get(section) ?? []);
        return [section, comparedOf(section, ofSection)];
      }),
    );
  }
  bar.end();
  const goals = Object.entries(results).flatMap(([service, of]) => goalsOf(service, of));
  print(results, goals);
  if (isJson)
    console.log(
      JSON.stringify({
        goals,
        timestamp: new Date().toISOString(),
        item_count: itemCount,
        history_items: HISTORY_TURNS,
        rounds,
        machine,
        same_results: true,
        results,
      }),
    );
}

function print(results: Readonly<Record<string, Results>>, goals: readonly Goal[]): void {
  printTable(
    ['service', 'section', 'legacy s', 'orchestrator s', 'results', 'factor', 'promised'],
    Object.entries(results).flatMap(([service, sections]) =>
      SECTIONS.map((section) => {
        const of = sections[section];
        if (of === undefined)
          return [service, section, Number.NaN, Number.NaN, Number.NaN, Number.NaN, PROMISED[section]];
        const { v1_duration, v2_duration, v1_result_count, improvement_factor, promised_factor } = of;
        return [
          service,
          section,
          v1_duration,
          v2_duration,
          v1_result_count,
          improvement_factor,
          promised_factor,
        ];
      }),
    ),
  );
  console.log('–: the legacy service offers nothing of the kind.\n');
  printGoals(goals);
}

await measured('The memories', run, 'compared');
