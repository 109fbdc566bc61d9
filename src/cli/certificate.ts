import { Command } from 'commander';
import type { Environment } from './operator-client.ts';
import {
  personOptions,
  type PersonOptions,
  proxyOptions,
  type ProxyOptions,
  SERVICE_ARGUMENT,
} from './proxy-options.ts';

const HELP = `
Exit codes: 0 success, 1 error (reason on stderr), 2 verify found that the certificate is not valid.`;

const VERIFY_HELP = `
Without --key this proves only that the file is unchanged since it was signed. Anyone can sign a changed file with a key of their own.
With --key it also proves that the owner of that key signed it.`;

/** Loaded on use, because help and completion do not need it. */
const work = () => import('./keep-certificate.ts');

/** `crossfade certificate`: the proof of a finished migration, and the keys that sign it. */
export function createCertificateCommand(env: Environment): Command {
  const certificate = new Command('certificate')
    .description('Verify the certificate of a completed service; create the keys that sign certificates')
    .addHelpText('afterAll', HELP);
  certificate
    .command('verify')
    .argument('<file>', 'the certificate, as JSON')
    .description('Check whether a certificate is unchanged, and who signed it')
    .option('--key <file>', "the signer's public key, as PEM")
    .option('--json', 'print JSON')
    .addHelpText('after', VERIFY_HELP)
    .action(async (file: string, options: { key?: string; json?: true }) =>
      (await work()).verify(file, options),
    );
  proxyOptions(
    certificate
      .command('show')
      .argument(...SERVICE_ARGUMENT)
      .description('Get the certificate of a completed service')
      .option('--out <file>', 'write the certificate to this file')
      .option('--html <file>', 'also write the certificate as an HTML page to this file'),
    env,
  ).action(async (service: string, options: ProxyOptions & { out?: string; html?: string }) =>
    (await work()).show(service, options),
  );
  personOptions(
    certificate
      .command('issue')
      .argument(...SERVICE_ARGUMENT)
      .description('Sign the certificate of a completed service, for the first time or with another key')
      .option('--key <file>', 'private key that signs the certificate, as PEM (required)')
      .option('--out <file>', 'write the certificate to this file (required)')
      .option('--html <file>', 'also write the certificate as an HTML page to this file'),
    env,
  ).action(async (service: string, options: PersonOptions & { key: string; out: string; html?: string }) =>
    (await work()).issue(service, options),
  );
  const key = certificate.command('key').description('Create the keys that sign certificates');
  key
    .command('create')
    .argument('<name>', 'name of both files, without the ending')
    .description('Create a key pair (Ed25519): <name>.key (keep secret) and <name>.pub (share)')
    .option('--folder <path>', 'folder for the two files', '.')
    .option('--json', 'print JSON')
    .action(async (name: string, options: { folder: string; json?: true }) =>
      (await work()).createKey(name, options),
    );
  return certificate;
}
