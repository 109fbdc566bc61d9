import { loadConfig, type Environment } from '../config/config.ts';
import { loadDefinitions } from '../compose/definitions.ts';
import { createEventPipe } from '../telemetry/event-pipe.ts';
import type { EventName, Listener } from '../engine/ports/events.ts';
import { createProxy } from '../compose/proxy.ts';
import { checkFlags } from '../compose/flags.ts';
import { version } from './version.ts';
import { runUntilStopped } from './run.ts';

/** Runs only the proxy, in front of real services. */
export async function startAlone(file: string, env: Environment): Promise<void> {
  const config = loadConfig(file, env, 'real');
  await checkFlags(config);
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

/** Crash tests read every event of the engine from a pipe, and stop the process at a chosen event. */
function listenersOf(env: Environment): Listener[] {
  const fd = env['CROSSFADE_EVENT_FD'];
  const haltOn = env['CROSSFADE_HALT_ON'];
  if (fd === undefined) return [];
  return [createEventPipe({ fd: Number(fd), ...(haltOn !== undefined && { haltOn: haltOn as EventName }) })];
}
