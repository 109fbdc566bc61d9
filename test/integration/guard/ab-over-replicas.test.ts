import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../../../src/shared/clock.ts';
import { type LaneKey, operationId, replicaId, serviceName } from '../../../src/domain/ids.ts';
import { abStatuses } from '../../../src/operator/ab-status.ts';
import { ArmExchange, Arms } from '../../../src/operator/arms.ts';
import { actionAbs } from '../../../src/operator/report/day-numbers.ts';
import { applySchema } from '../../../src/storage/apply-schema.ts';
import { createArmStore } from '../../../src/storage/arms.ts';
import { createPostgresDatabase, type Database } from '../../../src/storage/database.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { eventually } from '../../support/eventually.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';

const SCHEMA = new URL('../../../src/storage/schema/', import.meta.url);
const SERVICE = serviceName('session-memory');
const ACTION = 'get_context';
const LANES = 30;
const DAY_MS = 86_400_000;

let postgres: TestPostgres;
let network: TcpProxy;
let database: Database;
let url: URL;
let running: { stop(): Promise<void> }[];
let problems: string[];

beforeAll(async () => {
  postgres = await startPostgres();
  network = await startTcpProxy(Number(new URL(postgres.url('postgres')).port));
});

afterAll(async () => {
  await network.stop();
  await postgres.stop();
});

beforeEach(async () => {
  [running, problems] = [[], []];
  url = new URL(await postgres.createDatabase());
  database = createPostgresDatabase({ url: url.href });
  await applySchema(database, SCHEMA);
});

afterEach(async () => {
  await network.pass();
  for (const one of running.toReversed()) await one.stop();
  await database.close();
});

interface Replica {
  readonly arms: Arms;
  read(backend: 'legacy' | 'orchestrator', durationMs: number): void;
  status(): ReturnType<typeof abStatuses>[string] | undefined;
  stop(): Promise<void>;
}

async function startReplica({ isBehindNetwork = false } = {}): Promise<Replica> {
  const own = new URL(url);
  if (isBehindNetwork) own.port = String(network.port);
  const mine = createPostgresDatabase({ url: own.href, poolSize: 1, statementTimeoutMs: 1_000 });
  const arms = new Arms(systemClock);
  const exchange = new ArmExchange({
    arms,
    store: createArmStore(mine),
    replica: replicaId(randomUUID()),
    clock: systemClock,
    everyMs: 50,
    onProblem: (problem) => problems.push(problem),
  });
  await exchange.start();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= exchange.stop().then(() => mine.close()));
  running.push({ stop });
  return {
    arms,
    stop,
    status: () => abStatuses(arms, SERVICE)[ACTION],
    read(backend, durationMs) {
      const of = { operationId: operationId('o-1'), service: SERVICE, action: ACTION };
      for (let lane = 0; lane < LANES; lane += 1)
        arms.listener('operation:replied', {
          ...of,
          kind: 'read',
          status: 'answered',
          durationMs,
          primaryMs: durationMs,
          lane: `${SERVICE}/${backend}-${lane}` as LaneKey,
          assigned: backend,
          backend,
        });
    },
  };
}

test('every replica shows what all have seen, and the day has it once', async () => {
  const [one, other] = [await startReplica(), await startReplica()];
  one.read('legacy', 10);
  other.read('orchestrator', 30);
  for (const replica of [one, other]) {
    await eventually('both arms', async () => (replica.status()?.latency_ratio ?? null) !== null);
    expect(replica.status()).toMatchObject({
      legacy: { reads: LANES },
      orchestrator: { reads: LANES },
      latency_ratio: [3, 3, 3],
    });
  }
  other.read('orchestrator', 30);
  await eventually('more', async () => one.status()?.orchestrator.reads === 2 * LANES);
  const nowMs = Date.now();
  const day = { fromMs: nowMs - DAY_MS / 2, toMs: nowMs + DAY_MS / 2 };
  const { arms } = await createReportFactStore(database).of(SERVICE, day);
  expect(actionAbs(arms)).toMatchObject([
    {
      action: ACTION,
      legacy: { reads: LANES },
      orchestrator: { reads: 2 * LANES },
      latency_ratio: [3, 3, 3],
    },
  ]);
});

test('a successor begins with the observations of the replica before it', async () => {
  const one = await startReplica();
  one.read('legacy', 10);
  await one.stop();
  const successor = await startReplica();
  await eventually('what the first saw', async () => successor.status()?.legacy.reads === LANES);
});

test('an outage of the database loses nothing, and nothing is reported twice', async () => {
  const [one, away] = [await startReplica(), await startReplica({ isBehindNetwork: true })];
  away.read('legacy', 10);
  await eventually('the first', async () => one.status()?.legacy.reads === LANES);
  await network.refuse();
  away.read('legacy', 10);
  await eventually('a problem', async () => problems.length > 0);
  expect(one.status()?.legacy.reads).toBe(LANES);
  await network.pass();
  await eventually('the second', async () => one.status()?.legacy.reads === 2 * LANES);
});

test('slices of another week are pruned', async () => {
  const store = createArmStore(database);
  const replica = await startReplica();
  replica.read('legacy', 10);
  const [slice] = replica.arms.takeChanged();
  if (slice === undefined) throw new Error('nothing was counted');
  const writer = replicaId(randomUUID());
  await store.write(writer, [slice, { ...slice, beganAtMs: slice.beganAtMs - 9 * DAY_MS }]);
  await store.prune(slice.beganAtMs - 8 * DAY_MS);
  const kept = await store.ofDay(SERVICE, { fromMs: 0, toMs: slice.beganAtMs + DAY_MS });
  expect(kept.map(({ beganAtMs }) => beganAtMs)).toEqual([slice.beganAtMs]);
});
