import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connectOrchestrator } from '../../support/orchestrator.ts';
import { freePorts } from '../../support/ports.ts';
import { databaseOf, startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { eventually } from '../../support/eventually.ts';
import { lockTable } from '../../support/table-lock.ts';

const PROGRAM = fileURLToPath(new URL('../../support/orchestrator-process.ts', import.meta.url));

let postgres: TestPostgres;
let folder: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  postgres = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'crossfade-orchestrator-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly httpPort: number;
  readonly exited: Promise<number | null>;
  output(): string;
}

async function run(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const child = fork(PROGRAM, ['--port', String(port), '--http-port', String(httpPort), ...args], {
    env: { ...process.env, ...env },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.push(child);
  let output = '';
  const streams = [child.stdout, child.stderr].filter((stream) => stream !== null);
  for (const stream of streams) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  // Not 'close': it does not come after a disconnect of ours.
  const printed = Promise.all(streams.map((stream) => once(stream, 'end')));
  const exited = once(child, 'exit').then(async ([code]) => {
    await printed;
    return code as number | null;
  });
  return { child, port, httpPort, exited, output: () => output };
}

async function ready(running: Running): Promise<Running> {
  const code = await Promise.race([once(running.child, 'message'), running.exited]);
  if (!Array.isArray(code)) throw new Error(`exit ${code}: ${running.output()}`);
  expect(code[0]).toMatchObject({ type: 'ready' });
  return running;
}

const MEMORY = { memory_type: 'fact', content: { text: 'a private matter' }, create_session: true };

test('SIGTERM answers accepted requests, exits 0, and loses no acknowledged write', async () => {
  const database = { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase() };
  const first = await ready(await run([], database));
  const client = connectOrchestrator(first.port);
  await client.ask('ping');
  // Holds every write up inside the orchestrator while it is told to stop.
  const lock = await lockTable(database.ORCHESTRATOR_DATABASE_URL, 'memory_entries');
  const asked = Array.from({ length: 5 }, () => client.ask('create', MEMORY, { session_id: 's' }));
  await eventually('all are accepted', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${first.httpPort}/metrics`)).text();
    return metrics.includes(`crossfade_orchestrator_open_requests ${asked.length}`);
  });
  first.child.kill('SIGTERM');
  await eventually('it is stopping', () => first.output().includes('stopping'));
  await lock.release();
  const answers = await Promise.all(asked);
  expect(answers.map(({ status }) => status)).toEqual(asked.map(() => 'success'));
  expect(await first.exited).toBe(0);
  client.close();

  const second = await ready(await run([], database));
  const again = connectOrchestrator(second.port);
  const { data } = await again.ask('batch_read', {}, { session_id: 's' });
  expect(data.memories).toHaveLength(5);
  again.close();
});

test('a database without pgvector works degraded, and is logged once', async () => {
  const running = await ready(await run([], { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase() }));
  const client = connectOrchestrator(running.port);
  await client.ask('create', MEMORY, { session_id: 's' });
  await client.ask('search', { query: 'private' }, { session_id: 's' });
  expect((await client.ask('health')).data).toMatchObject({
    status: 'degraded',
    vector: false,
    postgres: true,
  });
  client.close();
  running.child.kill('SIGINT');
  expect(await running.exited).toBe(0);
  expect(running.output().match(/pgvector/g)).toHaveLength(1);
  expect(running.output()).toContain('"ready":true');
  expect(running.output()).not.toContain('private');
});

test(
  'a second process is refused a PGlite folder; the first ends with its parent',
  { timeout: 120_000 },
  async () => {
    const first = await ready(await run(['--folder', join(folder, 'shared')]));
    const second = await run(['--folder', join(folder, 'shared')]);
    expect(await second.exited).toBe(1);
    expect(second.output()).toContain(`in use by process ${first.child.pid}`);
    first.child.disconnect();
    expect(await first.exited).toBe(0);
  },
);

test('SIGTERM during the start ends it', async () => {
  const running = await run([], { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase() });
  await expect.poll(() => running.output(), { timeout: 20_000 }).toContain('pgvector');
  running.child.kill('SIGTERM');
  expect(await running.exited).toBe(0);
});

test('unusable settings stop the start, all reported at once', async () => {
  const running = await run(['--port', 'soon', '--http-port', '0', '--host', '0.0.0.0']);
  expect(await running.exited).toBe(1);
  for (const problem of [
    'listen.port must be a whole number, got "soon"',
    'listen.httpPort must be at least 1, got 0',
    'listen.host must be a loopback address while access.keys is off',
  ])
    expect(running.output()).toContain(problem);
});

test('a port in use stops the start with a message', async () => {
  const database = { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase() };
  const taken = await ready(await run([], database));
  const late = await run(['--port', String(taken.port)], database);
  expect(await late.exited).toBe(1);
  expect(late.output()).toContain('could not start');
  taken.child.kill('SIGTERM');
  expect(await taken.exited).toBe(0);
});

test('an outage of the database is an error with its effect, and ends with it', async () => {
  const url = await postgres.createDatabase();
  const name = databaseOf(url);
  const running = await ready(await run([], { ORCHESTRATOR_DATABASE_URL: url }));
  const client = connectOrchestrator(running.port);
  await client.ask('create', MEMORY, { session_id: 's' });
  await postgres.execute(`alter database ${name} allow_connections false`);
  await postgres.execute(
    `select pg_terminate_backend(pid, 20000) from pg_stat_activity where datname = '${name}'`,
  );
  const refused = await client.ask('create', MEMORY, { session_id: 's' });
  expect(refused.error).toMatchObject({ code: 'storage_error', details: { effect: 'not_applied' } });
  expect((await client.ask('health')).data).toMatchObject({ status: 'unhealthy', postgres: false });
  await postgres.execute(`alter database ${name} allow_connections true`);
  await eventually('it is served again', async () => {
    const { status } = await client.ask('create', MEMORY, { session_id: 's' });
    return status === 'success';
  });
  client.close();
});
