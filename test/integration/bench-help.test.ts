import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test.each([
  { bench: 'overhead', options: ['--rounds', '--seconds-per-cell', '--json'] },
  { bench: 'http', options: ['--rounds', '--seconds-per-cell', '--json'] },
  { bench: 'compare', options: ['--rounds', '--json'] },
  { bench: 'reconcile', options: ['--lanes', '--concurrency', '--json'] },
  {
    bench: 'orchestrator',
    options: ['--items', '--rounds', '--seconds-per-cell', '--soak', '--soak-minutes', '--json'],
  },
  { bench: 'memory', options: ['--item-count', '--rounds', '--json'] },
  { bench: 'flip', options: ['--lanes', '--rounds', '--seconds-per-cell', '--json'] },
  { bench: 'verdicts', options: ['--operations', '--seed', '--classes', '--json'] },
])('bench:$bench --help prints its options and measures nothing', async ({ bench, options }) => {
  const file = fileURLToPath(new URL(`../bench/${bench}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file, '--help']);
  expect(stdout).toContain(`npm run bench:${bench}`);
  for (const option of options) expect(stdout).toContain(`  ${option}`);
});

test('accept:cutover --help prints its options and starts nothing', async () => {
  const file = fileURLToPath(new URL('../accept/cutover/main.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file, '--help']);
  for (const option of ['--dialogues', '--limit', '--json', 'Exit codes']) expect(stdout).toContain(option);
});

test.each([
  { args: ['--limit', 'some'], says: /^error: .* must be a whole number above 0, got "some"$/ },
  { args: ['--dialogues', '/nowhere/at/all'], says: /^accept: the dialogues cannot be read: ENOENT.*$/ },
  { args: ['--dialogues', fileURLToPath(import.meta.url)], says: /^accept: .*:1 is not JSON$/ },
])(
  'an unusable $args.0 of accept is an error of one line, before anything starts',
  async ({ args, says }) => {
    const file = fileURLToPath(new URL('../accept/main.ts', import.meta.url));
    const failed = (await promisify(execFile)(process.execPath, [file, '--json', ...args]).catch(
      (error: unknown) => error,
    )) as { code: number; stderr: string };
    expect(failed.code).toBe(1);
    expect(failed.stderr.trim()).toMatch(says);
  },
);
