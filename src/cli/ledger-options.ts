import { type Command, InvalidArgumentError, Option } from 'commander';
import { tokenOption, urlOption, type Environment, type ProxyAddress } from './operator-client.ts';

export interface LedgerOptions extends ProxyAddress {
  readonly service?: string;
  readonly state: string;
  readonly limit: string;
  readonly json?: true;
}

export interface PersonOptions extends ProxyAddress {
  /** Absent where the token says who it is. */
  readonly person?: string;
  readonly reason: string;
  readonly json?: true;
}

const MOST = 1_000;

/** For a command that lists what waits for a person. */
export function ledgerOptions(command: Command, env: Environment): Command {
  return command
    .option('--service <name>', 'only those of this service')
    .addOption(
      new Option('--state <state>', 'what is listed').choices(['open', 'ended', 'all']).default('open'),
    )
    .option('--limit <n>', `at most so many, up to ${MOST}`, parseLimit, '50')
    .option('--json', 'as JSON')
    .addOption(urlOption(env))
    .addOption(tokenOption(env));
}

/** For a command that changes something. */
export function personOptions(command: Command, env: Environment): Command {
  return command
    .requiredOption('--reason <text>', 'why; it is audited')
    .option('--person <name>', 'who answers for it; not needed where a token says it')
    .option('--json', 'as JSON')
    .addOption(urlOption(env))
    .addOption(tokenOption(env));
}

function parseLimit(text: string): string {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST)
    throw new InvalidArgumentError(`must be a whole number from 1 to ${MOST}, got "${text}"`);
  return String(limit);
}
