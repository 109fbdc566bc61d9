import { afterEach, expect, test } from 'vitest';
import type { Owner, ReplicaId, ServiceName } from '../../../../src/domain/ids.ts';
import { EMPTY_TALLY, type Page, type Run, type Tally } from '../../../../src/engine/ports/run.ts';
import { ReplicaIdentity } from '../../../../src/engine/ports/replica-ports.ts';
import { RunWorker } from '../../../../src/engine/runs/run-worker.ts';
import type { RunControl, RunWork } from '../../../../src/engine/runs/run-work.ts';
import { eventually } from '../../../support/eventually.ts';
import { runStoreWith } from '../engine-parts.ts';

const SERVICE = 'jarvis-memory' as ServiceName;
const RUN: Run = {
  id: 1,
  kind: 'backfill',
  request: { services: [SERVICE] },
  state: 'running',
  reason: '',
  beganAtMs: 0,
  finishedAtMs: null,
  survey: {},
  report: null,
};
/** After this one a page is left out. */
const LAST_ATTEMPT = 100;
const PAGE: Page = { run: 1, page: 1, service: SERVICE, owners: ['ann' as Owner], attempts: 1 };

let worker: RunWorker | undefined;
afterEach(() => worker?.stop());

/** One run of one page that is worked on until the test has seen enough. */
function startRun(parts: {
  readonly waiting?: () => number;
  readonly p95?: () => number;
  readonly newest?: () => readonly number[];
  readonly pages?: number;
  readonly pagesAtOnce?: number;
  readonly kind?: Run['kind'];
  /** Every page fails, for the last time. */
  readonly fails?: boolean;
}) {
  const claims: { readonly page: number; readonly underWay: readonly number[] }[] = [];
  const seen: { control: RunControl | undefined } = { control: undefined };
  let isOver = false;
  const run: Run = { ...RUN, kind: parts.kind ?? 'backfill' };
  const finished: Tally[] = [];
  const attempts = parts.fails === true ? LAST_ATTEMPT : 1;
  const pages = Array.from({ length: parts.pages ?? 1 }, (_, index) => ({
    ...PAGE,
    attempts,
    page: index + 1,
  }));
  const store = runStoreWith({
    open: async () => (pages.length > 0 ? [run] : []),
    get: async () => run,
    claimPage: async (_id, _replica, underWay) => {
      const page = pages.shift();
      if (page !== undefined) claims.push({ page: page.page, underWay });
      return page;
    },
    finishPage: async (_page, tally) => void finished.push(tally),
  });
  const work: RunWork = {
    lanesPerPage: () => 1,
    pagesAtOnce: parts.pagesAtOnce ?? 1,
    async *list() {
      yield [];
      return {};
    },
    document: async () => ({}),
    page: async (_run, _page, control) => {
      if (parts.fails === true) throw new Error('the orchestrator does not answer');
      seen.control = control;
      while (!isOver && !control.isStopped()) await new Promise((resolve) => setTimeout(resolve, 5));
      return { tally: EMPTY_TALLY };
    },
  };
  worker = new RunWorker({
    store,
    works: { backfill: work, reconcile: work, repair: work },
    replica: new ReplicaIdentity(() => 'r' as ReplicaId),
    clock: {
      now: () => performance.now(),
      wallMs: () => Date.now(),
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, Math.min(ms, 20))),
    },
    emit: () => undefined,
    liveReplicas: () => 1,
    concurrency: 16,
    liveP95: () => parts.p95?.(),
    slower: (thanMs) => {
      const newest = parts.newest?.() ?? [];
      return { slower: newest.filter((duration) => duration > thanMs).length, of: newest.length };
    },
    calmP95: () => (parts.p95 === undefined && parts.newest === undefined ? undefined : 10),
    embeddingLine: async () => parts.waiting?.() ?? 0,
  });
  worker.start();
  const end = (): void => {
    isOver = true;
  };
  return { claims, finished, end, width: () => seen.control?.width() };
}

test('a run slows down while many embeddings wait, shows it, and speeds up again', async () => {
  let waiting = 20_000;
  const { width, end } = startRun({ waiting: () => waiting });
  await eventually('one lane at a time', async () => width() === 1);
  expect(worker?.brakeOf(RUN.id)).toBe('embeddings_wait');
  waiting = 100;
  await eventually('all lanes again', async () => width() === 16);
  expect(worker?.brakeOf(RUN.id)).toBeUndefined();
  end();
});

test('a run slows down while agents wait longer than before it', async () => {
  let p95 = 10;
  const { width, end } = startRun({ p95: () => p95 });
  await eventually('it is under way', async () => width() === 16);
  p95 = 15;
  await eventually('one lane at a time', async () => width() === 1);
  expect(worker?.brakeOf(RUN.id)).toBe('agents_wait');
  expect(worker?.brakeOf(RUN.id + 1)).toBeUndefined();
  end();
});

test('a run also slows down with few operations, if all of them wait longer', async () => {
  let newest = [9, 9, 10];
  const { width, end } = startRun({ newest: () => newest });
  await eventually('it is under way', async () => width() === 16);
  newest = [15, 16, 15];
  await eventually('one lane at a time', async () => width() === 1);
  expect(worker?.brakeOf(RUN.id)).toBe('agents_wait');
  end();
});

test('pages in parallel are claimed one by one, and share the lane limit', async () => {
  const { claims, width, end } = startRun({ pages: 5, pagesAtOnce: 2 });
  await eventually('two are claimed', async () => claims.length === 2);
  expect(claims).toEqual([
    { page: 1, underWay: [] },
    { page: 2, underWay: [1] },
  ]);
  expect(width()).toBe(8);
  end();
  await eventually('all are claimed', async () => claims.length === 5);
  expect(claims.every(({ page, underWay }) => underWay.length <= 1 && !underWay.includes(page))).toBe(true);
});

test.each([
  ['reconcile', { lanes: 1, lanes_not_comparable: 1 }],
  ['backfill', { lanes_left: 1 }],
] as const)('a %s counts the lanes of a page that it gave up', async (kind, counts) => {
  const { finished } = startRun({ kind, fails: true });
  await eventually('the page is given up', async () => finished.length === 1);
  expect(finished[0]).toMatchObject({
    counts,
    skipped: [{ owner: 'ann', reason: 'the orchestrator does not answer' }],
  });
});
