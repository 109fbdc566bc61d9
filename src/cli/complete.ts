import { Command } from 'commander';
import { endSections } from '../operator/views/ends.ts';
import { sectionsText } from '../operator/views/terminal.ts';
import { callProxy, type Environment, parsed } from './operator-client.ts';
import { personOptionsOf, type ProxyOptions, SERVICE_ARGUMENT } from './proxy-options.ts';

interface CompleteOptions extends ProxyOptions {
  readonly person?: string;
  readonly reason?: string;
  readonly approve?: string;
  readonly accept?: string;
  readonly confirm?: true;
  readonly backup?: string;
  readonly key?: string;
  readonly out?: string;
  readonly html?: string;
  readonly config: string;
}

const HELP = `
Without --approve, --accept or --confirm it only shows every condition and the digest of the facts.
The steps, with two persons:
  crossfade complete SERVICE                                   shows what is missing, and the digest of the facts
  crossfade complete SERVICE --approve FACTS --reason TEXT     once for each person
  crossfade complete SERVICE --confirm --backup FOLDER --key FILE --out FILE --reason TEXT
Each change also needs --person NAME, unless the token names a person. An approval counts for 24 h, and for these facts only.
Exit codes: 0 success; 1 error (reason on stderr); 2 a condition is not met.`;

const NOT_MET = 2;

/** `crossfade complete`: ends a migration, with a certificate. */
export function createCompleteCommand(env: Environment): Command {
  const command = new Command('complete')
    .argument(...SERVICE_ARGUMENT)
    .description('End the migration of a service: nothing is sent to legacy any more')
    .option('--approve <facts>', 'approve the facts that have this digest')
    .option(
      '--accept <subject>',
      'accept a condition that is not met, by its name in the column "can be accepted as"',
    )
    .option('--confirm', 'complete the service; cannot be undone')
    .option(
      '--backup <folder>',
      'needed with --confirm: make the last backup in this folder, restore it and read it back',
    )
    .option('--key <file>', 'needed with --confirm: private key that signs the certificate, as PEM')
    .option('--out <file>', 'needed with --confirm: write the certificate to this file')
    .option('--html <file>', 'with --confirm: also write the certificate as an HTML page to this file')
    .option('--config <file>', 'proxy settings that name the service and its file', './config/crossfade.yaml')
    .addHelpText('after', HELP);
  return personOptionsOf(command, env, ['approve', 'accept', 'confirm']).action(
    (service: string, options: CompleteOptions) => act(service, options, env),
  );
}

async function act(service: string, options: CompleteOptions, env: Environment): Promise<void> {
  const { person, reason, json, approve, accept, ...at } = options;
  const body = { person, reason };
  const params = { service };
  if (approve !== undefined) {
    const text = await callProxy(at, 'approveCompletion', { params, body: { ...body, facts: approve } });
    return console.log(json === true ? text : `${service}: approved for 24 h, while the facts stay the same`);
  }
  if (accept !== undefined) {
    const text = await callProxy(at, 'acceptForEnd', { params, body: { ...body, subject: accept } });
    return console.log(json === true ? text : `${service}: ${accept} is accepted`);
  }
  if (options.confirm === true) return confirm(service, options, env);
  const text = await callProxy(at, 'showEnd', { params });
  const end = parsed(text);
  console.log(json === true ? text : sectionsText(endSections(end)));
  if (end.completion.some(({ met }) => !met)) process.exitCode = NOT_MET;
}

/** What fails is found before the service is completed: the key, the backup, and the facts. */
async function confirm(service: string, options: CompleteOptions, env: Environment): Promise<void> {
  const { person, reason, json: _json, backup, config, key, out, ...at } = options;
  const missing = Object.entries({ backup, key, out }).flatMap(([name, given]) =>
    given === undefined ? [`--${name}`] : [],
  );
  if (backup === undefined || key === undefined || out === undefined)
    throw new Error(`--confirm needs ${missing.join(', ')}`);
  const certificates = await import('./keep-certificate.ts');
  certificates.readPrivateKey(key);
  const params = { service };
  const { facts } = parsed(await callProxy(at, 'showEnd', { params }));
  const { makeVerifiedBackup } = await import('./final-backup.ts');
  const made = await makeVerifiedBackup({ service, folder: backup, config }, env);
  await callProxy(at, 'recordLegacyBackup', { params, body: { person, reason, ...made } });
  await callProxy(at, 'completeService', { params, body: { person, reason, facts } });
  await certificates.issue(service, { ...options, key, out });
}
