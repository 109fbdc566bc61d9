import { Command } from 'commander';
import { ledgerOptions, type LedgerOptions } from './ledger-options.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, type PersonOptions } from './proxy-options.ts';
import { assumedWords, unknownOutcomesTable } from '../operator/views/ledgers.ts';
import { tableText } from '../operator/views/terminal.ts';

/** The two decisions that a person can make if the outcome cannot be determined. */
const CHOICES = {
  'assume-applied': [
    'applied',
    'Assume that a write took effect on legacy, and deliver it to the orchestrator',
  ],
  'assume-lost': ['lost', 'Assume that a write never took effect on legacy, and do not deliver it'],
} as const;

/** `crossfade unknown-outcomes`: the ledger of writes with an unknown outcome, and a person's decision about one. */
export function createUnknownOutcomesCommand(env: Environment): Command {
  const unknowns = new Command('unknown-outcomes')
    .description('List writes with an unknown outcome and how each was resolved, and decide about them')
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  ledgerOptions(unknowns.command('list').description('List unknown outcomes, newest first'), env).action(
    list,
  );
  for (const [name, [outcome, description]] of Object.entries(CHOICES)) {
    const command = unknowns
      .command(name)
      .argument('<operation...>', 'ids of operations, as in crossfade unknown-outcomes list')
      .description(description);
    personOptions(command, env).action((operations: string[], options: PersonOptions) =>
      assume(operations, outcome, options),
    );
  }
  return unknowns;
}

async function list({ service, state, limit, json, ...at }: LedgerOptions): Promise<void> {
  const text = await callProxy(at, 'listUnknownOutcomes', { query: { state, limit, service } });
  if (json === true) return console.log(text);
  console.log(tableText(unknownOutcomesTable(parsed(text).unknown_outcomes)));
}

async function assume(
  operations: readonly string[],
  outcome: 'applied' | 'lost',
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  for (const operation of operations) {
    const call = { params: { operation }, body: { outcome, person, reason } };
    const text = await callProxy(at, 'assumeOutcome', call);
    console.log(json === true ? text : assumedWords(outcome, operation));
  }
}
