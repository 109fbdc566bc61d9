import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test.each([
  { bench: 'overhead', options: ['--rounds', '--seconds-per-cell', '--json'] },
  { bench: 'http', options: ['--rounds', '--seconds-per-cell', '--json'] },
  { bench: 'compare', options: ['--rounds', '--json'] },
  { bench: 'verdicts', options: ['--operations', '--seed', '--classes', '--json'] },
])('bench:$bench --help prints its options and measures nothing', async ({ bench, options }) => {
  const file = fileURLToPath(new URL(`../bench/${bench}.ts`, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [file, '--help']);
  expect(stdout).toContain(`npm run bench:${bench}`);
  for (const option of options) expect(stdout).toContain(`  ${option}`);
});
