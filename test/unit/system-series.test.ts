import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { readOptions } from '../system/options.ts';
import { failuresOf, recordedRuns, recordRun, type SystemRun } from '../system/series.ts';
import { ROOT } from '../tiers.ts';

const folder = mkdtempSync(join(tmpdir(), 'crossfade-series-'));
afterAll(() => rmSync(folder, { recursive: true }));

const RUN: SystemRun = {
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abc',
  busy: false,
  only: [],
  seed: 1,
  passed: 10,
  failed: 0,
  failed_tests: [],
  seconds: 60,
};

test('a series continues with the runs of its commit, its files and its load', () => {
  const file = join(folder, 'runs.jsonl');
  expect(recordedRuns(file, { commit: 'abc', isBusy: false, only: [] })).toEqual([]);
  for (const run of [RUN, { ...RUN, busy: true }, { ...RUN, commit: 'def' }, { ...RUN, only: ['desk'] }, RUN])
    recordRun(file, run);
  expect(recordedRuns(file, { commit: 'abc', isBusy: false, only: [] })).toEqual([RUN, RUN]);
  expect(recordedRuns(file, { commit: 'abc', isBusy: true, only: [] })).toHaveLength(1);
  expect(recordedRuns(file, { commit: 'abc', isBusy: false, only: ['desk'] })).toHaveLength(1);
});

test('a line that was cut off is no run', () => {
  const file = join(folder, 'cut.jsonl');
  writeFileSync(file, `${JSON.stringify(RUN)}\n{"date": "2026`);
  expect(recordedRuns(file, { commit: 'abc', isBusy: false, only: [] })).toEqual([RUN]);
});

test('failed tests are named with their file, and so are files that failed as a whole', () => {
  const passed = { status: 'passed', fullName: 'works' };
  const failed = { status: 'failed', fullName: 'does not work' };
  const result = (name: string, status: string, ...assertionResults: (typeof passed)[]) => ({
    name: join(ROOT, name),
    status,
    assertionResults,
  });
  const testResults = [
    result('test/a.test.ts', 'failed', passed, failed),
    result('test/b.test.ts', 'failed'),
    result('test/c.test.ts', 'passed', passed),
  ];
  expect(failuresOf({ success: false, numPassedTests: 2, testResults })).toEqual([
    'test/a.test.ts: does not work',
    'test/b.test.ts',
  ]);
  expect(failuresOf({ success: false, numPassedTests: 0, testResults: [] })).toEqual([
    'an error outside of the tests',
  ]);
});

test('the options are checked before anything runs', () => {
  expect(readOptions(['--times', '10', '--busy', 'desk'])).toMatchObject({
    times: 10,
    isBusy: true,
    only: ['desk'],
  });
  expect(readOptions(['--help'])).toBeUndefined();
  expect(() => readOptions(['--times', '0'])).toThrow('--times takes a whole number above 0, got "0"');
  expect(() => readOptions(['--json'])).toThrow('--seed and --json need --times');
});
