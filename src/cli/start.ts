import { Command } from 'commander';
import { existsSync } from 'node:fs';
import type { Environment } from '../config.ts';

const EMBEDDED_CONFIG = './config/crossfade.yaml';

const EXIT_CODES = `
Exit codes: 0 stopped by SIGTERM or SIGINT after every write in progress had its reply; 1 start failed (reason on stderr); 130 ended at
once by a second signal.`;

/** `crossfade start`: the whole embedded default, or with --config the proxy alone. */
export function createStartCommand(env: Environment): Command {
  return new Command('start')
    .description(
      'Run the proxy: alone with --config, else with three stand-in legacy services and the orchestrator',
    )
    .option(
      '--config <file>',
      'settings of the proxy in front of real services (config/production.example.yaml)',
    )
    .addHelpText('after', EXIT_CODES)
    .action(async ({ config }: { config?: string }) => {
      // Help and completion need nothing of the proxy.
      if (config !== undefined) return (await import('./start-alone.ts')).startAlone(config, env);
      if (!existsSync(EMBEDDED_CONFIG)) {
        throw new Error(
          `${EMBEDDED_CONFIG} is not here: start in the project's folder, or name a file with --config`,
        );
      }
      return (await import('./embedded.ts')).startEmbedded(EMBEDDED_CONFIG, env);
    });
}
