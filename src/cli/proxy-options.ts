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
      .requiredOption('--reason <text>', 'why; it is audited')
      .option('--person <name>', 'who answers for it; not needed where a token says it'),
    env,
    json,
  );
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
