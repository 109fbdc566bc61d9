import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { freePort } from './ports.ts';

/** Databases on a real PostgreSQL. */
export interface TestPostgres {
  /** The address of the database `postgres`, or of one that `createDatabase` has made under this name. */
  url(database: string): string;
  /**
   * Creates an empty database and returns its address. On a shared server its real name differs from the given one:
   * take the real name from the address (`databaseOf`) where a statement needs it.
   */
  createDatabase(name?: string): Promise<string>;
  /** Runs one statement as superuser. */
  execute(sql: string, database?: string): Promise<unknown[]>;
  stop(): Promise<void>;
}

/** A PostgreSQL of its own, in a temporary folder. Ends with the process that started it, however that ends. */
export interface OwnPostgres extends TestPostgres {
  readonly port: number;
  /** SIGKILL to the server: a crash without a shutdown. */
  kill(): void;
  /** Starts it again on its data, once its last session has noticed that it was killed. */
  restart(): Promise<void>;
}

/** Set by `test/support/shared-postgres.ts`: the socket that answers with the port of the server of this test run. */
export const SHARED_POSTGRES = 'CROSSFADE_TEST_POSTGRES';

/** The real name of a database: a shared server holds the databases of many files. */
export const databaseOf = (url: string): string => new URL(url).pathname.slice(1);

interface Ready {
  readonly pid: number;
}

interface Server extends Ready {
  readonly port: number;
  readonly process: ChildProcess;
}

// Another test run on the same machine may take the port between the look and the start.
const START_TRIES = 3;

async function startServer(flags: readonly string[]): Promise<Server> {
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'crossfade-postgres-'));
    // The server runs as the user postgres where this runs as root; mkdtemp's 0700 would keep it out.
    await chmod(folder, 0o755);
    const child = fork(fileURLToPath(new URL('postgres-server.ts', import.meta.url)), [], {
      env: {
        ...process.env,
        POSTGRES_PORT: String(port),
        POSTGRES_FOLDER: folder,
        POSTGRES_FLAGS: flags.join(' '),
      },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    try {
      return { ...(await ready(child)), port, process: child };
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      if (tries === START_TRIES) throw error;
    }
  }
}

async function executeAt(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    const { rows } = await client.query(sql);
    return rows as unknown[];
  } finally {
    await client.end();
  }
}

const urlAt = (port: number, database: string) =>
  `postgres://postgres:password@127.0.0.1:${port}/${database}`;

/** Databases on the server of this test run, which the first file that asks starts; outside a test run on a server of its own. */
export async function startPostgres(): Promise<TestPostgres> {
  const path = process.env[SHARED_POSTGRES];
  return path === undefined ? startOwnPostgres() : sharedPostgres(await sharedPort(path));
}

async function sharedPort(path: string): Promise<number> {
  const socket = createConnection(path);
  await once(socket, 'connect');
  const answer = await text(socket);
  if (!/^\d+$/.test(answer)) throw new Error(answer);
  return Number(answer);
}

function sharedPostgres(port: number): TestPostgres {
  const prefix = `t${randomBytes(5).toString('hex')}`;
  const made = new Set<string>();
  const real = (name: string): string => (made.has(`${prefix}_${name}`) ? `${prefix}_${name}` : name);
  const url = (database: string) => urlAt(port, real(database));
  return {
    url,
    execute: (sql, database = 'postgres') => executeAt(url(database), sql),
    async createDatabase(name = String(made.size + 1)) {
      const database = `${prefix}_${name}`;
      await executeAt(urlAt(port, 'postgres'), `create database ${pg.escapeIdentifier(database)}`);
      made.add(database);
      return urlAt(port, database);
    },
    async stop() {
      for (const database of made)
        await executeAt(
          urlAt(port, 'postgres'),
          `drop database if exists ${pg.escapeIdentifier(database)} with (force)`,
        );
      made.clear();
    },
  };
}

/** Starts a PostgreSQL that may be killed or changed as a whole. Takes about two seconds. */
export async function startOwnPostgres(flags: readonly string[] = []): Promise<OwnPostgres> {
  const started = await startServer(flags);
  const { port, process: server } = started;
  let { pid } = started;
  const urlOf = (database: string) => urlAt(port, database);
  let created = 0;
  const execute = (sql: string, database = 'postgres') => executeAt(urlOf(database), sql);

  return {
    port,
    url: urlOf,
    execute,
    async createDatabase(name = `test_${process.pid}_${++created}`) {
      await execute(`create database ${pg.escapeIdentifier(name)}`);
      return urlOf(name);
    },
    async stop() {
      if (server.exitCode === null && server.signalCode === null) {
        const exited = new Promise((resolve) => server.once('exit', resolve));
        if (server.connected) server.disconnect();
        await exited;
      }
    },
    kill: () => process.kill(pid, 'SIGKILL'),
    async restart() {
      server.send('restart');
      pid = (await ready(server)).pid;
    },
  };
}

function ready(server: ChildProcess): Promise<Ready> {
  return new Promise((resolve, reject) => {
    server.once('message', (message) => resolve(message as Ready));
    server.once('exit', (code) => reject(new Error(`PostgreSQL did not start (exit ${code})`)));
  });
}
