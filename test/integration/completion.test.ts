import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';

const suggestions = async (...words: string[]): Promise<string[]> => {
  const { code, stdout } = await runCommand(['complete', '--', ...words]);
  expect(code).toBe(0);
  return stdout.split('\n').flatMap((line) => (/^[^:\s]/.test(line) ? [line.split('\t')[0] ?? ''] : []));
};

// Each look starts a program that loads every command.
test('every command, subcommand and option of the help is completed', { timeout: 120_000 }, async () => {
  const { stdout: help } = await runCommand(['--help']);
  const listed = [...(help.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) =>
    String(name),
  );
  expect(listed).toContain('status');
  expect((await suggestions('')).toSorted()).toEqual(listed.toSorted());
  expect(await suggestions('dead-letters', 're')).toEqual(['redrive']);
  expect(await suggestions('backup', '--o')).toEqual(['--out', '--owners']);
});

test('a completion loads no part of the proxy or the orchestrator', async () => {
  const tell = `import { registerHooks } from 'node:module';
    registerHooks({ load: (url, context, next) => (console.error(url), next(url, context)) });`;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(tell)}`,
    MAIN,
    'complete',
    '--',
    'ba',
  ]);
  expect(stdout).toMatch(/^backfill/m);
  expect(stderr).toMatch(/\/src\/cli\/orchestrator\.ts$/m);
  expect(stderr).not.toMatch(
    /\/src\/(compose\/proxy|config\/config|orchestrator\/orchestrator)\.ts$|node_modules\/(pg|fastify|typebox)\//m,
  );
});

test.each(['bash', 'zsh', 'fish', 'powershell'])('there is a script for %s', async (shell) => {
  const { code, stdout } = await runCommand(['completion', shell]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/crossfade[^]*complete/);
});

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/** What bash would complete, after it sourced the script and nothing else. */
async function completedInBash(...words: string[]): Promise<string[]> {
  const { stdout: script } = await runCommand(['completion', 'bash']);
  const session = `set -u
crossfade() { "$NODE" "$MAIN" "$@"; }
eval "$SCRIPT"
COMP_WORDS=(crossfade "$@"); COMP_CWORD=$#
_crossfade
if (( \${#COMPREPLY[@]} > 0 )); then printf '%s\\n' "\${COMPREPLY[@]}"; fi`;
  const env = { ...process.env, SCRIPT: script, NODE: process.execPath, MAIN };
  const { stdout, stderr } = await promisify(execFile)(
    'bash',
    ['--noprofile', '--norc', '-c', session, 'bash', ...words],
    { env },
  );
  expect(stderr).toBe('');
  return stdout.split('\n').filter((line) => line !== '');
}

test('bash needs only the script, and executes no typed text', { timeout: 120_000 }, async () => {
  expect(await completedInBash('gu')).toEqual(['guard']);
  expect(await completedInBash('guard', 're')).toEqual(['release']);
  expect(await completedInBash('guard', 'release', '--rea')).toEqual(['--reason']);
  const folder = await mkdtemp(join(tmpdir(), 'crossfade-completion-'));
  await completedInBash('explain', `$(touch ${join(folder, 'typed')})`, '');
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

test('an unknown shell is refused with the list of known ones', async () => {
  const { code, stderr } = await runCommand(['completion', 'tcsh']);
  expect(code).toBe(1);
  expect(stderr).toContain('Allowed choices are zsh, bash, fish, powershell');
});
