import { Command } from 'commander';
import { existsSync } from 'node:fs';
import type { Environment } from '../config/config.ts';

const EMBEDDED_CONFIG = './config/crossfade.yaml';

const EXIT_CODES = `
Exit codes: 0 stopped by SIGTERM or SIGINT after every write in progress was answered; 1 start failed (reason on stderr); 130 ended by
a second signal.`;

/** `crossfade start`: the embedded default, or with --config only the proxy. */
export function createStartCommand(env: Environment): Command {
  return new Command('start')
    .description(
      'Run the proxy. Without --config, run also the orchestrator and three stand-in legacy services',
    )
    .option(
      '--config <file>',
      'settings file of the proxy (YAML); config/production.example.yaml explains every setting',
    )
    .addHelpText('after', EXIT_CODES)
    .action(async ({ config }: { config?: string }) => {
      // Loaded on use, because help and completion do not need the proxy.
      if (config !== undefined) return (await import('./start-alone.ts')).startAlone(config, env);
      if (!existsSync(EMBEDDED_CONFIG)) {
        throw new Error(
          `${EMBEDDED_CONFIG} not found: start in the project's folder, or pass a settings file with --config`,
        );
      }
      return (await import('./embedded.ts')).startEmbedded(EMBEDDED_CONFIG, env);
    });
}
