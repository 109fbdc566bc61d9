import { Command } from 'commander';
import { decisionCommands, ledgerOptions, type LedgerOptions } from './ledger-options.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { haltedSendsTable } from '../operator/views/ledgers.ts';
import { tableText } from '../operator/views/terminal.ts';

/** Subcommand: its endpoint and its description. */
const DECISIONS = {
  retry: [
    'retryReverse',
    'Send a halted write to legacy now, however old it is. Check first that legacy does not have it',
  ],
  skip: ['skipReverse', 'Skip a halted write: legacy never gets it, and a return to legacy loses it'],
  'assume-applied': [
    'assumeReverse',
    'Assume that legacy has a halted write, and continue with the next one',
  ],
} as const;

/** `crossfade reverse`: writes of flipped lanes that cannot be sent to legacy, and the decisions about them. */
export function createReverseCommand(env: Environment): Command {
  const reverse = new Command('reverse')
    .description(
      'List and resolve halted writes: writes of flipped lanes that cannot be sent to legacy without a decision. Later writes of their lanes wait',
    )
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  ledgerOptions(reverse.command('list').description('List halted writes, newest first'), env).action(list);
  decisionCommands(reverse, env, DECISIONS);
  return reverse;
}

async function list({ service, state, limit, json, ...at }: LedgerOptions): Promise<void> {
  const text = await callProxy(at, 'listReverse', { query: { state, limit, service } });
  if (json === true) return console.log(text);
  console.log(tableText(haltedSendsTable(parsed(text).reverse)));
}
