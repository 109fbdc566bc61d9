import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { join, relative } from 'node:path';
import { startBusy } from '../support/busy.ts';
import { whileWaiting } from '../support/progress.ts';
import { ROOT } from '../tiers.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import {
  failuresOf,
  recordedRuns,
  recordRun,
  type Series,
  type SystemRun,
  type VitestReport,
} from './series.ts';

const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');
const CACHE = join(ROOT, '.cache');
const RECORDED = join(CACHE, 'system-runs.jsonl');
/** Most of these tests wait for something (a timeout, a restart, a minute's end), so that a third keeps two cores in work. */
const WORKERS = '--maxWorkers=3';
const PROJECTS = ['--project', 'rest', '--project', 'system'];

let running: ChildProcess | undefined;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    running?.kill(signal);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  });

async function main(): Promise<void> {
  const options = parse();
  if (options === undefined) return console.log(USAGE);
  const busy = options.isBusy ? startBusy() : undefined;
  try {
    process.exitCode =
      options.times === undefined ? await runOnce(options) : await complete(options, options.times);
  } finally {
    await busy?.stop();
  }
}

function parse(): Options | undefined {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

async function runVitest(args: readonly string[], output: number | 'inherit'): Promise<number> {
  running = spawn(process.execPath, [VITEST, 'run', ...PROJECTS, WORKERS, ...args], {
    cwd: ROOT,
    stdio: ['ignore', output, output],
  });
  const [code] = (await once(running, 'exit')) as [number | null];
  running = undefined;
  return code ?? 1;
}

const runOnce = ({ only }: Options): Promise<number> => runVitest(only, 'inherit');

/** Does what the series lacks. @returns the exit code */
async function complete({ isBusy, only, seed, isJson }: Options, times: number): Promise<number> {
  const series: Series = { commit: commitOf(), isBusy, only };
  const before = recordedRuns(RECORDED, series);
  if (before.length > 0)
    console.log(`${before.length} runs of this series are recorded in ${relative(ROOT, RECORDED)}`);
  const firstSeed = seed ?? randomInt(1, 1_000_000);
  for (let number = before.length + 1; number <= times; number += 1) {
    const run = await whileWaiting(
      () => `run ${number} of ${times}`,
      recorded(series, firstSeed + number - before.length - 1),
    );
    console.log(lineOf(number, times, run));
  }
  const all = recordedRuns(RECORDED, series);
  const failed = all.filter((run) => run.failed > 0);
  const result = {
    ...series,
    times: all.length,
    passed: all.length - failed.length,
    failed: failed.length,
    runs: all,
  };
  if (isJson) console.log(JSON.stringify(result));
  else console.log(`${result.passed} of ${result.times} runs passed`);
  return failed.length === 0 ? 0 : 1;
}

function lineOf(
  number: number,
  times: number,
  { passed, failed, failed_tests, seconds, seed }: SystemRun,
): string {
  const counts = `run ${number} of ${times}: ${passed} passed, ${failed} failed in ${seconds} s (seed ${seed})`;
  return [counts, ...failed_tests.map((name) => `  ${name}`)].join('\n');
}

/** One run of the tier, with its output in a file of its own. */
async function recorded(series: Series, seed: number): Promise<SystemRun> {
  mkdirSync(CACHE, { recursive: true });
  const report = join(CACHE, 'system-run.json');
  rmSync(report, { force: true });
  const log = openSync(join(CACHE, `system-run-${seed}.log`), 'w');
  const startedMs = Date.now();
  const order = ['--sequence.shuffle.files', '--sequence.seed', String(seed)];
  const reporters = ['--reporter=default', '--reporter=json', '--outputFile.json', report];
  const code = await runVitest([...order, ...reporters, ...series.only], log);
  closeSync(log);
  const { passed, failures } = outcomeOf(report, code);
  const run: SystemRun = {
    date: new Date(startedMs).toISOString(),
    commit: series.commit,
    busy: series.isBusy,
    only: series.only,
    seed,
    passed,
    failed: failures.length,
    failed_tests: failures,
    seconds: Math.round((Date.now() - startedMs) / 1_000),
  };
  recordRun(RECORDED, run);
  return run;
}

function outcomeOf(file: string, code: number): { passed: number; failures: readonly string[] } {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
    const failures = failuresOf({ ...report, success: report.success && code === 0 });
    return { passed: report.numPassedTests, failures };
  } catch {
    return { passed: 0, failures: [`vitest ended with exit code ${code} and wrote no report`] };
  }
}

function commitOf(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return git('rev-parse', '--short=12', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+changes');
  } catch {
    return 'unknown';
  }
}

await main();
