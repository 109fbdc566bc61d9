import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GuardedOrchestrator, startGuarded } from '../../support/access.ts';
import { eventually } from '../../support/eventually.ts';
import { createLaneWriter, saying } from '../../support/lane-writer.ts';
import { type Started, startOrchestrator, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES, type DatabaseKind } from '../../support/tier.ts';

let orchestrator: GuardedOrchestrator;
/** Another process on the same database would do the same; it shares nothing with the first one. */
let replica: TestOrchestrator;

beforeAll(async () => {
  orchestrator = await startGuarded({});
  replica = await startOrchestrator({ database: { kind: 'postgres', url: orchestrator.url } });
});
afterAll(async () => {
  await replica.stop();
  await orchestrator.stop();
});

const AT = { epoch: 1, generation: 1, sequence: 1, operation_id: 'a' };
const PLACE = { epoch: 1, generation: 1, sequence: 1 };
const CLOSED = { already_applied: true, lane_sequence: 1, set_by: 'close', operation_id: null };

let lanes = 0;

/** One lane, written through two orchestrators, and a transaction of a test that makes them wait. */
async function newRace() {
  const session_id = `race-${++lanes}`;
  const one = createLaneWriter({ ask: orchestrator.as(undefined) }, session_id);
  const two = createLaneWriter(replica, session_id);
  const client = new pg.Client({ connectionString: orchestrator.url });
  // A test that fails leaves it open, and the end of the database then ends it.
  client.on('error', () => undefined);
  await client.connect();
  await client.query('begin');
  const memory_id = `${session_id}-memory`;
  await replica.ask('create', saying('before', { memory_id, user_id: 'u' }).payload, { session_id });
  return {
    one,
    two,
    memory_id,
    hold: (sql: string, ...values: unknown[]) => client.query(sql, values),
    /** Waits until this many statements of the orchestrators wait for a lock. */
    waiting: (count: number) =>
      eventually(`${count} statements wait`, async () => {
        const { rows } = await client.query<{ waiting: number }>(
          `select count(*)::int as waiting from pg_stat_activity
           where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows[0]?.waiting === count;
      }),
    /** Cuts off the statement that waits for this transaction. */
    cutOff: () =>
      client.query(
        `select pg_cancel_backend(pid) from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))`,
      ),
    async end(how: 'commit' | 'rollback') {
      await client.query(how);
      await client.end();
    },
  };
}

const change = (memory_id: string) => ({
  action: 'update',
  payload: { memory_id, content: { text: 'after' } },
});

const HOLD_MEMORY = 'select from memory_entries where memory_id = $1 for update';
const HOLD_SESSION = 'update sessions set ended_at = now() where session_id = $1';

test('a repetition waits for the first write, and gets its answer', async () => {
  const { one, two, memory_id, ...race } = await newRace();
  await race.hold(HOLD_MEMORY, memory_id);
  const first = one.write(AT, change(memory_id));
  await race.waiting(1);
  const again = two.write(AT, change(memory_id));
  await race.waiting(2);
  await race.end('rollback');
  const { data } = await first;
  expect(data.results).toMatchObject([{ memory_id, version: 2 }]);
  expect((await again).data).toEqual({ ...data, repeated: true });
  expect(await one.texts()).toEqual(['after']);
});

test('a repetition takes effect itself where the first write fails', async () => {
  const { one, two, memory_id, ...race } = await newRace();
  await race.hold(HOLD_MEMORY, memory_id);
  const failed = one.write(AT, change(memory_id));
  await race.waiting(1);
  const again = two.write(AT, change(memory_id));
  await race.waiting(2);
  await race.cutOff();
  expect((await failed).error.code).toBe('storage_error');
  await race.end('rollback');
  expect((await again).data).toEqual({
    results: [expect.objectContaining({ memory_id, version: 2 }) as object],
  });
});

test('of two writes of one sequence one takes effect, and both answers name it', async () => {
  for (let round = 0; round < 20; round += 1) {
    const session_id = `race-${++lanes}`;
    const senders = [orchestrator.as(undefined), replica.ask].map((ask) =>
      createLaneWriter({ ask }, session_id),
    );
    const answers = await Promise.all(
      senders.map((sender, index) =>
        sender.write({ ...AT, operation_id: `op-${index}` }, saying(`by op-${index}`)),
      ),
    );
    const winner = answers.findIndex(({ data }) => data.results !== undefined);
    expect(answers[1 - winner]?.data).toEqual({
      already_applied: true,
      lane_sequence: 1,
      set_by: 'write',
      operation_id: `op-${winner}`,
    });
    expect(await senders[0]?.texts()).toEqual([`by op-${winner}`]);
  }
});

test('a close that comes while the write runs waits for it, and tells its results', async () => {
  const { one, two, memory_id, ...race } = await newRace();
  await race.hold(HOLD_MEMORY, memory_id);
  const write = one.write(AT, change(memory_id));
  await race.waiting(1);
  const close = two.close(PLACE);
  await race.waiting(2);
  await race.end('rollback');
  const { results } = (await write).data;
  expect((await close).data).toEqual({ closed: false, set_by: 'write', operation_id: 'a', results });
  expect(await one.texts()).toEqual(['after']);
});

test('a write that is cut off while a close waits never takes effect', async () => {
  const { one, two, memory_id, ...race } = await newRace();
  await race.hold(HOLD_MEMORY, memory_id);
  const write = one.write(AT, change(memory_id));
  await race.waiting(1);
  const close = two.close(PLACE);
  await race.waiting(2);
  await race.cutOff();
  expect((await write).error).toMatchObject({ code: 'storage_error' });
  expect((await close).data).toEqual({ closed: true });
  await race.end('rollback');
  expect((await one.write(AT, change(memory_id))).data).toEqual(CLOSED);
  expect(await one.texts()).toEqual(['before']);
});

test('a write that comes while a close runs has no effect', async () => {
  const { one, two, ...race } = await newRace();
  await one.close({ ...PLACE, sequence: 0 });
  // Both wait for this row, and PostgreSQL gives the lock in the order of asking.
  await race.hold('select from memory_lanes where key = $1 for update', one.key);
  const close = one.close(PLACE);
  await race.waiting(1);
  const write = two.write(AT, saying('late'));
  await race.waiting(2);
  await race.end('rollback');
  expect((await close).data).toEqual({ closed: true });
  expect((await write).data).toEqual(CLOSED);
  expect(await one.texts()).toEqual(['before']);
});

test('closes and writes at the same time agree on what happened, in any order', async () => {
  const outcomes = new Set<string>();
  for (let round = 0; round < 60; round += 1) {
    const session_id = `race-${++lanes}`;
    const writer = createLaneWriter({ ask: orchestrator.as(undefined) }, session_id);
    const closer = createLaneWriter(replica, session_id);
    const write = () => writer.write(AT, saying('x'));
    const earlier = round % 2 === 0 ? write() : undefined;
    const closing = closer.close(PLACE);
    const [written, closed] = await Promise.all([earlier ?? write(), closing]);
    const isClosed = closed.data['closed'] === true;
    expect(written.data).toEqual(isClosed ? CLOSED : { results: [expect.anything()] });
    if (!isClosed) expect(closed.data).toMatchObject({ closed: false, results: written.data.results });
    expect(await writer.texts()).toEqual(isClosed ? [] : ['x']);
    outcomes.add(isClosed ? 'closed' : 'written');
  }
  expect([...outcomes].toSorted()).toEqual(['closed', 'written']);
});

test('another lane cannot end a session before the write that requires it open', async () => {
  const { one, two, memory_id, ...race } = await newRace();
  await race.hold(HOLD_MEMORY, memory_id);
  const write = one.write(AT, change(memory_id), [{ session: 'open' }]);
  await race.waiting(1);
  const lane = { key: `${two.key}-other`, generation: 1, sequence: 1 };
  const ended = replica.ask('end_session', {}, { session_id: two.session_id, lane });
  await race.waiting(2);
  await race.end('rollback');
  expect((await write).data.results).toHaveLength(1);
  expect((await ended).data).toHaveProperty('ended_at');
});

test('a write that requires a session open waits for the one that ends it', async () => {
  for (const [how, member] of [
    ['commit', 'refused'],
    ['rollback', 'results'],
  ] as const) {
    const { one, ...race } = await newRace();
    await race.hold(HOLD_SESSION, one.session_id);
    const write = one.write(AT, saying('x', { create_session: false }), [{ session: 'open' }]);
    await race.waiting(1);
    await race.end(how);
    expect((await write).data).toHaveProperty(member);
  }
});

test('a write that requires a memory waits for the one that deletes it', async () => {
  for (const [how, member] of [
    ['commit', 'refused'],
    ['rollback', 'results'],
  ] as const) {
    const { one, memory_id, ...race } = await newRace();
    await race.hold('update memory_entries set is_active = false where memory_id = $1', memory_id);
    const write = one.write(AT, saying('x'), [{ memory: 'present', memory_id }]);
    await race.waiting(1);
    await race.end(how);
    expect((await write).data).toHaveProperty(member);
  }
});

test.each([
  ['commit', { refused: { requirement: 0, session: 'absent', session_id: 'x' } }],
  ['rollback', { results: [{ session_id: 'x' }] }],
] as const)('a session that appears meanwhile is not absent: %s', async (how, expected) => {
  const { one, ...race } = await newRace();
  const session_id = `${one.session_id}-made`;
  await race.hold(`insert into sessions (session_id, user_id) values ($1, 'u')`, session_id);
  const operation = { action: 'create_session', session_id, payload: { user_id: 'u' } };
  const write = one.write(AT, operation, [{ session: 'absent', session_id }]);
  await race.waiting(1);
  await race.end(how);
  const text = JSON.stringify((await write).data).replaceAll(session_id, 'x');
  expect(JSON.parse(text)).toMatchObject(expected);
});

test('a memory that appears meanwhile is not absent', async () => {
  const { one, ...race } = await newRace();
  const memory_id = `${one.session_id}-made`;
  await race.hold(
    `insert into memory_entries (memory_id, session_id, memory_type, content) values ($1, $2, 'conversation', '{"text":"x"}')`,
    memory_id,
    one.session_id,
  );
  const write = one.write(AT, saying('x', { memory_id }), [{ memory: 'absent', memory_id }]);
  await race.waiting(1);
  await race.end('commit');
  expect((await write).data).toEqual({ refused: { requirement: 0, memory: 'absent', memory_id } });
});

const PLACES: Readonly<Record<DatabaseKind, () => Promise<Started['database']>>> = {
  postgres: async () => ({ kind: 'postgres', url: orchestrator.url }),
  pglite: async () => ({ kind: 'pglite', folder: await mkdtemp(join(tmpdir(), 'crossfade-lanes-')) }),
};

test.each(DATABASES)('a restart changes nothing of what was answered on %s', async (kind) => {
  const database = await PLACES[kind]();
  const session_id = `race-${++lanes}`;
  const living = async <T>(work: (lane: ReturnType<typeof createLaneWriter>) => Promise<T>): Promise<T> => {
    const process = await startOrchestrator({ database });
    try {
      return await work(createLaneWriter(process, session_id));
    } finally {
      await process.stop();
    }
  };
  const { data } = await living((lane) => lane.write(AT, saying('x')));
  await living(async (lane) => {
    expect((await lane.write(AT, saying('x'))).data).toEqual({ ...data, repeated: true });
    expect((await lane.close({ ...PLACE, sequence: 2 })).data).toEqual({ closed: true });
  });
  await living(async (lane) => {
    const late = await lane.write({ ...AT, sequence: 2 }, saying('late'));
    expect(late.data).toEqual({ ...CLOSED, lane_sequence: 2 });
    expect((await lane.close({ ...PLACE, sequence: 2 })).data).toEqual({ closed: true });
    expect(await lane.texts()).toEqual(['x']);
  });
  if (database.kind === 'pglite') await rm(database.folder ?? '', { recursive: true });
});
