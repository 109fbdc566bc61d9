import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createProgressBar } from '../support/progress.ts';
import { ROOT } from '../tiers.ts';
import { codeLines, linesThatRan, spansOf, type CodeLine, type ScriptCoverage } from './lines.ts';

const USAGE = `npm run coverage -- [options] [FILE ...]
Runs both tiers of the tests and prints which lines of src ran, in the tests or in a process that they started. Types, comments and
blank lines do not count. A process that a test kills reports nothing.

  --json   print the result as one JSON line at the end
  --help   print this help
  FILE     only test files whose path contains one of these words`;

const GOAL_PERCENT = 95;
const RAW = join(ROOT, '.cache/coverage');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

interface FileCoverage {
  readonly lines: readonly CodeLine[];
  readonly ran: Set<number>;
}

function parse() {
  try {
    const options = { json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } as const;
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** Every process of the run writes what ran in it when it ends; a test worker after each file. */
async function runTests(only: readonly string[]): Promise<number> {
  rmSync(RAW, { recursive: true, force: true });
  mkdirSync(RAW, { recursive: true, mode: 0o755 });
  const child = spawn(process.execPath, [VITEST, 'run', ...only], {
    cwd: ROOT,
    // V8 counts no code that comes out of the compile cache.
    env: { ...process.env, NODE_V8_COVERAGE: RAW, NODE_DISABLE_COMPILE_CACHE: '1' },
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}

function sourceFiles(): Map<string, FileCoverage> {
  const names = globSync('src/**/*.ts', { cwd: ROOT }).toSorted();
  return new Map(
    names.map((name) => [
      name,
      { lines: codeLines(readFileSync(join(ROOT, name), 'utf8')), ran: new Set<number>() },
    ]),
  );
}

function addReports(files: ReadonlyMap<string, FileCoverage>): void {
  const reports = readdirSync(RAW).filter((name) => name.endsWith('.json'));
  const bar = createProgressBar(reports.length);
  for (const [index, name] of reports.entries()) {
    for (const script of scriptsOf(join(RAW, name))) {
      if (!script.url.startsWith('file:')) continue;
      const file = files.get(relative(ROOT, fileURLToPath(script.url.replace(/\?.*$/, ''))));
      if (file === undefined || file.ran.size === file.lines.length) continue;
      for (const line of linesThatRan(file.lines, script)) file.ran.add(line);
    }
    bar.show(index + 1, 'reports');
  }
  bar.end();
}

/** A process that was killed while it wrote leaves half a report. */
function scriptsOf(file: string): readonly ScriptCoverage[] {
  try {
    return (JSON.parse(readFileSync(file, 'utf8')) as { result: ScriptCoverage[] }).result;
  } catch {
    return [];
  }
}

interface Count {
  lines: number;
  covered: number;
}

const percentOf = ({ lines, covered }: Count): number =>
  lines === 0 ? 100 : Math.floor((1_000 * covered) / lines) / 10;

function countByFolder(files: ReadonlyMap<string, FileCoverage>): Map<string, Count> {
  const counts = new Map<string, Count>();
  for (const [name, { lines, ran }] of files) {
    const folder = dirname(name);
    const count = counts.get(folder) ?? { lines: 0, covered: 0 };
    counts.set(folder, { lines: count.lines + lines.length, covered: count.covered + ran.size });
  }
  return counts;
}

function uncoveredOf(files: ReadonlyMap<string, FileCoverage>): Record<string, string> {
  return Object.fromEntries(
    [...files].flatMap(([name, { lines, ran }]) => {
      const missing = lines.map(({ number }) => number).filter((number) => !ran.has(number));
      return missing.length === 0 ? [] : [[name, spansOf(missing)]];
    }),
  );
}

function report(files: ReadonlyMap<string, FileCoverage>, isJson: boolean, testsPassed: boolean): boolean {
  const folders = countByFolder(files);
  const all = [...folders.values()].reduce((sum, { lines, covered }) => ({
    lines: sum.lines + lines,
    covered: sum.covered + covered,
  }));
  const uncovered = uncoveredOf(files);
  for (const [folder, count] of folders)
    console.log(
      `${percentOf(count).toFixed(1).padStart(6)} %  ${`${count.covered}/${count.lines}`.padStart(13)}  ${folder}`,
    );
  console.log('\nLines that never ran:');
  for (const [name, spans] of Object.entries(uncovered)) console.log(`${name}: ${spans}`);
  const result = percentOf(all);
  const goals = [{ name: 'lines', goal: GOAL_PERCENT, result, met: result >= GOAL_PERCENT }];
  console.log(`\n${result} % of ${all.lines} lines (goal: ${GOAL_PERCENT} %)`);
  const percents = Object.fromEntries([...folders].map(([folder, count]) => [folder, percentOf(count)]));
  if (isJson)
    console.log(
      JSON.stringify({
        ...all,
        percent: result,
        tests_passed: testsPassed,
        folders: percents,
        uncovered,
        goals,
      }),
    );
  return result >= GOAL_PERCENT;
}

async function main(): Promise<void> {
  const { values, positionals } = parse();
  if (values.help === true) return console.log(USAGE);
  const code = await runTests(positionals);
  const files = sourceFiles();
  addReports(files);
  const isMet = report(files, values.json === true, code === 0);
  process.exitCode = code !== 0 ? code : Number(!isMet);
}

await main();
