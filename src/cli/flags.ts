import { Command } from 'commander';
import { createFlagListCommand, createFlagSetCommand } from './flags-in-files.ts';
import type { Environment } from './operator-client.ts';
import type { PushSettings } from './push-flags.ts';

const HELP = `
The server and its token come from rollout.unleash in the configuration (url, adminToken, project, environment), or from the
environment variables UNLEASH_URL, UNLEASH_ADMIN_TOKEN, UNLEASH_PROJECT and UNLEASH_ENVIRONMENT.
push fails (exit code 1) if any flag could not be created.`;

const EXIT_CODES = `
Exit codes: 0 success, 1 error (reason on stderr).`;

/** `crossfade flags`: lists flags, changes flags that are stored in files, creates flags in Unleash. */
export function createFlagsCommand(env: Environment): Command {
  const flags = new Command('flags')
    .description('List flags, change flags stored in files, create flags in Unleash')
    .addHelpText('afterAll', EXIT_CODES)
    .addCommand(createFlagListCommand(env))
    .addCommand(createFlagSetCommand(env));
  flags
    .command('push')
    .description(
      'Create the missing flags of the configured services in Unleash: percentages at 0 %, switches off. A flag that has a strategy stays as it is',
    )
    .option('--config <file>', 'settings file of the proxy', './config/crossfade.yaml')
    .option('--dry-run', 'only print what would be created')
    .option('--json', 'one JSON object instead of lines')
    .addHelpText('after', HELP)
    // Loaded on use, because help and completion do not need the settings.
    .action(async (settings: PushSettings) => (await import('./push-flags.ts')).push(settings, env));
  return flags;
}
