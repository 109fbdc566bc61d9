import { Command } from 'commander';
import { createFlagListCommand, createFlagSetCommand } from './flags-in-files.ts';
import type { Environment } from './operator-client.ts';
import type { PushSettings } from './push-flags.ts';

const HELP = `
Where, and with which token: rollout.unleash in the configuration (url, adminToken, project, environment), or the environment
variables UNLEASH_URL, UNLEASH_ADMIN_TOKEN, UNLEASH_PROJECT and UNLEASH_ENVIRONMENT.
Exit code: 0 when every flag is there, 1 when one could not be made, or Unleash could not be asked.`;

const EXIT_CODES = `
Exit codes: 0 success, 1 error (reason on stderr).`;

/** `crossfade flags`: what they ask for, their change where they are files, and their making in Unleash. */
export function createFlagsCommand(env: Environment): Command {
  const flags = new Command('flags')
    .description('Flags: list them, set them where they are files, make them in Unleash')
    .addHelpText('afterAll', EXIT_CODES)
    .addCommand(createFlagListCommand(env))
    .addCommand(createFlagSetCommand(env));
  flags
    .command('push')
    .description(
      'Make the flags of the configured services that are missing in Unleash: shares at 0 %, switches off; touch no other',
    )
    .option('--config <file>', 'settings of the proxy', './config/crossfade.yaml')
    .option('--dry-run', 'only say what would be made')
    .option('--json', 'one JSON object instead of lines')
    .addHelpText('after', HELP)
    // Help and completion need nothing of the settings.
    .action(async (settings: PushSettings) => (await import('./push-flags.ts')).push(settings, env));
  return flags;
}
