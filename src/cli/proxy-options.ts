import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { tokenOption, urlOption, type Environment, type ProxyAddress } from './operator-client.ts';

/** What a command knows that asks a running proxy. */
export interface ProxyOptions extends ProxyAddress {
  readonly json?: true;
}

export interface PersonOptions extends ProxyOptions {
  /** Absent where the token says who it is. */
  readonly person?: string;
  readonly reason: string;
}

/** For a command that asks a running proxy. */
export function proxyOptions(command: Command, env: Environment, json = 'as JSON'): Command {
  return command.option('--json', json).addOption(urlOption(env)).addOption(tokenOption(env));
}

/** For a command that changes something. */
export function personOptions(command: Command, env: Environment, json?: string): Command {
  return proxyOptions(
    command
      .option('--reason <text>', 'why (required; recorded in the audit log)')
      .option('--person <name>', 'who is responsible (required unless a token says it)')
      // Commander would report one missing option at a time.
      .hook('preAction', refuseMissingOptions),
    env,
    json,
  );
}

const IS_REQUIRED = /\(required/;

/** Reports everything that is missing at once: what is required says so in its description. */
function refuseMissingOptions(command: Command): void {
  const given = command.opts<Readonly<Record<string, string | undefined>>>();
  const isGiven = (name: string): boolean => (given[name] ?? '').trim() !== '';
  const missing = command.options.filter(
    (option) => IS_REQUIRED.test(option.description) && !isGiven(option.attributeName()),
  );
  const named = missing
    .filter((option) => option.attributeName() !== 'person' || !isGiven('token'))
    .map(({ flags }) => flags);
  if (named.length > 0) command.error(`error: missing required options: ${named.join(', ')}`);
}

/** Who begins a run and why, as the audit has it. */
export interface Responsible {
  readonly person: string;
  readonly reason: string;
}

/** Where nobody said it: the user of this machine. A token's name stands above it. */
export function responsibleFor({ person, reason }: Partial<Responsible>): Responsible {
  return { person: person ?? userName(), reason: reason ?? 'asked for on the command line' };
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'command line';
  }
}
