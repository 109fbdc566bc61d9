import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { BREAKS } from './plant.ts';

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url));

interface Ended {
  readonly exitCode: number;
  readonly lines: readonly string[];
}

/** A process of its own: the simulation replaces its timers and its clock. */
function simulate(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, ...args], { maxBuffer: 64 * 1024 * 1024 }, (error, stdout) => {
      const exitCode = error === null ? 0 : Number(error.code);
      if (Number.isNaN(exitCode)) reject(error ?? new Error('The simulation did not end'));
      else resolve({ exitCode, lines: stdout.trim().split('\n') });
    });
  });
}

test.for([
  { replicas: 1, runs: 40 },
  { replicas: 2, runs: 25 },
])(
  'the engine keeps the invariants in $runs random lives of $replicas',
  { timeout: 120_000 },
  async (given) => {
    const [runs, replicas] = [String(given.runs), String(given.replicas)];
    const { exitCode, lines } = await simulate('--runs', runs, '--replicas', replicas, '--json');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      runs: given.runs,
      violations: { I1: 0, I2: 0, I3: 0, I4: 0, I5: 0, I6: 0, I7: 0, I8: 0, I9: 0 },
    });
    expect(exitCode).toBe(0);
  },
);

test('a seed replays exactly, step by step', { timeout: 120_000 }, async () => {
  const steps = async (): Promise<readonly string[]> =>
    (await simulate('--seed', '7', '--runs', '5', '--trace')).lines.slice(0, -1);
  const [once, again] = await Promise.all([steps(), steps()]);
  expect(once.length).toBeGreaterThan(1_000);
  expect(again).toEqual(once);
});

test.for(BREAKS)('a planted %s is caught', { timeout: 120_000 }, async (broken) => {
  const { exitCode, lines } = await simulate('--runs', '1000', '--break', broken, '--json');
  expect(exitCode).toBe(1);
  expect(lines.join('\n')).toContain(`--break ${broken}`);
});
