import { afterEach, expect, test } from 'vitest';
import { ConnectionError, StorageError } from '../../../../src/domain/errors.ts';
import { serviceName, type Owner, type ServiceName } from '../../../../src/domain/ids.ts';
import { EMPTY_TALLY, type Page, type Run } from '../../../../src/engine/ports/run.ts';
import { RunCommands } from '../../../../src/engine/runs/run-commands.ts';
import { ReplicaIdentity } from '../../../../src/engine/ports/replica-ports.ts';
import { RunWorker } from '../../../../src/engine/runs/run-worker.ts';
import type { RunWork } from '../../../../src/engine/runs/run-work.ts';
import { eventually } from '../../../support/eventually.ts';
import { runStoreWith } from '../engine-parts.ts';

const [BROKEN, SOUND] = [serviceName('contextual-memory'), serviceName('jarvis-memory')];
const HALF = 'could not read store.json within 1000 ms: the file is empty or its JSON is incomplete';

function runOf(id: number, kind: Run['kind'], services: readonly ServiceName[]): Run {
  const state = 'listing';
  const times = { beganAtMs: 0, finishedAtMs: null };
  return { id, kind, request: { services }, state, reason: '', ...times, survey: {}, report: null };
}

/** Runs in memory, the oldest first. */
function createStore(begun: readonly Run[]) {
  const runs = new Map(begun.map((run) => [run.id, run]));
  const pages: Page[] = [];
  const put = (id: number, change: (run: Run) => Partial<Run>): void => {
    const run = runs.get(id);
    if (run !== undefined) runs.set(id, { ...run, ...change(run) });
  };
  const store = runStoreWith({
    open: async () => [...runs.values()].filter(({ state }) => state === 'listing' || state === 'running'),
    get: async (id) => runs.get(id),
    addLanes: async (run, service, lanes) => {
      const owners = lanes.map(({ owner }) => owner);
      pages.push({ run, page: pages.length, service, owners, attempts: 1 });
    },
    surveyed: async (id, service, found) =>
      put(id, ({ survey }) => ({ survey: { ...survey, [service]: found } })),
    change: async (id, { from, to, reason = '' }) => {
      const isSo = from.includes(runs.get(id)?.state ?? 'failed');
      if (isSo) put(id, () => ({ state: to, reason }));
      return isSo;
    },
    claimPage: async (id) => {
      const at = pages.findIndex(({ run }) => run === id);
      return at < 0 ? undefined : pages.splice(at, 1)[0];
    },
  });
  return { store, runs };
}

function createWork(problem: Error) {
  const worked: string[] = [];
  const work: RunWork = {
    lanesPerPage: () => 1,
    pagesAtOnce: 1,
    async *list(_run, service) {
      if (service === BROKEN) throw problem;
      yield [{ owner: 'ann' as Owner }];
      return { lanes: 1 };
    },
    page: async (run, { service, owners }) => {
      worked.push(`${run.id} ${service}/${owners.join()}`);
      return { tally: EMPTY_TALLY };
    },
    document: async () => ({}),
  };
  return { worked, works: { backfill: work, reconcile: work, repair: work } };
}

let worker: RunWorker | undefined;
afterEach(() => worker?.stop());

function start(begun: readonly Run[], problem: Error) {
  const [{ store, runs }, { works, worked }] = [createStore(begun), createWork(problem)];
  const problems: string[] = [];
  worker = new RunWorker({
    store,
    works,
    replica: new ReplicaIdentity(() => 'r' as never),
    clock: {
      now: () => performance.now(),
      wallMs: () => Date.now(),
      sleep: () => new Promise((resolve) => setTimeout(resolve, 5)),
    },
    emit: (...[name, event]) => {
      if (name === 'run:failed' && 'reason' in event) problems.push(String(event.reason));
    },
    liveReplicas: () => 1,
    concurrency: 4,
    liveP95: () => undefined,
    calmP95: () => undefined,
    slower: () => ({ slower: 0, of: 0 }),
    embeddingLine: async () => 0,
  });
  worker.start();
  return { runs, worked, problems };
}

const unreadable = new ConnectionError(HALF, { effect: 'not_applied', reason: 'unreadable' });

test('an unreadable store is left out by name, and the rest is done', async () => {
  const { runs, worked } = start([runOf(1, 'backfill', [BROKEN, SOUND])], unreadable);
  await eventually('it comes to its end', () => runs.get(1)?.state === 'finished');
  expect(worked).toEqual([`1 ${SOUND}/ann`]);
  expect(runs.get(1)).toMatchObject({
    reason: `${BROKEN} was left out: ${HALF}`,
    survey: { [BROKEN]: { not_listed: HALF }, [SOUND]: { lanes: 1 } },
  });
});

test('a parser’s message that quotes content is not shown', async () => {
  const { runs } = start(
    [runOf(1, 'backfill', [BROKEN])],
    new SyntaxError('Unexpected token in "my secret"'),
  );
  await eventually('it comes to its end', () => runs.get(1)?.state === 'finished');
  expect(runs.get(1)?.reason).toBe(`${BROKEN} was left out: the JSON is incomplete or invalid`);
});

test('a run that waits for the journal blocks no other, and continues later', async () => {
  const away = new StorageError('The journal is away', { effect: 'not_applied' });
  const begun = [runOf(1, 'backfill', [BROKEN]), runOf(2, 'reconcile', [SOUND])];
  const { runs, worked, problems } = start(begun, away);
  await eventually('the other comes to its end', () => runs.get(2)?.state === 'finished');
  expect(worked).toEqual([`2 ${SOUND}/ann`]);
  expect(runs.get(1)).toMatchObject({ state: 'listing', survey: {} });
  expect(problems).toContain('The journal is away');
});

test('a rehearsal shows what can be read, and names what cannot', async () => {
  const desk = new RunCommands({
    store: createStore([]).store,
    works: createWork(unreadable).works,
    worker: undefined as never,
    isCovered: () => true,
  });
  expect(await desk.rehearse('backfill', { services: [BROKEN, SOUND] })).toEqual({
    [BROKEN]: { not_listed: HALF },
    [SOUND]: { lanes: 1 },
  });
});
