import { Command } from 'commander';
import type { Logger } from 'pino';
import type { Environment } from '../config.ts';
import { messageOf } from '../domain/errors.ts';
import { createOrchestrator } from '../orchestrator/orchestrator.ts';
import { createLog } from '../telemetry/log.ts';
import { version } from '../version.ts';
import { createKeysCommand } from './orchestrator-keys.ts';
import { loadOrchestratorSettings } from './orchestrator-settings.ts';

const HELP = `
It listens on 127.0.0.1, ZeroMQ 5570 and HTTP 5571, with an embedded database in data/orchestrator, unless told otherwise.
Try it:
  curl -d '{"session_id": "s", "payload": {"memory_type": "context", "content": {"text": "Ann likes tea"}, "create_session": true}}' \\
    http://127.0.0.1:5571/v1/create
  curl -d '{"session_id": "s", "payload": {"query": "tea"}}' http://127.0.0.1:5571/v1/search
GET /openapi.json describes every action and field, GET /health/ready says how it is.

Exit codes: 0 stopped by SIGTERM or SIGINT, and what it had taken in is answered; 1 it could not start.`;

interface Flags {
  readonly config?: string;
  readonly databaseUrl?: string;
  readonly folder?: string;
  readonly host?: string;
  readonly port?: string;
  readonly httpPort?: string;
}

/** `crossfade orchestrator`: runs the Memory Orchestrator until it is told to stop. */
export function createOrchestratorCommand(env: Environment): Command {
  return (
    new Command('orchestrator')
      .description('Run the new Memory Orchestrator')
      .option('--config <file>', 'settings as YAML; config/orchestrator.example.yaml explains each')
      .option('--folder <path>', 'folder of the embedded database (ORCHESTRATOR_FOLDER)')
      .option('--host <address>', 'address to listen on (ORCHESTRATOR_HOST)')
      .option('--port <number>', 'ZeroMQ port (ORCHESTRATOR_PORT)')
      .option('--http-port <number>', 'HTTP port (ORCHESTRATOR_HTTP_PORT)')
      .option('--database-url <url>', 'PostgreSQL to use instead (ORCHESTRATOR_DATABASE_URL)')
      .addHelpText('after', HELP)
      .action((flags: Flags) => run(flags, env))
      // Options behind the name of a subcommand are that one's.
      .enablePositionalOptions()
      .addCommand(createKeysCommand(env))
  );
}

async function run(flags: Flags, env: Environment): Promise<void> {
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
    await orchestrator.start();
  } catch (error) {
    throw new Error(`The orchestrator could not start: ${messageOf(error)}`, { cause: error });
  }
  const { host, port, httpPort } = listen;
  const database = storage.databaseUrl === undefined ? 'pglite' : 'postgres';
  if (database === 'pglite')
    log.info(
      { folder: storage.folder },
      'Embedded database: it survives a crash of the process, not of the machine',
    );
  log.info({ ready: true, host, port, http_port: httpPort, database }, 'ready');
  process.send?.({ type: 'ready', port, httpPort });
  await stopped;
}

/** Resolves when the process was asked to end, by a signal or by its parent's leaving, and everything accepted is answered. */
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
    if (process.send !== undefined) process.once('disconnect', () => end('parent left'));
  });
}
