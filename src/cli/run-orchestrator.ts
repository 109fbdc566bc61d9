import type { Logger } from 'pino';
import type { Environment } from '../config/config.ts';
import { messageOf } from '../domain/errors.ts';
import { createOrchestrator } from '../orchestrator/orchestrator.ts';
import type { Settings } from '../orchestrator/settings.ts';
import type { Listener } from '../compose/listeners.ts';
import { refuseTakenPorts } from '../compose/ports.ts';
import { createLog } from '../telemetry/log.ts';
import { version } from './version.ts';
import { inAskedFolder } from './asked-file.ts';
import { loadOrchestratorSettings } from './orchestrator-settings.ts';

/** The settings that the command line can set. */
export interface OrchestratorFlags {
  readonly config?: string;
  readonly databaseUrl?: string;
  readonly folder?: string;
  readonly host?: string;
  readonly port?: string;
  readonly httpPort?: string;
}

/** Runs the orchestrator until it is stopped. */
export async function runOrchestrator(flags: OrchestratorFlags, env: Environment): Promise<void> {
  const settings = loadOrchestratorSettings({
    file: flags.config,
    env,
    flags: {
      'listen.host': flags.host,
      'listen.port': flags.port,
      'listen.httpPort': flags.httpPort,
      'storage.folder': flags.folder,
      'storage.databaseUrl': flags.databaseUrl,
    },
  });
  const { listen, storage, telemetry } = settings;
  const log = createLog({ name: 'orchestrator', level: telemetry.logLevel, pretty: false });
  const orchestrator = createOrchestrator({ settings, version, log });
  const stopped = stopOnSignal(log, () => orchestrator.stop());
  try {
    await refuseTakenPorts(listenersOf(settings));
    await inAskedFolder({ option: 'storage.folder (--folder)', path: storage.folder }, () =>
      orchestrator.start(),
    );
  } catch (error) {
    throw new Error(`The orchestrator could not start: ${messageOf(error)}`, { cause: error });
  }
  const { host, port, httpPort } = listen;
  const database = storage.databaseUrl === undefined ? 'pglite' : 'postgres';
  if (database === 'pglite')
    log.info(
      { folder: storage.folder },
      'The embedded database survives a crash of the process, but not of the machine',
    );
  log.info({ ready: true, host, port, http_port: httpPort, database }, 'ready');
  process.send?.({ type: 'ready', port, httpPort });
  await stopped;
}

/** The ports, each named by its setting and its option. */
function listenersOf({ listen: { host, port, httpPort } }: Settings): Listener[] {
  return [
    { key: 'listen.port (--port)', host, port },
    { key: 'listen.httpPort (--http-port)', host, port: httpPort },
  ];
}

/** Resolves after a signal or the exit of the parent process, when every accepted request is answered. */
function stopOnSignal(log: Logger, stop: () => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let stopping = false;
    const end = (reason: string): void => {
      if (stopping) return;
      stopping = true;
      log.info({ reason }, 'stopping');
      stop()
        .then(() => {
          log.info('stopped');
          if (process.connected) process.disconnect();
          resolve();
        })
        .catch(reject);
    };
    process.on('SIGTERM', () => end('SIGTERM'));
    process.on('SIGINT', () => end('SIGINT'));
    if (process.send !== undefined) process.once('disconnect', () => end('parent process exited'));
  });
}
