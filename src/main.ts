#!/usr/bin/env node
import { Command } from 'commander';
import { commandsOf } from './cli/commands.ts';
import { escapeOutput } from './cli/terminal-text.ts';
import { refuseUnknownCommand } from './cli/unknown-command.ts';
import { messageOf } from './domain/errors.ts';
import { version } from './version.ts';

const OLDEST_NODE = 24;

// The only reader of process.env.
const COMMANDS = commandsOf(process.env);

/** The command that is asked for; all of them where the help or an error must list them. */
function asked(): Promise<Command[]> {
  const name = process.argv[2] ?? '';
  const chosen = Object.hasOwn(COMMANDS, name) ? [name] : Object.keys(COMMANDS);
  return Promise.all(chosen.flatMap((one) => COMMANDS[one]?.() ?? []));
}

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new Error(
      `Crossfade needs Node ${OLDEST_NODE}, this is ${process.version}: run it through npm, which brings its own`,
    );
  }
  const program = new Command('crossfade')
    .description('A live, verified, reversible migration of agent memory')
    .version(version)
    // Options behind the name of a command are that command's.
    .enablePositionalOptions();
  const commands = await asked();
  for (const command of commands) program.addCommand(command);
  // Where one command is asked for, the others are not there to be completed.
  if (commands.length > 1) (await import('./cli/completion.ts')).addCompletion(program);
  hintAtHelp(program, 'crossfade');
  refuseUnknownCommand(program, process.argv.slice(2));
  await program.parseAsync();
}

/** A usage error names the command whose help explains the usage. */
function hintAtHelp(command: Command, path: string): void {
  command.showHelpAfterError(`Run \`${path} --help\` for usage.`);
  for (const one of command.commands) hintAtHelp(one, `${path} ${one.name()}`);
}

escapeOutput(process.stdout);
escapeOutput(process.stderr);
try {
  await main();
} catch (error) {
  console.error(`crossfade: ${messageOf(error)}`);
  process.exitCode = 1;
  // A parent's channel would keep a start that failed alive.
  if (process.connected) process.disconnect();
}
