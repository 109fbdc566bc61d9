import { setTimeout as sleep } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { readDialogues, type Dialogue } from '../accept/dialogues.ts';
import { tripsOf } from '../support/guard-stream.ts';
import { createProgressBar } from '../support/progress.ts';
import { atMost, printGoals, printTable, type Goal } from './goals.ts';
import { rounded } from './samples.ts';
import { CLEAN, runClean } from './verdict-clean.ts';
import { FAULTS, type Fault, type FaultClass } from './verdict-faults.ts';
import { goalsOf, judgeClass, type Case, type ClassResult, type ClassRun } from './verdict-judge.ts';
import type { Injection } from './verdict-injector.ts';
import { probe } from './verdict-probe.ts';
import { sessionOfLane, VerdictWatch } from './verdict-watch.ts';
import { startVerdictWorld, type VerdictWorld } from './verdict-world.ts';

// npm run bench:verdicts -- [--operations N] [--seed S] [--classes A,B] [--json]: what comparisons find of what is broken on purpose.

const LONG = 'long';
const CLASSES = [CLEAN, ...(Object.keys(FAULTS) as FaultClass[]), LONG] as const;
type ClassName = (typeof CLASSES)[number];

interface Options {
  readonly operations: number;
  readonly seed: number;
  readonly classes: readonly ClassName[];
  readonly json?: boolean;
}

interface Stage extends Options {
  readonly world: VerdictWorld;
  readonly watch: VerdictWatch;
  readonly dialogues: readonly Dialogue[];
}

/** Share of the lanes in which a class is injected. */
const RATE = 0.25;
/** Reads of each class, as a share of the clean ones: of 5,000, 1,250 are broken, and one missed is 0.08 %. */
const CLASS_SHARE = 0.05;
const LEAST_READS = 200;
/** The guard looks every second. */
const GUARD_LOOKS_MS = 2_500;
const DAY_SECONDS = 86_400;
/** The guard trips by latency after three slow minutes of the last five. */
const LATENCY_MINUTES = 5;

const SHADOWED = { dualWrite: true, shadowRead: 100, readCutover: 0 };

async function runClass(stage: Stage, name: FaultClass): Promise<ClassRun> {
  const { world, watch } = stage;
  const fault: Fault = FAULTS[name];
  if (fault.isCutOver === true) await world.ask({ ...SHADOWED, readCutover: 100 });
  const cases = await casesOf(stage, { name, fault, rate: RATE, seed: stage.seed });
  const trigger = watch.tripped.get(fault.service);
  const tripped = fault.trigger === undefined ? trigger !== undefined : trigger === fault.trigger;
  if (trigger !== undefined && !tripped)
    console.error(`${name}: tripped by ${trigger}, not by ${String(fault.trigger)}: is the machine busy?`);
  if (fault.isCutOver === true) await world.ask(SHADOWED);
  await release(stage);
  return { name, truth: fault.truth, cases, tripped };
}

/** Reads of one class. Those of the latency trigger are spread over minutes, until it trips. */
async function casesOf(stage: Stage, injection: Injection): Promise<Case[]> {
  const { world, watch, operations, dialogues } = stage;
  const { name, fault } = injection;
  const minutes = fault.trigger === 'latency' ? LATENCY_MINUTES : 1;
  const wanted = Math.max(LEAST_READS, Math.round(operations * CLASS_SHARE));
  const reads = Math.max(LEAST_READS, Math.round(wanted / minutes));
  const bar = createProgressBar(reads * minutes);
  const cases: Case[] = [];
  let read = 0;
  const onRead = (): void => bar.show(++read, name);
  world.injector.inject(injection);
  for (let minute = 0; minute < minutes; minute += 1) {
    if (minute > 0) {
      world.toNextMinute();
      await sleep(GUARD_LOOKS_MS);
    }
    // Reads after the trip come from legacy.
    if (watch.tripped.has(fault.service)) break;
    const firstLane = minute * reads;
    cases.push(...(await probe({ world, watch, injection, dialogues, reads, firstLane, onRead })));
    await sleep(GUARD_LOOKS_MS);
  }
  bar.end();
  world.injector.inject(undefined);
  return cases;
}

/** The guard forgets what it counted when a person releases it: the next class begins anew. */
async function release({ world, watch }: Stage): Promise<void> {
  for (const service of watch.tripped.keys()) {
    const response = await fetch(`${world.httpUrl}/v1/guard/release`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      // What tripped it is in the last minutes still: the next class does not wait for them to pass.
      body: JSON.stringify({ service, person: 'bench', reason: 'the next class', even_so: true }),
    });
    if (!response.ok) throw new Error(`${service} is not released: ${await response.text()}`);
  }
  watch.tripped.clear();
}

