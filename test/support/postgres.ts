import { type ChildProcess, fork } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { freePort } from './ports.ts';

/** A real PostgreSQL of its own, in a temporary folder. Ends with the process that started it, however that ends. */
export interface TestPostgres {
  url(database: string): string;
  /** Creates an empty database and returns its url. */
  createDatabase(name?: string): Promise<string>;
  /** Runs one statement as superuser. */
  execute(sql: string, database?: string): Promise<unknown[]>;
  stop(): Promise<void>;
  /** SIGKILL to the server: as a crash, without a farewell. */
  kill(): void;
  /** Starts it again on its data, once its last session has noticed that it was killed. */
  restart(): Promise<void>;
}

interface Ready {
  readonly pid: number;
}

interface Server extends Ready {
  readonly port: number;
  readonly process: ChildProcess;
}

// Another test run on the same machine may take the port between the look and the start.
const START_TRIES = 3;

async function startServer(): Promise<Server> {
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const folder = await mkdtemp(join(tmpdir(), 'crossfade-postgres-'));
    // The server runs as the user postgres where this runs as root; mkdtemp's 0700 would keep it out.
    await chmod(folder, 0o755);
    const child = fork(fileURLToPath(new URL('postgres-server.ts', import.meta.url)), [], {
      env: { ...process.env, POSTGRES_PORT: String(port), POSTGRES_FOLDER: folder },
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

/** Starts PostgreSQL in a child process. Takes about two seconds. */
export async function startPostgres(): Promise<TestPostgres> {
  const started = await startServer();
  const { port, process: server } = started;
  let { pid } = started;
  const urlOf = (database: string) => `postgres://postgres:password@127.0.0.1:${port}/${database}`;
  let created = 0;

  async function execute(sql: string, database = 'postgres'): Promise<unknown[]> {
    const client = new pg.Client({ connectionString: urlOf(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      const { rows } = await client.query(sql);
      return rows as unknown[];
    } finally {
      await client.end();
    }
  }

  return {
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
