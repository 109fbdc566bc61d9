import { Command } from 'commander';
import { stringify } from 'yaml';
import { decisionCommands, ledgerOptions, type LedgerOptions } from './ledger-options.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { deadLettersTable } from '../operator/views/ledgers.ts';
import { tableText } from '../operator/views/terminal.ts';

/** Subcommand: its endpoint and its description. */
const DECISIONS = {
  redrive: ['redriveDeadLetter', 'Send a dead letter again, and read it back to verify it'],
  skip: [
    'skipDeadLetter',
    'Skip a dead letter: the orchestrator never gets it, and later writes of its lane continue',
  ],
  copy: ['copyLaneOfDeadLetter', 'Copy the whole lane from legacy, which resolves the dead letter'],
} as const;

/** `crossfade dead-letters`: writes that the orchestrator refused for good, and the decisions about them. */
export function createDeadLettersCommand(env: Environment): Command {
  const letters = new Command('dead-letters')
    .description(
      'List and resolve dead letters: writes that the orchestrator refused for good. Later writes of their lanes wait',
    )
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  ledgerOptions(letters.command('list').description('List dead letters, newest first'), env).action(list);
  proxyOptions(
    letters
      .command('show')
      .argument('<operation>', 'id of the operation, as in crossfade dead-letters list')
      .description('Show one dead letter; contents are redacted to shapes and digests'),
    env,
  ).action(async (operation: string, { json, ...at }: ProxyOptions) => {
    const text = await callProxy(at, 'showDeadLetter', { params: { operation } });
    console.log(json === true ? text : stringify(JSON.parse(text)));
  });
  decisionCommands(letters, env, DECISIONS);
  return letters;
}

async function list({ service, state, limit, json, ...at }: LedgerOptions): Promise<void> {
  const text = await callProxy(at, 'listDeadLetters', { query: { state, limit, service } });
  if (json === true) return console.log(text);
  console.log(tableText(deadLettersTable(parsed(text).dead_letters)));
}
