import { type Command, InvalidArgumentError, Option } from 'commander';
import { LEDGER_STATES } from '../operator/api/endpoint.ts';
import { decidedWords, type WriteDecision } from '../operator/views/ledgers.ts';
import { callProxy, type Environment } from './operator-client.ts';
import { personOptions, type PersonOptions, proxyOptions, type ProxyOptions } from './proxy-options.ts';

export interface LedgerOptions extends ProxyOptions {
  readonly service?: string;
  readonly state: (typeof LEDGER_STATES)[number];
  readonly limit: string;
}

const MOST = 1_000;

/** Adds the options of a command that lists dead letters, unknown outcomes or halted writes. */
export function ledgerOptions(command: Command, env: Environment): Command {
  const listing = command
    .option('--service <name>', 'only this service (default: all)')
    .addOption(new Option('--state <state>', 'which entries to list').choices(LEDGER_STATES).default('open'))
    .addOption(limitOption('entries', 50));
  return proxyOptions(listing, env);
}

/** By the name of the subcommand. */
type Decisions = Readonly<Record<string, readonly [endpoint: WriteDecision, description: string]>>;

/** Adds a subcommand for each decision that a person can make about writes of a ledger. */
export function decisionCommands(ledger: Command, env: Environment, decisions: Decisions): void {
  for (const [name, [endpoint, description]] of Object.entries(decisions)) {
    const command = ledger
      .command(name)
      .argument('<operation...>', `ids of operations, as in crossfade ${ledger.name()} list`)
      .description(description);
    personOptions(command, env).action((operations: string[], options: PersonOptions) =>
      decide(endpoint, operations, options),
    );
  }
}

async function decide(
  endpoint: WriteDecision,
  operations: readonly string[],
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  for (const operation of operations) {
    const text = await callProxy(at, endpoint, { params: { operation }, body: { person, reason } });
    console.log(json === true ? text : decidedWords(endpoint, operation));
  }
}

/** Limits the number of entries of a list. The default is described too, because commander prints a text in quotes. */
export function limitOption(what: string, usual: number): Option {
  return new Option('--limit <n>', `maximum number of ${what}, 1 to ${MOST}`)
    .argParser(parseLimit)
    .default(String(usual), String(usual));
}

function parseLimit(text: string): string {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST)
    throw new InvalidArgumentError(`must be a whole number from 1 to ${MOST}, got "${text}"`);
  return String(limit);
}
