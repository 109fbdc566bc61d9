import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { ROOT } from '../tiers.ts';

/** What is the same in all runs of a series. */
export interface Series {
  readonly commit: string;
  readonly isBusy: boolean;
  readonly only: readonly string[];
}

/** One line of the file. */
export interface SystemRun {
  readonly date: string;
  readonly commit: string;
  readonly busy: boolean;
  readonly only: readonly string[];
  readonly seed: number;
  readonly passed: number;
  readonly failed: number;
  readonly failed_tests: readonly string[];
  readonly seconds: number;
}

/** What vitest's JSON reporter writes, as far as it is read here. */
export interface VitestReport {
  readonly success: boolean;
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** The recorded runs of a series. A line that was cut off when the machine stopped is left out. */
export function recordedRuns(file: string, series: Series): readonly SystemRun[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .map(runOf)
    .filter((run): run is SystemRun => run !== undefined)
    .filter(
      ({ commit, busy, only }) =>
        commit === series.commit && busy === series.isBusy && only.join(' ') === series.only.join(' '),
    );
}

function runOf(line: string): SystemRun | undefined {
  try {
    return JSON.parse(line) as SystemRun;
  } catch {
    return undefined;
  }
}

export function recordRun(file: string, run: SystemRun): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, `${JSON.stringify(run)}\n`);
}

/** The names of what failed: tests, and files that failed outside of their tests. */
export function failuresOf(report: VitestReport): readonly string[] {
  const failed = report.testResults.flatMap(({ name, status, assertionResults }) => {
    const file = relative(ROOT, name);
    const tests = assertionResults.filter((test) => test.status === 'failed');
    if (tests.length === 0) return status === 'failed' ? [file] : [];
    return tests.map(({ fullName }) => `${file}: ${fullName}`);
  });
  // An error that belongs to no test fails the run alone.
  return failed.length === 0 && !report.success ? ['an error outside of the tests'] : failed;
}
