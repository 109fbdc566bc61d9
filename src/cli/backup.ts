import { Command } from 'commander';
import type { MakeOptions, RestoreOptions } from './keep-backup.ts';
import type { Environment } from './operator-client.ts';

const DEFAULT_CONFIG = './config/crossfade.yaml';

const HELP = `
A backup is a folder: the service's own file as it was at one moment, its lanes as JSON lines (as the file holds them, and as the
service tells them where asking does nothing to it), all packed with zstd, and manifest.json with counts and SHA-256, written last.
It holds memory in clear: only its owner may read it.
The service is asked and its file read directly, not through a running proxy. For the last backup of all, stop its writers first.
Exit codes: 0 done; 1 not done, or damaged; 2 done, but lanes differ: the service was written to meanwhile, or a restored instance
does not show what the backup holds.`;

/** Help and completion need nothing of it. */
const work = () => import('./keep-backup.ts');

/** `crossfade backup`: copies of what a legacy service holds, to be kept when it is gone. */
export function createBackupCommand(env: Environment): Command {
  const backup = new Command('backup')
    .description('Back up what a legacy service holds; verify and restore backups')
    // Options behind the name of a subcommand are that one's.
    .enablePositionalOptions()
    .option('--service <name>', 'the service to back up')
    .option('--out <folder>', 'where to: a folder that is empty, or not there yet')
    .option('--owners <file>', 'owners, one in each line, for a service that cannot list them')
    .option('--config <file>', 'settings of the proxy: where the service and its file are', DEFAULT_CONFIG)
    .option('--json', 'the manifest as one JSON object')
    .addHelpText('afterAll', HELP)
    .action(async (options: MakeOptions) => (await work()).make(options, env));
  backup
    .command('verify')
    .argument('<folder>')
    .description('Read a backup to its last byte and compare it with its manifest')
    .option('--json', 'as JSON')
    .action(async (folder: string, options: { json?: true }) => (await work()).verify(folder, options));
  backup
    .command('restore')
    .argument('<folder>')
    .description('Restore a backup into a scratch instance, and read every lane back from it')
    .requiredOption(
      '--into <target>',
      "an empty folder for the service's file; or tcp://host:port of an empty instance, which gets every item anew, of a service whose lanes can be asked for without changing them",
    )
    .option('--config <file>', 'settings of the proxy: which definition knows the service', DEFAULT_CONFIG)
    .option('--json', 'as JSON')
    .action(async (folder: string, options: RestoreOptions) => (await work()).restore(folder, options, env));
  return backup;
}
