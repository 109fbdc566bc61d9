import { type Command, InvalidArgumentError, Option } from 'commander';
import { LEDGER_STATES } from '../operator/api/endpoint.ts';
import type { Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

export interface LedgerOptions extends ProxyOptions {
  readonly service?: string;
  readonly state: (typeof LEDGER_STATES)[number];
  readonly limit: string;
}

const MOST = 1_000;

/** Adds the options of a command that lists dead letters or unknown outcomes. */
export function ledgerOptions(command: Command, env: Environment): Command {
  const listing = command
    .option('--service <name>', 'only this service (default: all)')
    .addOption(new Option('--state <state>', 'which entries to list').choices(LEDGER_STATES).default('open'))
    .option('--limit <n>', `maximum number of entries, 1 to ${MOST}`, parseLimit, '50');
  return proxyOptions(listing, env);
}

export function parseLimit(text: string): string {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST)
    throw new InvalidArgumentError(`must be a whole number from 1 to ${MOST}, got "${text}"`);
  return String(limit);
}
