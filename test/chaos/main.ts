import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/domain/errors.ts';
import { Random } from '../sim/random.ts';
import { startBusy } from '../support/busy.ts';
import { createProgressBar } from '../support/progress.ts';
import { FaultDealer } from './faults.ts';
import type { Counts, Judgement } from './judge.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { judgeAll, LaneBook, play, type Round } from './round.ts';
import { endOneService } from './ending.ts';
import { evidenceOf } from './evidence.ts';
import { movesIn } from './movement.ts';
import { END_POINTS } from './points.ts';
import { settled } from './settled.ts';
import { startWorld, type World } from './world.ts';

const NOTHING_FOUND: Counts = { lost: 0, duplicated: 0, misordered: 0, resurrected: 0, lost_by_legacy: 0 };
const MUST_BE_ZERO = ['lost', 'duplicated', 'misordered', 'resurrected'] as const;

/** The last line of the command. */
interface Result extends Counts {
  rounds: number;
  acknowledged: number;
  /** Writes of unknown outcome in the journal's ledger. */
  unknown_listed: number;
  /** Lanes that moved to the orchestrator, and that returned. */
  flips: number;
  returns: number;
  /** Lanes whose first write went to the orchestrator. */
  born: number;
  /** Writes that the orchestrator had first, and that legacy has. */
  reverse_sent: number;
  /** Crash points, and how often a process was killed there. */
  points: Readonly<Record<string, number>>;
  /** Crash points that were waited for, and never reached. */
  points_missed: readonly string[];
  seconds: number;
}

function say(options: Options, text: string): void {
  if (!options.isJson) console.error(text);
}

function isClean({ counts }: Judgement): boolean {
  return MUST_BE_ZERO.every((name) => counts[name] === 0);
}

/** What is wrong, with all that helps to find out why, and how to see it again. */
async function tell(
  world: World,
  { seed }: Options,
  { round, judgement }: { readonly round: Round; readonly judgement: Judgement },
): Promise<void> {
  const faults = namesOf(round.faults);
  console.error(`\nRound ${round.number} of seed ${seed} (${faults}):`);
  console.error(judgement.findings.join('\n'));
  console.error(await evidenceOf(world, judgement.findings));
}

function namesOf(faults: Round['faults']): string {
  return faults.map(({ fault, during }) => `${fault.name} while ${during}`).join(' + ');
}

/** How far it came: a round that was not clean is the last one. */
interface Played {
  readonly rounds: number;
  /** What the last round found. */
  readonly counts: Counts;
}

async function playAll(world: World, options: Options, book: LaneBook): Promise<Played> {
  // Faults have dice of their own: how often agents throw theirs depends on the machine.
  const dealer = new FaultDealer(new Random(options.seed), options.only);
  const bar = createProgressBar(options.rounds);
  for (let number = 1; number <= options.rounds; number += 1) {
    const round: Round = {
      number,
      faults: dealer.deal(number),
      random: new Random(options.seed * 1_000_003 + number),
      plant: options.plant,
    };
    const names = namesOf(round.faults);
    bar.show(number - 1, names);
    const startedAtMs = performance.now();
    const judgement = await play(world, book, round).catch((cause: unknown) => {
      throw new Error(`Round ${number} of seed ${options.seed} (${names}): ${messageOf(cause)}`, { cause });
    });
    if (!process.stderr.isTTY) say(options, `${number}: ${names}, ${secondsSince(startedAtMs)} s`);
    if (isClean(judgement)) continue;
    bar.end();
    await tell(world, options, { round, judgement });
    return { rounds: number, counts: judgement.counts };
  }
  bar.end();
  return { rounds: options.rounds, counts: NOTHING_FOUND };
}

/** What a round found is found, although a minute later it may have been healed: until then reads were wrong. */
function worst(one: Counts, other: Counts): Counts {
  const names = Object.keys(one) as (keyof Counts)[];
  return { ...one, ...Object.fromEntries(names.map((name) => [name, Math.max(one[name], other[name])])) };
}

