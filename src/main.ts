#!/usr/bin/env node
import { Command } from 'commander';
import { commandsOf, refuseUnknownCommand } from './cli/commands.ts';
import { escapeOutput } from './cli/terminal-text.ts';
import { messageOf } from './domain/errors.ts';
import { version } from './cli/version.ts';

const OLDEST_NODE = 24;

// The only reader of process.env.
const COMMANDS = commandsOf(process.env);

/** A shell asks for suggestions with `complete -- WORDS`. Anything else after `complete` is for the command of that name. */
const isSuggesting = process.argv[2] === 'complete' && process.argv[3] === '--';

/** The requested command, or all commands if the help or an error must list them. */
function asked(): Promise<Command[]> {
  const name = process.argv[2] ?? '';
  const chosen = Object.hasOwn(COMMANDS, name) && !isSuggesting ? [name] : Object.keys(COMMANDS);
  return Promise.all(chosen.flatMap((one) => COMMANDS[one]?.() ?? []));
}

async function main(): Promise<void> {
  if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
    throw new Error(
      `Crossfade needs Node ${OLDEST_NODE} or newer, but this is ${process.version}: run it with npm, which installs its own Node`,
    );
  }
  const program = new Command('crossfade')
    .description('A live, verified, reversible migration of agent memory')
    .version(version)
    // Options after the name of a command belong to that command.
    .enablePositionalOptions();
  const commands = await asked();
  for (const command of commands) program.addCommand(command);
  // With a single requested command the others are not loaded, so they cannot be completed.
  if (commands.length > 1) (await import('./cli/completion.ts')).addCompletion(program, isSuggesting);
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
  // An open channel to the parent would keep a failed start alive.
  if (process.connected) process.disconnect();
}
