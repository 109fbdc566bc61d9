import type { Command } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { commandsOf } from '../../../src/cli/commands.ts';

/** As somebody sees it who asks with --help. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

function withAllBelow(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withAllBelow)];
}

const names = Object.keys(commandsOf({}));

test('the test sees the commands', () => expect(names.length).toBeGreaterThan(15));

describe.each(names)('crossfade %s', (name) => {
  let commands: Command[] = [];
  beforeAll(async () => {
    const made = await commandsOf({})[name]?.();
    commands = made === undefined ? [] : withAllBelow(made);
  });

  test('every help names the exit codes once, and describes the command', () => {
    expect(commands.length).toBeGreaterThan(0);
    const wanting = commands
      .map((command) => ({ command: command.name(), says: helpOf(command), does: command.description() }))
      .filter(({ says, does }) => (says.match(/Exit codes: 0 \S/g) ?? []).length !== 1 || does === '');
    expect(wanting.map(({ command }) => command)).toEqual([]);
  });
});