/** What an unknown write is owed after a minute has been done when this judges all lanes of all rounds once more. */
async function judgeFinally(world: World, options: Options, book: LaneBook): Promise<Judgement> {
  await sleep(options.afterSeconds * 1_000);
  if (options.plant === undefined) await settled(world);
  const judgement = await judgeAll(world, book.lanes);
  for (const finding of judgement.findings) console.error(finding);
  return judgement;
}

/** The programs that it started end with it. */
function abortedBySignal(): AbortSignal {
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => stopping.abort(new Error(`it was ended by ${name}`)));
  return stopping.signal;
}

/** @throws what the signal says, as soon as it says it */
async function unlessAborted<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  const aborted = new Promise<never>((_, reject) => {
    const end = (): void => reject(signal.reason as Error);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
  });
  // What goes on meanwhile fails, with what it works with.
  work.catch(() => undefined);
  return Promise.race([work, aborted]);
}

async function run(options: Options): Promise<Result> {
  const startedAtMs = performance.now();
  const signal = abortedBySignal();
  const busy = options.isBusy ? startBusy() : undefined;
  const world = await startWorld(signal);
  const book = new LaneBook();
  try {
    const { rounds, counts } = await unlessAborted(signal, playAll(world, options, book));
    if (rounds === options.rounds && endsService(options))
      await unlessAborted(signal, endOneService(world, book, options.seed));
    const last = await unlessAborted(signal, judgeFinally(world, options, book));
    const [unknown] = await world.journal<{ count: string }>('select count(*) from unknown_outcomes');
    const acknowledged = book.lanes.reduce((sum, lane) => sum + lane.acknowledged, 0);
    return {
      rounds,
      acknowledged,
      ...worst(last.counts, counts),
      unknown_listed: Number(unknown?.count ?? 0),
      ...(await movesIn(world)),
      reverse_sent: await reverseSent(world),
      points: world.points.hits,
      points_missed: world.points.missed,
      seconds: secondsSince(startedAtMs),
    };
  } catch (error) {
    if (!signal.aborted) console.error(await evidenceOf(world, [messageOf(error)]));
    throw error;
  } finally {
    await world.end();
    await busy?.stop();
  }
}

/** The end of a service's migration has crash points as well. */
function endsService({ only, plant }: Options): boolean {
  const names = Object.keys(END_POINTS).map((point) => `kill-at-${point}`);
  return (
    plant === undefined &&
    (only.length === 0 || only.some((part) => names.some((name) => name.includes(part))))
  );
}

async function reverseSent(world: World): Promise<number> {
  const [sent] = await world.journal<{ count: string }>(
    `select count(*) from reverse_sends where ending = 'applied'`,
  );
  return Number(sent?.count ?? 0);
}

function secondsSince(startedAtMs: number): number {
  return Math.round((performance.now() - startedAtMs) / 100) / 10;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) return console.log(USAGE);
  const result = await run(options);
  if (!options.isJson)
    for (const [name, value] of Object.entries(result))
      console.log(`${name.padEnd(16)} ${JSON.stringify(value)}`);
  console.log(JSON.stringify(result));
  const broken = MUST_BE_ZERO.filter((name) => result[name] !== 0);
  if (broken.length > 0) console.error(`Not zero: ${broken.join(', ')}`);
  if (result.points_missed.length > 0) console.error(`Never reached: ${result.points_missed.join(', ')}`);
  const isWhole = result.rounds === options.rounds;
  if (!isWhole) console.error(`It ended after ${result.rounds} of ${options.rounds} rounds`);
  const isShown = isWhole && result.points_missed.length === 0;
  process.exitCode = broken.length === 0 && isShown ? 0 : 1;
}

try {
  await main();
} catch (error) {
  console.error(`chaos: ${messageOf(error)}`);
  process.exitCode = 1;
}
// Sockets of agents that were cut off may keep the process alive.
process.exit();