/** The guard's own code over seconds of a virtual clock. */
function longGoals(seed: number): Goal[] {
  const days = { seed, perSecond: 1, seconds: 60 * DAY_SECONDS };
  const once = { seed, seconds: 600, once: true } as const;
  const first = (perSecond: number, rate: number): number =>
    tripsOf({ ...once, perSecond, rate }).at(0) ?? Infinity;
  return [
    atMost('60 days at 1/s, 0.05 %: trips', 5, tripsOf({ ...days, rate: 0.000_5 }).length),
    atMost('60 clean days at 1/s: trips', 0, tripsOf({ ...days, rate: 0 }).length),
    atMost('1 % at 50/s: seconds to the trip', 60, first(50, 0.01)),
    atMost('50 % at 0.3/s: seconds to the trip', 120, first(0.3, 0.5)),
  ];
}

async function runWorld(options: Options): Promise<{ results: ClassResult[]; goals: Goal[] }> {
  const watch = new VerdictWatch();
  const world = await startVerdictWorld(watch.listener);
  watch.isBroken = (lane) => world.injector.isBroken(sessionOfLane(lane));
  watch.wasBusy = (lane) => world.injector.wasBusy(sessionOfLane(lane));
  const stage = { ...options, world, watch, dialogues: await readDialogues() };
  const [results, goals]: [ClassResult[], Goal[]] = [[], []];
  try {
    await world.ask(SHADOWED);
    for (const name of options.classes) {
      if (name === LONG) continue;
      const run =
        name === CLEAN ? await runClean({ ...stage, looksMs: GUARD_LOOKS_MS }) : await runClass(stage, name);
      const result = judgeClass(run);
      results.push(result);
      goals.push(...goalsOf(run, result));
      await release(stage);
    }
  } finally {
    await world.end();
  }
  return { results, goals };
}

async function run(options: Options): Promise<void> {
  const { results, goals } = options.classes.some((name) => name !== LONG)
    ? await runWorld(options)
    : { results: [], goals: [] };
  if (options.classes.includes(LONG)) goals.push(...longGoals(options.seed));
  if (options.json !== true) print(results, goals);
  const classes = Object.fromEntries(
    results.map(({ class: name, seconds_to_detect: seconds, comparable_share: share, ...others }) => [
      name,
      {
        ...others,
        comparable_share: rounded(share),
        seconds_to_detect: seconds === null ? null : rounded(seconds),
      },
    ]),
  );
  console.log(JSON.stringify({ operations: options.operations, seed: options.seed, classes, goals }));
  process.exitCode = goals.every(({ met }) => met) ? 0 : 1;
}

function print(results: readonly ClassResult[], goals: readonly Goal[]): void {
  printTable(
    [
      'class',
      'injected',
      'comparable',
      'share',
      'detected',
      'missed',
      'false alarms',
      'clean',
      'seconds',
      'tripped',
    ],
    results.map((result) => [
      result.class,
      result.injected,
      result.comparable,
      result.comparable_share,
      result.detected,
      result.missed,
      result.false_alarms,
      result.clean,
      result.seconds_to_detect ?? Infinity,
      result.tripped ? 'yes' : 'no',
    ]),
  );
  printGoals(goals);
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidArgumentError('It must be a whole number of at least 1.');
  return value;
}

function classesOf(text: string): readonly ClassName[] {
  const names = text.split(',');
  const unknown = names.filter((name) => !CLASSES.some((one) => one === name));
  if (unknown.length > 0)
    throw new InvalidArgumentError(`There is no ${unknown.join(', ')}; there are ${CLASSES.join(', ')}.`);
  return CLASSES.filter((name) => names.includes(name));
}

await new Command('npm run bench:verdicts --')
  .description(
    'Replays dialogues through a real proxy, and breaks what the orchestrator answers and stores, one class of faults at a time. Measures whether the comparison finds each fault. Exit code 1: a goal was missed.',
  )
  .option(
    '--operations <count>',
    'comparisons of the class "clean"; each other class gets a twentieth',
    whole,
    100_000,
  )
  .option(
    '--seed <number>',
    'seed that chooses the broken lanes and the random numbers of the guard',
    whole,
    1,
  )
  .addOption(
    new Option(
      '--classes <names>',
      `only these classes of faults, separated by commas: ${CLASSES.join(', ')}`,
    )
      .argParser(classesOf)
      .default(CLASSES, 'all'),
  )
  .option('--json', 'print only the JSON line')
  .action(run)
  .parseAsync();
process.exit();
