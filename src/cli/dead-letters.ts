import { Command } from 'commander';
import { stringify } from 'yaml';
import { ledgerOptions, type LedgerOptions } from './ledger-options.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { deadLettersTable } from '../operator/views/ledgers.ts';
import { tableText } from '../operator/views/terminal.ts';

/** Subcommand: its endpoint, its description, and what it prints after the operation id. */
const CHANGES = {
  redrive: [
    'redriveDeadLetter',
    'Send a dead letter again, and read it back to verify it',
    'will be sent again',
  ],
  skip: [
    'skipDeadLetter',
    'Skip a dead letter: the orchestrator never gets it, and later writes of its lane continue',
    'is skipped',
  ],
  copy: [
    'copyLaneOfDeadLetter',
    'Copy the whole lane from legacy, which resolves the dead letter',
    'will be resolved by a copy of its lane',
  ],
} as const;

/** `crossfade dead-letters`: writes that the orchestrator refused for good, and the decisions about them. */
export function createDeadLettersCommand(env: Environment): Command {
  const letters = new Command('dead-letters')
    .description(
      'List and resolve writes that the orchestrator refused for good; later writes of their lanes wait',
    )
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  ledgerOptions(letters.command('list').description('List dead letters, newest first'), env).action(list);
  proxyOptions(
    letters
      .command('show')
      .argument('<operation>')
      .description('Show one dead letter; contents are redacted to shapes and digests'),
    env,
  ).action(async (operation: string, { json, ...at }: ProxyOptions) => {
    const text = await callProxy(at, 'showDeadLetter', { params: { operation } });
    console.log(json === true ? text : stringify(JSON.parse(text)));
  });
  for (const [name, [endpoint, description, said]] of Object.entries(CHANGES)) {
    personOptions(letters.command(name).argument('<operation...>').description(description), env).action(
      (operations: string[], options: PersonOptions) => change(endpoint, operations, { said, options }),
    );
  }
  return letters;
}

async function list({ service, state, limit, json, ...at }: LedgerOptions): Promise<void> {
  const text = await callProxy(at, 'listDeadLetters', { query: { state, limit, service } });
  if (json === true) return console.log(text);
  console.log(tableText(deadLettersTable(parsed(text).dead_letters)));
}

async function change(
  endpoint: (typeof CHANGES)[keyof typeof CHANGES][0],
  operations: readonly string[],
  { said, options }: { said: string; options: PersonOptions },
): Promise<void> {
  const { person, reason, json, ...at } = options;
  for (const operation of operations) {
    const text = await callProxy(at, endpoint, { params: { operation }, body: { person, reason } });
    console.log(json === true ? text : `${operation} ${said}`);
  }
}
