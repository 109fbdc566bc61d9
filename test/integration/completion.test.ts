import { expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';

const suggestions = async (...words: string[]): Promise<string[]> => {
  const { code, stdout } = await runCommand(['complete', '--', ...words]);
  expect(code).toBe(0);
  return stdout.split('\n').flatMap((line) => (/^[^:\s]/.test(line) ? [line.split('\t')[0] ?? ''] : []));
};

// Each look starts a program that loads every command.
test(
  'every command that the help lists is completed, and so are its subcommands and options',
  { timeout: 120_000 },
  async () => {
    const { stdout: help } = await runCommand(['--help']);
    const listed = [...(help.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) =>
      String(name),
    );
    expect(listed).toContain('status');
    expect((await suggestions('')).toSorted()).toEqual(listed.toSorted());
    expect(await suggestions('dead-letters', 're')).toEqual(['redrive']);
    expect(await suggestions('backup', '--o')).toEqual(['--out', '--owners']);
  },
);

test.each(['bash', 'zsh', 'fish', 'powershell'])('there is a script for %s', async (shell) => {
  const { code, stdout } = await runCommand(['completion', shell]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/crossfade[^]*complete/);
});

test('a shell that there is none for is named with those there are', async () => {
  const { code, stderr } = await runCommand(['completion', 'tcsh']);
  expect(code).toBe(1);
  expect(stderr).toContain('Allowed choices are zsh, bash, fish, powershell');
});
