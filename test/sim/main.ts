import { createProgressBar } from '../support/progress.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { countViolations, type RunResult } from './run.ts';
import { createThreads } from './threads.ts';

/** Failing seeds that are printed whole. */
const SHOWN = 10;

async function main(): Promise<void> {
  const options = parse();
  if (options === undefined) return console.log(USAGE);
  const startedMs = performance.now();
  const results = await runAll(options);
  const seconds = Math.round((performance.now() - startedMs) / 100) / 10;
  const failed = results.filter(({ violations }) => violations.length > 0);
  report(options, { results, failed, seconds });
  process.exitCode = failed.length > 0 ? 1 : 0;
}

function parse(): Options | undefined {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** Runs all seeds; with a planted fault only until it is caught. */
async function runAll(options: Options): Promise<RunResult[]> {
  const bar = createProgressBar(options.runs);
  const threads = createThreads(options.workers);
  const results: RunResult[] = [];
  let next = options.seed;
  const end = options.seed + options.runs;
  let isCaught = false;
  await Promise.all(
    Array.from({ length: Math.min(options.workers, options.runs) }, async () => {
      while (next < end && !isCaught) {
        const result = await threads.run({ ...options, keepsTrace: options.trace, seed: next++ });
        results.push(result);
        isCaught ||= options.broken !== undefined && result.violations.length > 0;
        bar.show(
          results.length,
          `${results.filter(({ violations }) => violations.length > 0).length} failed`,
        );
      }
    }),
  );
  await threads.end();
  bar.end();
  return results.toSorted((a, b) => a.seed - b.seed);
}

function report(
  options: Options,
  { results, failed, seconds }: { results: RunResult[]; failed: RunResult[]; seconds: number },
): void {
  for (const { seed, trace } of results) if (options.trace) console.log(`seed ${seed}\n${trace.join('\n')}`);
  for (const { seed, hash, violations } of failed.slice(0, SHOWN)) {
    console.log(
      `seed ${seed} (trace ${hash}) breaks, replay with: npm run sim -- --seed ${seed}${replayOf(options)}`,
    );
    for (const { invariant, message } of violations) console.log(`  ${invariant} ${message}`);
  }
  const total = (count: (result: RunResult) => number): number =>
    results.reduce((sum, result) => sum + count(result), 0);
  const summary = {
    runs: results.length,
    operations: total(({ operations }) => operations),
    crashes: total(({ crashes }) => crashes),
    flips: total(({ flips }) => flips),
    returns: total(({ returns }) => returns),
    read_only: total(({ readOnly }) => readOnly),
    completions: total(({ completions }) => completions),
    restores: total(({ restores }) => restores),
    primary_writes: total(({ primaryWrites }) => primaryWrites),
    lanes_matched: total(({ lanesCompared }) => lanesCompared.match),
    lanes_not_comparable: total(({ lanesCompared }) => lanesCompared.not_comparable),
    violations: countViolations(results),
    seconds,
  };
  if (options.json) return console.log(JSON.stringify(summary));
  const steps = total((result) => result.steps);
  console.log(
    `${summary.runs} runs, ${summary.operations} operations, ${summary.crashes} crashes, ${summary.flips} flips, ${summary.returns} of them back, ${steps} steps in ${seconds} s: ` +
      (failed.length === 0
        ? 'no violations'
        : `${failed.length} failed, ${JSON.stringify(summary.violations)}`),
  );
}

function replayOf({ replicas, without, broken, jumpsClocks, hasShadowReads }: Options): string {
  return [
    replicas === 1 ? '' : ` --replicas ${replicas}`,
    without.length === 0 ? '' : ` --without ${without.join(',')}`,
    broken === undefined ? '' : ` --break ${broken}`,
    jumpsClocks ? ' --jump-clocks' : '',
    hasShadowReads ? '' : ' --without-shadow-reads',
  ].join('');
}

await main();
