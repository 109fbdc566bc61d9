import { setTimeout as sleep } from 'node:timers/promises';
import pino, { type Logger } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StorageError } from '../../../src/domain/errors.ts';
import { createStorage, type Storage } from '../../../src/orchestrator/database/storage.ts';
import type { StorageSettings } from '../../../src/orchestrator/settings.ts';
import { eventually } from '../../support/eventually.ts';
import { settingsWith, startOrchestrator } from '../../support/orchestrator.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { lockTable } from '../../support/table-lock.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { type DatabaseKind, DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

async function placeOf(kind: DatabaseKind): Promise<Partial<StorageSettings>> {
  return kind === 'postgres'
    ? { databaseUrl: await postgres.createDatabase(), folder: ':memory:' }
    : { folder: ':memory:' };
}

/** The storage alone, started. */
async function open(
  settings: Partial<StorageSettings>,
  log: Logger = pino({ level: 'silent' }),
): Promise<Storage> {
  const storage = createStorage({
    settings: settingsWith({ storage: { folder: ':memory:', ...settings } }).storage,
    log,
    onStatement: () => undefined,
  });
  await storage.start();
  return storage;
}

const failureOf = (promise: Promise<unknown>): Promise<StorageError> =>
  promise.then(
    () => Promise.reject(new Error('It did not fail')),
    (error: unknown) => error as StorageError,
  );

const memory = (id: string, text: string) => ({
  memory_id: id,
  memory_type: 'conversation',
  content: { text },
  create_session: true,
});

describe("the caller's deadline", () => {
  test('ends a wait for a lock on postgres, and the write is not applied', async () => {
    const name = 'deadline';
    const url = await postgres.createDatabase(name);
    const orchestrator = await startOrchestrator({
      database: { kind: 'postgres', url },
      settings: { embeddings: { provider: 'off' } },
    });
    await orchestrator.ask('create', memory('before', 'x'), { session_id: 's' });
    // It is not released before both have been answered.
    const lock = await lockTable(url, 'memory_entries');
    const started = performance.now();
    const send = (id: string) =>
      orchestrator.send(
        JSON.stringify({ action: 'create', session_id: 's', deadline_ms: 300, payload: memory(id, 'late') }),
      );
    const answers = await Promise.all([send('late-1'), send('late-2')]);
    const tookMs = performance.now() - started;
    for (const { error } of answers)
      expect(error).toMatchObject({
        code: 'storage_error',
        details: { reason: 'timeout', effect: 'not_applied' },
      });
    expect(tookMs).toBeGreaterThan(200);
    await lock.release();
    const { data } = await orchestrator.ask('batch_read', {}, { session_id: 's' });
    expect(data.memories.map(({ memory_id: id }) => id)).toEqual(['before']);
    await orchestrator.stop();
  });

  test.each(DATABASES)('on %s, work that has not started by then never starts', async (kind) => {
    const storage = await open({ ...(await placeOf(kind)), poolSize: 2 });
    const { database } = storage;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    // All there is: two connections, or the one session.
    let holding = 0;
    const hold = (): Promise<void> => {
      holding += 1;
      return held;
    };
    const holders = [1, 2].map(() => database.transaction(hold));
    await eventually('all are held', () => holding === (kind === 'postgres' ? 2 : 1));
    // They are not released before it has failed.
    const failure = await failureOf(
      database.until(performance.now() + 150).query(`insert into sessions (session_id) values ('late')`),
    );
    expect([failure.effect, failure.reason]).toEqual(['not_applied', 'timeout']);
    release();
    await Promise.all(holders);
    expect(await database.query('select session_id from sessions')).toEqual([]);
    await storage.stop();
  });

  test('callers without a free connection are not an outage', async () => {
    const storage = await open({
      ...(await placeOf('postgres')),
      poolSize: 2,
      // Also the time that a new connection is given.
      connectTimeoutMs: 1_000,
      breakerFailures: 2,
      breakerRestMs: 60_000,
    });
    const { database } = storage;
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    let begun = 0;
    const holders = [1, 2].map(() =>
      database.transaction(async (session) => {
        await session.query('select 1');
        begun += 1;
        await held;
      }),
    );
    await eventually('both connections are taken', () => begun === 2);
    const failures = await Promise.all([1, 2, 3, 4].map(() => failureOf(database.query('select 1'))));
    for (const failure of failures) expect([failure.effect, failure.reason]).toEqual(['not_applied', 'busy']);
    release();
    await Promise.all(holders);
    expect(await database.query('select 1 as one')).toEqual([{ one: 1 }]);
    await storage.stop();
  });

  test.each(DATABASES)('on %s, a transaction that runs over it is rolled back', async (kind) => {
    const storage = await open(await placeOf(kind));
    const { database } = storage;
    const work = database.until(performance.now() + 200).transaction(async (session) => {
      await session.query(`insert into sessions (session_id) values ('half')`);
      await sleep(300);
      await session.query(`insert into sessions (session_id) values ('whole')`);
    });
    expect(await failureOf(work)).toMatchObject({ effect: 'not_applied', reason: 'timeout' });
    expect(await database.query('select session_id from sessions')).toEqual([]);
    await storage.stop();
  });

  test('of one caller does not apply to the next one', async () => {
    const storage = await open({ ...(await placeOf('postgres')), poolSize: 2 });
    const { database } = storage;
    // Both connections stand before anything is to be done within a second.
    await Promise.all([1, 2].map(() => database.query('select pg_sleep(0.1)')));
    await Promise.all([1, 2].map(() => database.until(performance.now() + 1_000).query('select 1')));
    await Promise.all([1, 2].map(() => database.query('select pg_sleep(1.2)')));
    const late = await failureOf(database.until(performance.now() + 500).query('select pg_sleep(5)'));
    expect(late.details['sqlstate']).toBe('57014');
    await storage.stop();
  });
});

describe('an outage of the database', () => {
  /** A database behind a network that can fail. */
  async function behindProxy(): Promise<{ proxy: TcpProxy; url: string }> {
    const url = new URL(await postgres.createDatabase());
    const proxy = await startTcpProxy(Number(url.port));
    url.port = String(proxy.port);
    return { proxy, url: url.href };
  }

  test('opens the circuit: callers are refused at once, and served again afterwards', async () => {
    const { proxy, url } = await behindProxy();
    const told: unknown[] = [];
    const log = pino({}, { write: (line: string) => told.push((JSON.parse(line) as { msg: string }).msg) });
    const storage = await open({ databaseUrl: url, breakerFailures: 3, breakerRestMs: 2_000 }, log);
    const { database } = storage;
    told.length = 0;
    await proxy.refuse();
    const reasons: (string | undefined)[] = [];
    for (let times = 0; times < 4; times += 1)
      reasons.push((await failureOf(database.query('select 1'))).reason);
    expect(reasons).toEqual(['unreachable', 'unreachable', 'unreachable', 'breaker_open']);
    expect(storage.isResting()).toBe(true);
    await proxy.pass();
    const answers = () => database.query('select 1').then(Boolean, () => false);
    await eventually('it is asked again', answers);
    expect(storage.isResting()).toBe(false);
    // Once each, however often it was tried meanwhile.
    expect(told).toEqual([
      'The database does not answer; requests are refused until it does',
      'The database answers again',
    ]);
    await storage.stop();
    await proxy.stop();
  });

  test('that only breaks connections for a moment is not noticed by a writer', async () => {
    const { proxy, url } = await behindProxy();
    const orchestrator = await startOrchestrator({
      database: { kind: 'postgres', url },
      settings: { embeddings: { provider: 'off' } },
    });
    await orchestrator.ask('create', memory('m', 'x'), { session_id: 's' });
    await proxy.refuse();
    // It sees that its connections are gone: of a statement sent into one of them nobody would know whether it took effect.
    await new Promise((resolve) => setTimeout(resolve, 200));
    // Longer than one try takes, shorter than all of them.
    setTimeout(() => void proxy.pass(), 60);
    expect((await orchestrator.ask('create', memory('n', 'x'), { session_id: 's' })).status).toBe('success');
    await orchestrator.stop();
    await proxy.stop();
  });

  test('with a silent database costs a caller at most its deadline', async () => {
    const { proxy, url } = await behindProxy();
    const orchestrator = await startOrchestrator({
      database: { kind: 'postgres', url },
      settings: { embeddings: { provider: 'off' }, access: { log: false } },
    });
    await orchestrator.ask('create', memory('m', 'x'), { session_id: 's' });
    proxy.silence();
    const started = performance.now();
    const { error } = await orchestrator.send(
      JSON.stringify({ action: 'create', session_id: 's', deadline_ms: 400, payload: memory('n', 'x') }),
    );
    expect(error.code).toBe('storage_error');
    // A statement may take 10 s, where nobody says less.
    expect(performance.now() - started).toBeLessThan(6_000);
    await proxy.pass();
    await eventually('it writes again', async () => {
      const answer = await orchestrator.ask('create', memory('o', 'x'), { session_id: 's' });
      return answer.status === 'success';
    });
    await orchestrator.stop();
    await proxy.stop();
  });
});
