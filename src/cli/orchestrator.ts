import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import pino, { type Logger } from 'pino';
import { messageOf } from '../domain/errors.ts';
import { createOrchestrator, type DatabaseSettings } from '../orchestrator/orchestrator.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface Flags {
  readonly databaseUrl?: string;
  readonly folder: string;
  readonly host: string;
  readonly port: string;
  readonly httpPort: string;
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/** `crossfade orchestrator`: runs the Memory Orchestrator until it is told to stop. */
export function createOrchestratorCommand(env: Environment): Command {
  const given = (name: string, otherwise: string) => env[`ORCHESTRATOR_${name}`] ?? otherwise;
  const command = new Command('orchestrator')
    .description('Run the new Memory Orchestrator')
    .option('--folder <path>', 'folder of the embedded database', given('FOLDER', './data/orchestrator'))
    .option('--host <address>', 'address to listen on', given('HOST', '127.0.0.1'))
    .option('--port <number>', 'ZeroMQ port', given('PORT', '5570'))
    .option('--http-port <number>', 'HTTP port', given('HTTP_PORT', '5571'));
  // Not shown as a default: it may hold a password.
  command.option('--database-url <url>', 'PostgreSQL to use instead (ORCHESTRATOR_DATABASE_URL)');
  return command.action((flags: Flags) => run(flags, env['ORCHESTRATOR_DATABASE_URL']));
}

async function run(flags: Flags, databaseUrl: string | undefined): Promise<void> {
  const log = pino({ name: 'orchestrator' });
  const { host, port, httpPort } = settingsOf(flags);
  const url = flags.databaseUrl ?? databaseUrl;
  const database: DatabaseSettings =
    url === undefined || url === '' ? { kind: 'pglite', folder: flags.folder } : { kind: 'postgres', url };
  const orchestrator = createOrchestrator({ host, port, httpPort, database, version: versionOf(), log });
  const stopped = stopOnSignal(log, () => orchestrator.stop());
  try {
    await orchestrator.start();
  } catch (error) {
    throw new Error(`The orchestrator could not start: ${messageOf(error)}`, { cause: error });
  }
  if (database.kind === 'pglite')
    log.info(
      { folder: database.folder },
      'Embedded database: it survives a crash of the process, not of the machine',
    );
  log.info({ ready: true, host, port, http_port: httpPort, database: database.kind }, 'ready');
  process.send?.({ type: 'ready', port, httpPort });
  await stopped;
}

interface Addresses {
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
}

/** @throws Error listing every problem at once */
function settingsOf(flags: Flags): Addresses {
  const problems: string[] = [];
  const portOf = (text: string, name: string): number => {
    const port = Number(text);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      problems.push(`${name} must be a port from 1 to 65535, got "${text}"`);
    return port;
  };
  const port = portOf(flags.port, 'port');
  const httpPort = portOf(flags.httpPort, 'http-port');
  if (port === httpPort) problems.push(`port and http-port are both ${port}`);
  if (!LOOPBACK.has(flags.host))
    problems.push(`host must be a loopback address while there are no access keys, got "${flags.host}"`);
  if (problems.length > 0) throw new Error(`Settings are not usable:\n  - ${problems.join('\n  - ')}`);
  return { host: flags.host, port, httpPort };
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

function versionOf(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
