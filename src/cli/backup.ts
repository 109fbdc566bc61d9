import { Command } from 'commander';
import type { MakeOptions, RestoreOptions } from './keep-backup.ts';
import type { Environment } from './operator-client.ts';

const DEFAULT_CONFIG = './config/crossfade.yaml';

const HELP = `
Example: crossfade backup --service session-memory --out /backups/session-1
A backup is a folder that contains:
  - a snapshot of the service's own file
  - its lanes as JSON lines, as read from the file, and as the service returns them, if a read does not change the service
  - manifest.json with counts and SHA-256 digests, written last
The files are compressed with zstd. They hold unencrypted memories, so only the owner of the folder may read it.
The backup reads the service and its file directly, not through a running proxy. Stop all writers before the last backup.
Exit codes: 0 success; 1 error (reason on stderr), or the backup is damaged; 2 lanes differ, because the service was written to
during the backup, or because a restored instance does not show what the backup holds.`;

/** Loaded on use, because help and completion do not need it. */
const work = () => import('./keep-backup.ts');

/** `crossfade backup`: copies of a legacy store, to keep after the service is switched off. */
export function createBackupCommand(env: Environment): Command {
  const backup = new Command('backup')
    .description('Back up the store of a legacy service; verify and restore backups')
    // Options after the name of a subcommand belong to that subcommand.
    .enablePositionalOptions()
    .option('--service <name>', 'service to back up (required)')
    .option('--out <folder>', 'target folder, which must be empty or not exist (required)')
    .option('--owners <file>', 'file with one owner per line, for a service that cannot list its owners')
    .option('--config <file>', 'proxy settings that name the service and its file', DEFAULT_CONFIG)
    .option('--json', 'print the manifest as one JSON object')
    .addHelpText('afterAll', HELP)
    .action(async (options: MakeOptions) => (await work()).make(options, env));
  backup
    .command('verify')
    .argument('<folder>', 'folder of the backup')
    .description('Read the whole backup and compare it with its manifest')
    .option('--json', 'print JSON')
    .action(async (folder: string, options: { json?: true }) => (await work()).verify(folder, options));
  backup
    .command('restore')
    .argument('<folder>', 'folder of the backup')
    .description('Restore a backup into a scratch instance, and read every lane back')
    .requiredOption(
      '--into <target>',
      "an empty folder for the service's file; or tcp://host:port of an empty instance, to which every item is written again, only for services that a read does not change (required)",
    )
    .option('--config <file>', 'proxy settings that name the definition of the service', DEFAULT_CONFIG)
    .option('--json', 'print JSON')
    .action(async (folder: string, options: RestoreOptions) => (await work()).restore(folder, options, env));
  return backup;
}
