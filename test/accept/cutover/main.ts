import { Command } from 'commander';
import { createPostgresDatabase, type Database } from '../../../src/storage/database.ts';
import { holdsOf } from '../../support/flip-holds.ts';
import { createProgressBar, type ProgressBar } from '../../support/progress.ts';
import { parseCount, runToItsEnd } from '../command-line.ts';
import { readDialogues } from '../dialogues.ts';
import { Ledger } from '../ledger.ts';
import { startWorld, type World } from '../world.ts';
import { problemsOf, type CutoverResult } from './goals.ts';
import { Operator } from './operator.ts';
import { SHORTENED, shortenedLines } from './shortened.ts';
import { Stage } from './stage.ts';
import { STEPS, type Step } from './steps.ts';
import { Traffic } from './traffic.ts';

/** What is compared with the time of flipping. */
const BEFORE_MS = 60_000;
const FINDINGS = 20;

interface Options {
  readonly dialogues?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

type Say = (what: string) => void;

async function run(options: Options, say: Say): Promise<CutoverResult> {
  const startedAtMs = performance.now();
  const dialogues = await readDialogues(options.dialogues, options.limit);
  const total = options.limit ?? dialogues.length;
  const world = await startWorld({
    isEmbedded: false,
    hasOriginalLimits: false,
    isForgettingNothing: true,
    areInterlocksEnforced: true,
    config: SHORTENED,
  });
  const ledger = new Ledger();
  const operator = new Operator(world.httpUrl);
  const bar = createProgressBar(total);
  const traffic = new Traffic({
    endpoints: world.endpoints,
    dialogues,
    ledger,
    onDone: (done) =>
      bar.show(Math.min(done, total - 1), `${ledger.step}, ${ledger.agentErrors.length} errors`),
  });
  const [journal, orchestratorStore] = [
    databaseAt(world.journalDatabase),
    databaseAt(world.orchestratorDatabase),
  ];
  const stage = new Stage({ world, operator, traffic, ledger, journal, orchestratorStore, say });
  try {
    for (const line of shortenedLines(world.folders.root)) say(line);
    traffic.start();
    await walk(stage, { total, bar, onStep: (step) => (ledger.step = step.name) });
    await traffic.stop();
    tellFaults(stage);
    return await resultOf(stage, startedAtMs);
  } catch (error) {
    tellFaults(stage);
    console.error(world.proxyOutput().slice(-4_000));
    throw error;
  } finally {
    bar.end();
    await endAll({ traffic, databases: [journal, orchestratorStore], world });
  }
}

async function walk(
  stage: Stage,
  { total, bar, onStep }: { total: number; bar: ProgressBar; onStep: (step: Step) => void },
): Promise<void> {
  const { traffic, operator, say } = stage.parts;
  let shares = 0;
  let given = 0;
  for (const step of STEPS) {
    const fromMs = performance.now();
    onStep(step);
    shares += step.share;
    const dialogues = Math.max(1, Math.round((total * shares) / 100) - given);
    given += dialogues;
    traffic.allow(dialogues);
    await step.work(stage);
    await traffic.allowedDone();
    const workedMs = performance.now() - fromMs;
    await stage.compare(step.name, step.compared);
    const { services } = await operator.status();
    const lanes = services.reduce((sum, service) => sum + (service.lanes?.total ?? 0), 0);
    const flipped = services.reduce((sum, service) => sum + (service.lanes?.flipped ?? 0), 0);
    bar.end();
    say(
      `${step.name}: ${seconds(workedMs)} s, compared in ${seconds(performance.now() - fromMs - workedMs)} s; ` +
        `${flipped} of ${lanes} lanes on the orchestrator, ${stage.book.findings.length} findings`,
    );
  }
}

function tellFaults({ book, parts: { ledger } }: Stage): void {
  for (const finding of book.findings.slice(0, FINDINGS)) console.error(finding);
  for (const error of ledger.agentErrors.slice(0, FINDINGS)) console.error(error);
}

async function resultOf(stage: Stage, startedAtMs: number): Promise<CutoverResult> {
  const { ledger, operator, world } = stage.parts;
  const { flipped, flippedBack } = await stage.moves();
  const holds = await holdsOf(world.httpUrl);
  const firstFlipMs = stage.flipping[0]?.fromMs ?? 0;
  const before = [{ fromMs: firstFlipMs - BEFORE_MS, untilMs: firstFlipMs }];
  return {
    operations: ledger.operations,
    acknowledged_writes: ledger.acknowledgedWrites,
    agent_errors: ledger.agentErrors.length,
    flipped,
    flipped_back: flippedBack,
    held_p50_ms: tenths(holds.p50Ms),
    held_p99_ms: tenths(holds.p99Ms),
    ...stage.book.faults,
    foreign_found: stage.foreignFound,
    certificate_valid: stage.areCertificatesValid,
    seconds: seconds(performance.now() - startedAtMs),
    agents_p99_ms_before: p99Of(ledger, before),
    agents_p99_ms_flipping: p99Of(ledger, stage.flipping),
    latches_released: operator.latchesReleased,
    refused_while_away: ledger.refused,
  };
}

function p99Of({ calls }: Ledger, times: Stage['flipping']): number {
  const within = calls.filter(({ atMs }) =>
    times.some(({ fromMs, untilMs }) => atMs >= fromMs && atMs < untilMs),
  );
  const sorted = within.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  return tenths(sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN);
}

function databaseAt(url: string | undefined): Database {
  return createPostgresDatabase({ url: url ?? '', poolSize: 1 });
}

async function endAll(facts: {
  traffic: Traffic;
  databases: readonly Database[];
  world: World;
}): Promise<void> {
  await facts.traffic.stop();
  for (const database of facts.databases) await database.close();
  await facts.world.end();
}

const tenths = (value: number): number => Math.round(value * 10) / 10;
const seconds = (durationMs: number): number => tenths(durationMs / 1_000);

const program = new Command('accept:cutover')
  .description(
    'Replays dialogues against real processes through the whole life of a migration, from off to a certificate without legacy, and compares both stores after each step.',
  )
  .option(
    '--dialogues <file>',
    'file of dialogues, one JSON object per line (default: a small set that comes with Crossfade)',
  )
  .option(
    '--limit <count>',
    'number of dialogues; a smaller file is read again from its beginning',
    parseCount,
  )
  .option('--json', 'print only the JSON line')
  .addHelpText(
    'after',
    '\nExit codes: 0 every goal is met; 1 a goal is missed, or an error (named on stderr).',
  )
  .action(async (options: Options) => {
    const say: Say = (what) => (options.json === true ? console.error(what) : console.log(what));
    const result = await run(options, say);
    if (options.json !== true)
      for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(24)} ${String(value)}`);
    console.log(JSON.stringify(result));
    const problems = problemsOf(result);
    for (const problem of problems) console.error(`Missed: ${problem}`);
    process.exitCode = problems.length === 0 ? 0 : 1;
  });

await runToItsEnd(program);
