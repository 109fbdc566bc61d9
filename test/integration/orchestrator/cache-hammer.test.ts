import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectOrchestrator, type OrchestratorClient } from '../../support/orchestrator.ts';
import { freePorts } from '../../support/ports.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { type Program, startProgram } from '../../support/processes.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { SessionModel } from '../../support/session-model.ts';

const DURATION_MS = 4_000;
/** A slow machine gets longer for as much work. */
const MOST_MS = 30_000;
const SESSIONS = 4;
const READERS_OF_EACH = 3;

let postgres: TestPostgres;
let redis: TestRedis;
beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
});
afterAll(async () => {
  await redis.stop();
  await postgres.stop();
});

interface Hammering {
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Goes on beside the work. */
  readonly disturb?: () => Promise<void>;
}

/** Two processes over one database, hammered by writers that change process with every write and by readers of both. */
async function hammer({ env = {}, args = [], disturb = async () => undefined }: Hammering) {
  const url = await postgres.createDatabase();
  const replicas = await Promise.all([startReplica(url, env, args), startReplica(url, env, args)]);
  const clients = replicas.map(({ port }) => connectOrchestrator(port));
  const sessions = Array.from({ length: SESSIONS }, (_, index) => new SessionModel(`h${index}`));
  const anyone = (): OrchestratorClient =>
    clients[Math.floor(Math.random() * clients.length)] as OrchestratorClient;
  const startedAtMs = performance.now();
  const total = (what: 'written' | 'reads') => sessions.reduce((sum, session) => sum + session[what], 0);
  const isOver = (): boolean => {
    const sinceMs = performance.now() - startedAtMs;
    return sinceMs > DURATION_MS && (sinceMs > MOST_MS || (total('written') > 100 && total('reads') > 400));
  };
  const until = async (work: () => Promise<void>): Promise<void> => {
    while (!isOver()) await work();
  };
  try {
    await Promise.all([
      disturb(),
      ...sessions.flatMap((session) => [
        until(async () => {
          const startedAtMs = performance.now();
          await session.write(anyone(), Math.random);
          // Long enough for answers to be kept, and to be asked for again, however slow the machine is.
          await sleep(Math.random() * 12 + (performance.now() - startedAtMs));
        }),
        ...Array.from({ length: READERS_OF_EACH }, () => until(() => session.read(anyone()))),
      ]),
    ]);
    for (const session of sessions) for (const client of clients) await session.read(client);
    const lookups = await Promise.all(replicas.map(({ httpPort }) => lookupsOf(httpPort)));
    return {
      writes: total('written'),
      reads: total('reads'),
      hits: lookups.reduce((sum, { hit = 0 }) => sum + hit, 0),
      off: lookups.reduce((sum, { off = 0 }) => sum + off, 0),
    };
  } finally {
    for (const client of clients) client.close();
    for (const { program } of replicas) await program.stop();
  }
}

async function startReplica(
  url: string,
  env: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<{ program: Program; port: number; httpPort: number }> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const program = await startProgram(
    ['orchestrator', '--port', String(port), '--http-port', String(httpPort), ...args],
    { env: { ORCHESTRATOR_DATABASE_URL: url, ...env }, without: ['REDIS_URL'] },
  );
  return { program, port, httpPort };
}

async function lookupsOf(httpPort: number): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const lines = text.matchAll(/^crossfade_orchestrator_cache_lookups_total\{result="(\w+)"\} (\d+)/gm);
  return Object.fromEntries([...lines].map(([, result, count]) => [result, Number(count)]));
}

describe('no reader sees an answer older than an earlier acknowledged write', () => {
  test('with two processes that cache answers themselves', { timeout: 120_000 }, async () => {
    const { writes, reads, hits } = await hammer({});
    expect(writes).toBeGreaterThan(50);
    expect(reads).toBeGreaterThan(200);
    expect(hits).toBeGreaterThan(50);
  });

  test('with two processes that share a Redis', { timeout: 120_000 }, async () => {
    // A busy machine answers later than the 50 ms that an orchestrator gives Redis by default.
    const settings = join(mkdtempSync(join(tmpdir(), 'crossfade-hammer-')), 'orchestrator.yaml');
    writeFileSync(settings, 'cache: { redisTimeoutMs: 5000 }\n');
    const { writes, reads, hits } = await hammer({
      env: { REDIS_URL: redis.url },
      args: ['--config', settings],
    });
    expect(writes).toBeGreaterThan(50);
    expect(reads).toBeGreaterThan(200);
    expect(hits).toBeGreaterThan(50);
  });

  test('with a Redis that freezes, continues, dies and returns', { timeout: 120_000 }, async () => {
    const disturb = async (): Promise<void> => {
      await sleep(700);
      redis.freeze();
      await sleep(700);
      redis.thaw();
      await sleep(700);
      await redis.kill();
      await sleep(500);
      await redis.restart();
    };
    const { reads, hits, off } = await hammer({ env: { REDIS_URL: redis.url }, disturb });
    // On a machine that is busy, Redis is out of reach for most of the time: how often it answered proves nothing.
    expect(reads).toBeGreaterThan(50);
    expect(hits + off).toBeGreaterThan(20);
  });
});
