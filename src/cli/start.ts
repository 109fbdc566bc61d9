import { Command } from 'commander';
import { existsSync } from 'node:fs';
import { loadConfig, type Environment } from '../config.ts';
import { loadDefinitions } from '../definitions.ts';
import { createEventPipe } from '../telemetry/event-pipe.ts';
import type { EventName, Listener } from '../migration/events.ts';
import { createProxy } from '../proxy.ts';
import { version } from '../version.ts';
import { runUntilStopped } from './run.ts';
import { startEmbedded } from './embedded.ts';

const EMBEDDED_CONFIG = './config/crossfade.yaml';

const EXIT_CODES = `
Exit codes: 0 stopped by SIGTERM or SIGINT, and every write under way has its reply; 1 it could not start, and why is said; 130 ended at
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
      if (config !== undefined) return startAlone(config, env);
      if (!existsSync(EMBEDDED_CONFIG)) {
        throw new Error(
          `${EMBEDDED_CONFIG} is not here: start in the project's folder, or name a file with --config`,
        );
      }
      return startEmbedded(EMBEDDED_CONFIG, env);
    });
}

async function startAlone(file: string, env: Environment): Promise<void> {
  const config = loadConfig(file, env, 'real');
  const services = await loadDefinitions(config);
  const proxy = createProxy({
    config,
    services,
    version,
    isTerminal: process.stdout.isTTY,
    listeners: listenersOf(env),
  });
  await runUntilStopped(proxy, () => process.send?.({ type: 'ready' }));
}

/** Crash tests see every event of the engine on a pipe, and stop the process at the one they name. */
function listenersOf(env: Environment): Listener[] {
  const fd = env['CROSSFADE_EVENT_FD'];
  const haltOn = env['CROSSFADE_HALT_ON'];
  if (fd === undefined) return [];
  return [createEventPipe({ fd: Number(fd), ...(haltOn !== undefined && { haltOn: haltOn as EventName }) })];
}
