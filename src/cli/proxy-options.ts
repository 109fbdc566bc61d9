import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { tokenOption, urlOption, type Environment, type ProxyAddress } from './operator-client.ts';

/** The argument of a command for one service. */
export const SERVICE_ARGUMENT = ['<service>', 'service name, as in crossfade status'] as const;

/** The options of a command that sends requests to a running proxy. */
export interface ProxyOptions extends ProxyAddress {
  readonly json?: true;
}

export interface PersonOptions extends ProxyOptions {
  /** Absent if the token names the person. */
  readonly person?: string;
  readonly reason: string;
}

/** Adds the options of a command that sends requests to a running proxy. */
export function proxyOptions(command: Command, env: Environment, json = 'print JSON'): Command {
  return command.option('--json', json).addOption(urlOption(env)).addOption(tokenOption(env));
}

/** Adds the options of a command that changes something. */
export function personOptions(command: Command, env: Environment, json?: string): Command {
  return proxyOptions(
    command
      .option('--reason <text>', 'why (required; recorded in the audit log)')
      .option('--person <name>', 'who is responsible (required unless the token names a person)')
      // Commander would report one missing option at a time.
      .hook('preAction', refuseMissingOptions),
    env,
    json,
  );
}

/** The same for a command that only shows something, unless one of these options is given. */
export function personOptionsOf(command: Command, env: Environment, changing: readonly string[]): Command {
  const isChange = (given: object): boolean =>
    changing.some((name) => Reflect.get(given, name) !== undefined);
  const shown = changing
    .map((name) => `--${name}`)
    .join(', ')
    .replace(/, (?=[^,]*$)/, ' and ');
  return proxyOptions(
    command
      .option('--reason <text>', `why (required with ${shown}; recorded in the audit log)`)
      .option(
        '--person <name>',
        `who is responsible (required with ${shown}, unless the token names a person)`,
      )
      .hook('preAction', (asked) => {
        if (!isChange(asked.opts())) return;
        refuseMissing(asked, ['reason', 'person']);
      }),
    env,
  );
}

const IS_REQUIRED = /\(required/;

/** Reports all missing options at once. A required option has `(required` in its description. */
function refuseMissingOptions(command: Command): void {
  const required = command.options.filter(({ description }) => IS_REQUIRED.test(description));
  refuseMissing(
    command,
    required.map((option) => option.attributeName()),
  );
}

function refuseMissing(command: Command, required: readonly string[]): void {
  const given = command.opts<Readonly<Record<string, string | undefined>>>();
  const isGiven = (name: string): boolean => (given[name] ?? '').trim() !== '';
  const missing = command.options.filter(
    (option) => required.includes(option.attributeName()) && !isGiven(option.attributeName()),
  );
  const named = missing
    .filter((option) => option.attributeName() !== 'person' || !isGiven('token'))
    .map(({ flags }) => flags);
  if (named.length > 0) command.error(`error: missing required options: ${named.join(', ')}`);
}

/** Who started a run and why, for the audit log. */
export interface Responsible {
  readonly person: string;
  readonly reason: string;
}

/** Defaults to the user of this machine. The proxy prefers the name of the token. */
export function responsibleFor({ person, reason }: Partial<Responsible>): Responsible {
  return { person: person ?? userName(), reason: reason ?? 'started on the command line' };
}

/** A container may run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return 'command line';
  }
}
