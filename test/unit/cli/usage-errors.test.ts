import { Command, type CommanderError } from 'commander';
import { describe, expect, test } from 'vitest';
import { commandsOf, refuseUnknownCommand } from '../../../src/cli/commands.ts';

async function programWith(...names: readonly string[]): Promise<Command> {
  const program = new Command('crossfade').enablePositionalOptions();
  for (const name of names) {
    const command = await commandsOf({})[name]?.();
    if (command !== undefined) program.addCommand(command);
  }
  quiet(program);
  return program;
}

function quiet(command: Command): void {
  command.exitOverride().configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
  command.commands.forEach(quiet);
}

async function errorOf(names: readonly string[], args: readonly string[]): Promise<string> {
  const program = await programWith(...names);
  try {
    refuseUnknownCommand(program, args);
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    return (error as CommanderError).message;
  }
  return 'no error';
}

describe('a wrong word after a group', () => {
  test('is an error, also with --help, and names what exists', async () => {
    const said = await errorOf(['lanes'], ['lanes', 'nonsense', '--help']);
    expect(said).toBe('error: unknown command "nonsense". Commands: list, copy');
  });

  test('that is similar to a command proposes it', async () => {
    expect(await errorOf(['lanes', 'runs'], ['runs', 'shwo', '1'])).toContain('did you mean "show"?');
    expect(await errorOf(['lanes', 'runs'], ['lane', '--help'])).toContain('did you mean "lanes"?');
  });

  test('is not an error if the word is right, or for help', async () => {
    expect(await errorOf(['lanes'], ['lanes', 'list', '--help'])).toBe('(outputHelp)');
    expect(await errorOf(['lanes'], ['lanes', 'help', 'list'])).toMatch(/outputHelp|commander.help/);
  });
});

describe('missing options', () => {
  test('are reported all at once', async () => {
    const said = await errorOf(['lanes'], ['lanes', 'copy', 's', 'o']);
    expect(said).toBe('error: missing required options: --reason <text>, --person <name>');
    const ofRules = await errorOf(['rules'], ['rules', 'add', 'file']);
    expect(ofRules).toMatch(/--reason <text>.*--person <name>.*--service <name>/);
  });

  test('do not include the person if a token names one', async () => {
    const said = await errorOf(['lanes'], ['lanes', 'copy', 's', 'o', '--token', 't']);
    expect(said).toBe('error: missing required options: --reason <text>');
  });

  test('a plan accepts the options of the other subcommands', async () => {
    const plan = ['repair', 'plan', '1', '--person', 'ann', '--reason', 'look', '--url', 'nowhere'];
    expect(await errorOf(['repair'], plan)).toContain('invalid address "nowhere"');
  });
});
