import { Command } from 'commander';
import type { EndOfService } from '../operator/api/ends.ts';
import { endSections, endWords } from '../operator/views/ends.ts';
import { sectionsText } from '../operator/views/terminal.ts';
import { callProxy, type Environment, parsed } from './operator-client.ts';
import { personOptionsOf, type ProxyOptions, SERVICE_ARGUMENT } from './proxy-options.ts';

interface Responsible {
  readonly person?: string;
  readonly reason?: string;
}

interface ReadOnlyOptions extends ProxyOptions, Responsible {
  readonly giveUp?: readonly string[];
  readonly dryRun?: true;
  readonly confirm?: true;
  readonly end?: true;
  readonly accept?: string;
  readonly backup?: string;
  readonly config: string;
}

const HELP = `
Without --confirm, --backup, --accept or --end it only shows every condition, as with --dry-run.
The steps:
  crossfade read-only SERVICE                                  shows what is missing
  crossfade read-only SERVICE --confirm --reason TEXT          legacy gets no later write
  crossfade read-only SERVICE --backup FOLDER --reason TEXT    backs legacy up, restores the backup, and begins the required time
The required time is the setting readOnly.requiredSeconds (default: 14 days).
Each change also needs --person NAME, unless the token names a person.
--give-up counts with --confirm. Without --confirm it shows the conditions as they would be without these lanes. The writes of a lane
that is given up are refused, and its reads are answered from the last copy.
Exit codes: 0 success; 1 error (reason on stderr); 2 a condition is not met.`;

const NOT_MET = 2;

/** `crossfade read-only`: legacy gets no more writes. */
export function createReadOnlyCommand(env: Environment): Command {
  const command = new Command('read-only')
    .argument(...SERVICE_ARGUMENT)
    .description('Make legacy read-only, so that it can be switched off later')
    .option('--dry-run', 'show every condition, and change nothing (the default)')
    .option('--confirm', 'make legacy read-only')
    .option('--give-up <lane...>', 'lanes that will not move: owners, or <service>/<owner>')
    .option(
      '--accept <subject>',
      'accept a condition that is not met, by its name in the column "can be accepted as"',
    )
    .option('--backup <folder>', 'make a backup in this folder, restore it and read it back')
    .option('--config <file>', 'proxy settings that name the service and its file', './config/crossfade.yaml')
    .option('--end', 'open the service again; legacy then gets the writes that the journal kept')
    .addHelpText('after', HELP);
  const changing = ['confirm', 'backup', 'accept', 'end'];
  return personOptionsOf(command, env, changing).action((service: string, options: ReadOnlyOptions) =>
    act(service, options, env),
  );
}

async function act(service: string, options: ReadOnlyOptions, env: Environment): Promise<void> {
  const { person, reason, json, giveUp = [], backup, accept, ...at } = options;
  const body = { person, reason };
  const params = { service };
  if (options.dryRun === true) return show(service, options);
  if (backup !== undefined) {
    const work = await import('./final-backup.ts');
    const made = await work.makeVerifiedBackup({ service, folder: backup, config: options.config }, env);
    return done(await callProxy(at, 'recordLegacyBackup', { params, body: { ...body, ...made } }), json);
  }
  if (accept !== undefined)
    return done(await callProxy(at, 'acceptForEnd', { params, body: { ...body, subject: accept } }), json);
  if (options.end === true) return done(await callProxy(at, 'endReadOnly', { params, body }), json);
  if (options.confirm !== true) return show(service, options);
  done(await callProxy(at, 'beginReadOnly', { params, body: { ...body, give_up: giveUp } }), json);
}

function done(text: string, json: true | undefined): void {
  const { service, state } = JSON.parse(text) as Pick<EndOfService, 'service' | 'state'>;
  console.log(json === true ? text : endWords(service, state));
}

async function show(service: string, { json, giveUp = [], ...at }: ReadOnlyOptions): Promise<void> {
  const query = giveUp.length === 0 ? {} : { give_up: giveUp.join(',') };
  const text = await callProxy(at, 'showEnd', { params: { service }, query });
  const end = parsed(text);
  console.log(json === true ? text : sectionsText(endSections(end)));
  if (end.read_only.some(({ met }) => !met)) process.exitCode = NOT_MET;
}
