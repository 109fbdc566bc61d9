import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dealer } from 'zeromq';
import {
  type Answer,
  connectOrchestrator,
  type TestOrchestrator,
  startOrchestrator,
} from '../../support/orchestrator.ts';
import { freePorts } from '../../support/ports.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { type Program, startProgram } from '../../support/processes.ts';
import { DATABASES } from '../../support/tier.ts';

const MEBIBYTE = 1_024 * 1_024;

let folder: string;
let postgres: TestPostgres;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crossfade-adversaries-'));
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly program: Program;
  readonly port: number;
  readonly httpPort: number;
}

async function start(args: readonly string[], env: Record<string, string> = {}): Promise<Running> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const program = await startProgram(
    ['orchestrator', '--port', `${port}`, '--http-port', `${httpPort}`, ...args],
    { env: { ORCHESTRATOR_EMBEDDINGS: 'off', ...env }, without: ['REDIS_URL'] },
  );
  return { program, port, httpPort };
}

describe('a killed process', () => {
  const OPERATIONS = 400;
  const batchOf = (session_id: string) => ({
    operations: Array.from({ length: OPERATIONS }, (_, index) => ({
      action: 'create',
      session_id,
      payload: {
        memory_id: `${session_id}-${index}`,
        memory_type: 'fact',
        content: { text: `${index} `.repeat(100) },
        create_session: true,
      },
    })),
  });

  test.each(DATABASES)('leaves every batch complete or absent, on %s', { timeout: 120_000 }, async (kind) => {
    const place =
      kind === 'pglite'
        ? ['--folder', join(folder, 'killed')]
        : ['--database-url', await postgres.createDatabase()];
    const acknowledged = new Set<string>();
    const sent: string[] = [];
    for (const afterMs of [40, 250]) {
      const { program, port } = await start(place);
      const client = connectOrchestrator(port);
      const batches = Array.from({ length: 8 }, (_, index) => `batch-${afterMs}-${index}`);
      sent.push(...batches);
      for (const session of batches)
        void client.ask('batch_write', batchOf(session)).then(({ status }) => {
          if (status === 'success') acknowledged.add(session);
        });
      await sleep(afterMs);
      await program.kill();
      client.close();
    }
    const { program, port } = await start(place);
    const client = connectOrchestrator(port);
    const counts = new Map<string, unknown>();
    for (const session_id of sent) {
      const { data } = await client.ask('batch_read', { limit: 1 }, { session_id });
      counts.set(session_id, data['total_count']);
    }
    expect([...counts.values()].every((count) => count === 0 || count === OPERATIONS)).toBe(true);
    for (const session of acknowledged) expect(counts.get(session)).toBe(OPERATIONS);
    // 8,000 memories at once, on a machine that may be busy.
    const patient = { deadline_ms: 60_000 };
    const again = await Promise.all(
      sent.map((session) => client.ask('batch_write', batchOf(session), patient)),
    );
    expect(again.map(({ status }) => status)).toEqual(sent.map(() => 'success'));
    client.close();
    await program.stop();
  });
});

describe('over HTTP', () => {
  let orchestrator: TestOrchestrator;
  beforeAll(async () => {
    orchestrator = await startOrchestrator({ database: { kind: 'pglite' } });
  });
  afterAll(() => orchestrator.stop());

  async function ask(method: string, path: string, body?: string): Promise<{ httpStatus: number } & Answer> {
    const response = await fetch(`http://127.0.0.1:${orchestrator.httpPort}${path}`, {
      method,
      ...(body !== undefined && { body }),
    });
    return { httpStatus: response.status, ...((await response.json()) as Answer) };
  }

  test.each([
    ['a path that is none', 'POST', '/v2/create', 404, '{}'],
    ['a method that is none', 'GET', '/v1/create', 404, undefined],
    ['an address that cannot be read', 'POST', '/v1/%zz', 400, '{}'],
    ['a body far over the limit', 'POST', '/v1/create', 413, 'x'.repeat(9 * MEBIBYTE)],
  ] as const)(
    '%s is refused in the words of every refusal',
    async (_what, method, path, httpStatus, body) => {
      expect(await ask(method, path, body)).toMatchObject({
        httpStatus,
        status: 'error',
        error: { code: 'invalid_request', details: { effect: 'rejected' } },
      });
    },
  );

  test('an endless request does not keep the process from ending', { timeout: 120_000 }, async () => {
    const { program, httpPort } = await start(['--folder', join(folder, 'slow')]);
    const slow = await Promise.all(Array.from({ length: 20 }, () => halfARequest(httpPort)));
    const startedAtMs = performance.now();
    await program.stop();
    expect(performance.now() - startedAtMs).toBeLessThan(9_000);
    expect(program.child.exitCode).toBe(0);
    for (const socket of slow) socket.destroy();
  });
});

async function halfARequest(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write('POST /v1/create HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{"session_id":');
  return socket;
}

describe('over ZeroMQ', () => {
  test('a message that could fill the memory closes only its own connection', async () => {
    const orchestrator = await startOrchestrator({ database: { kind: 'pglite' } });
    const hostile = new Dealer({ linger: 0, receiveTimeout: 1_000 });
    hostile.connect(`tcp://127.0.0.1:${orchestrator.port}`);
    await hostile.send(['', Buffer.alloc(65 * MEBIBYTE, 'x')]);
    await expect(hostile.receive()).rejects.toThrow();
    expect((await orchestrator.ask('ping')).status).toBe('success');
    hostile.close();
    await orchestrator.stop();
  });
});
