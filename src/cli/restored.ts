import { Command } from 'commander';
import { answeringWords, restoredTable } from '../operator/views/restored.ts';
import { tableText } from '../operator/views/terminal.ts';
import { ledgerOptions, type LedgerOptions } from './ledger-options.ts';
import { callPatiently, callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, type PersonOptions, SERVICE_ARGUMENT } from './proxy-options.ts';

/** `crossfade restored`: lanes that a restored database has only in part. */
export function createRestoredCommand(env: Environment): Command {
  const restored = new Command('restored')
    .description('List lanes that a restored database has only in part, and let them answer again')
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  ledgerOptions(
    restored
      .command('list')
      .description(
        'List the lanes, newest first, with their positions in the journal and in the orchestrator (epoch.generation.sequence)',
      ),
    env,
  ).action(list);
  personOptions(
    restored
      .command('accept')
      .argument(...SERVICE_ARGUMENT)
      .argument('[owner...]', 'owners of the lanes, as in crossfade restored list')
      .option('--all', 'every lane of the service that waits for a decision')
      .description(
        'Let lanes answer again with what the orchestrator holds. Name their owners, or give --all',
      ),
    env,
  ).action(accept);
  personOptions(
    restored
      .command('backed-up')
      .argument('<time>', 'a verified backup of the orchestrator holds everything up to this time (ISO-8601)')
      .description(
        'Let the journal drop writes of flipped lanes that are older than a verified backup of the orchestrator',
      ),
    env,
  ).action(backedUp);
  return restored;
}

async function list({ service, state, limit, json, ...at }: LedgerOptions): Promise<void> {
  const text = await callProxy(at, 'listRestored', { query: { state, limit, service } });
  if (json === true) return console.log(text);
  console.log(tableText(restoredTable(parsed(text).lanes)));
}

async function accept(
  service: string,
  owners: readonly string[],
  { person, reason, json, all, ...at }: PersonOptions & { readonly all?: true },
): Promise<void> {
  if ((all === true) === owners.length > 0)
    throw new Error('name the owners of the lanes, or give --all: see "crossfade restored list"');
  const named = all === true ? {} : { owners: [...owners] };
  const text = await callPatiently(at, 'acceptRestored', { body: { service, ...named, person, reason } });
  if (json === true) return console.log(text);
  console.log(answeringWords(service, parsed(text)));
}

async function backedUp(until: string, { person, reason, json, ...at }: PersonOptions): Promise<void> {
  const text = await callProxy(at, 'recordBackup', { body: { until, person, reason } });
  console.log(
    json === true ? text : `the journal may drop writes of flipped lanes up to ${parsed(text).until}`,
  );
}
