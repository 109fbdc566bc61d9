import type { Command } from 'commander';
import { nearestName } from '../shared/nearest-name.ts';

/** Reports an unknown subcommand before parsing, because commander prints the group's help for `group nonsense --help`. */
export function refuseUnknownCommand(command: Command, words: readonly string[]): void {
  const [word, ...rest] = words;
  if (word === undefined || word.startsWith('-') || word === 'help') return;
  const known = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
  if (known !== undefined) return refuseUnknownCommand(known, rest);
  const takesWords = command.commands.length === 0 || command.registeredArguments.length > 0;
  if (takesWords) return;
  const names = command.commands.map((one) => one.name());
  const near = nearestName(word, names);
  const proposal = near === undefined ? '' : ` (did you mean "${near}"?)`;
  command.error(`error: unknown command "${word}"${proposal}. Commands: ${names.join(', ')}`);
}
