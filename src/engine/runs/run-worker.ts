import { messageOf } from '../../domain/errors.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ReplicaIdentity } from '../ports/replica-ports.ts';
import { EMPTY_TALLY, type Page, type Run, type RunKind, type Tally } from '../ports/run.ts';
import { type Brake, Pace, type Slower } from './pace.ts';
import { isListed, leftOutOf, listService } from './legacy-lanes.ts';
import type { RunStore } from './run-ports.ts';
import { type ListedLane, type RunControl, RunInterrupted, type RunWork } from './run-work.ts';
import { SerialQueue } from '../../shared/serial-queue.ts';

const LOOK_EVERY_MS = 1_000;
/** See Pace. A run has time, so it slows down as soon as the increase is more than noise. */
const LEAST_RISE_MS = 1;
/** Time until a stop takes effect. */
const STATE_EVERY_MS = 250;
/** A page that fails this many times is left, and its lanes are listed as not finished. */
const PAGE_ATTEMPTS = 5;
const PAGE_RETRY_MS = 1_000;

export interface RunWorkerParts {
  readonly store: RunStore;
  readonly works: Readonly<Record<RunKind, RunWork>>;
  readonly replica: ReplicaIdentity;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Replicas that share the work and its rate. */
  readonly liveReplicas: () => number;
  /** Maximum number of lanes under way together. */
  readonly concurrency: number;
  readonly liveP95: () => number | undefined;
  readonly calmP95: () => number | undefined;
  readonly slower: (thanMs: number) => Slower;
  readonly embeddingLine: () => Promise<number>;
}

/**
 * Works on running runs, together with all other replicas: the oldest first, one page at a time. Claims of a dead replica are
 * free.
 */
export class RunWorker {
  readonly #parts: RunWorkerParts;
  #isStopped = false;
  #wake = new AbortController();
  #loop: Promise<void> | undefined;
  #pace: { readonly run: number; readonly pace: Pace } | undefined;

  constructor(parts: RunWorkerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake.abort();
    await this.#loop;
  }

  /** Called when there is a new run. */
  wake(): void {
    this.#wake.abort();
  }

  /** What slows a run in this replica. */
  brakeOf(run: number): Brake | undefined {
    return this.#pace?.run === run ? this.#pace.pace.brake : undefined;
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const open = await this.#parts.store.open();
        for (const run of open) await this.#workOn(run).catch((error: unknown) => this.#failed(error));
      } catch (error) {
        this.#failed(error);
      }
      if (this.#isStopped) return;
      await this.#parts.clock.sleep(LOOK_EVERY_MS, this.#wake.signal);
      this.#wake = new AbortController();
    }
  }

  /** Usually the journal's database is away. The run continues when it is back, and does not block others. */
  #failed(error: unknown): void {
    this.#parts.emit('run:failed', { reason: messageOf(error) });
  }

  async #workOn(run: Run): Promise<void> {
    const { services } = run.request;
    const { replica } = this.#parts;
    const served = services.filter((service) => replica.serves(service));
    // A replica that serves some of the services works on those. A replica that serves all also lists the lanes and finishes the
    // run.
    const isWhole = served.length === services.length;
    if (this.#isStopped || (served.length === 0 && !isWhole)) return;
    if (run.state === 'listing' && !(isWhole && (await this.#list(run)))) return;
    const watch = this.#watch(run);
    try {
      await this.#pages(run, watch);
      if (isWhole && !watch.isStopped()) await this.#finish(run);
    } finally {
      watch.end();
    }
  }

  /** @returns false if another replica lists */
  async #list(run: Run): Promise<boolean> {
    const { store, replica, works } = this.#parts;
    if (!(await store.claimListing(run.id, replica.id))) return false;
    const work = works[run.kind];
    for (const service of run.request.services) {
      const keep = (lanes: readonly ListedLane[]): Promise<void> => store.addLanes(run.id, service, lanes);
      const survey = await listService({ work, run, service, keep });
      const lanes = isListed(survey)
        ? await store.cutPages(run.id, service, work.lanesPerPage(run.request))
        : 0;
      await store.surveyed(run.id, service, { ...survey, lanes });
    }
    return store.change(run.id, { from: ['listing'], to: 'running' });
  }

  /** One page after the other, or some in parallel. @throws StorageError when none is under way any more */
  async #pages(run: Run, control: RunControl): Promise<void> {
    const { store, works, replica } = this.#parts;
    const underWay = new Set<number>();
    // One after the other, because a claim must know the previous one's result.
    const claims = new SerialQueue();
    const claim = (): Promise<Page | undefined> =>
      claims.run(async () => {
        const page = await store.claimPage(run.id, replica.id, [...underWay]);
        if (page !== undefined) underWay.add(page.page);
        return page;
      });
    const work = async (): Promise<void> => {
      while (!control.isStopped()) {
        const page = await claim();
        if (page === undefined) return;
        await this.#page(run, page, control).finally(() => underWay.delete(page.page));
      }
    };
    const { pagesAtOnce } = works[run.kind];
    const ended = await Promise.allSettled(Array.from({ length: pagesAtOnce }, work));
    const failed = ended.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  async #page(run: Run, page: Page, control: RunControl): Promise<void> {
    const { store, works } = this.#parts;
    try {
      const { tally, elsewhere = new Map(), halt } = await works[run.kind].page(run, page, control);
      await store.finishPage(page, tally, elsewhere);
      if (halt !== undefined) await store.change(run.id, { from: ['running'], to: 'stopped', reason: halt });
    } catch (error) {
      if (error instanceof RunInterrupted) return store.releasePage(page, 0);
      this.#failed(error);
      if (page.attempts < PAGE_ATTEMPTS) return store.releasePage(page, PAGE_RETRY_MS * page.attempts);
      await store.finishPage(page, leftOut(run.kind, page, messageOf(error)), new Map());
    }
  }

  /** The replica that finished the last page writes the document. The others find the run finished. */
  async #finish(run: Run): Promise<void> {
    const { store, works } = this.#parts;
    if ((await store.pagesLeft(run.id)) > 0) return;
    const document = await works[run.kind].document(run, await store.tallies(run.id));
    await store.report(run.id, document);
    // It was listed since this replica last checked.
    const reason = leftOutOf((await store.get(run.id))?.survey ?? run.survey);
    if (await store.change(run.id, { from: ['running'], to: 'finished', reason }))
      this.#parts.emit('run:finished', { run: run.id, kind: run.kind });
  }

  /** Checks whether the run is still wanted, and how fast it may go. */
  #watch(run: Run): RunControl & { end(): void } {
    const { store, embeddingLine, clock, concurrency, liveP95, calmP95, slower, liveReplicas } = this.#parts;
    let isWanted = true;
    let line = 0;
    const look = async (): Promise<void> => {
      isWanted = (await store.get(run.id))?.state === 'running';
      line = await embeddingLine();
    };
    const timer = setInterval(() => void look().catch(() => undefined), STATE_EVERY_MS);
    const { rate } = run.request;
    const pace = new Pace({
      clock,
      most: concurrency,
      leastRiseMs: LEAST_RISE_MS,
      liveP95,
      slower,
      latelyP95: calmP95,
      calmP95: this.#pace?.run === run.id ? undefined : calmP95(),
      embeddingLine: () => line,
      rate: rate === undefined ? undefined : rate / Math.max(1, liveReplicas()),
    });
    this.#pace = { run: run.id, pace };
    return {
      isStopped: () => this.#isStopped || !isWanted,
      width: () => Math.ceil(pace.width / this.#parts.works[run.kind].pagesAtOnce),
      after: (items) => pace.after(items),
      end: () => clearInterval(timer),
    };
  }
}

/** A reconciliation has not compared these lanes, which its interlock must know; other runs have left them as they were. */
function leftOut(kind: RunKind, { owners }: Page, reason: string): Tally {
  const lanes = owners.length;
  return {
    ...EMPTY_TALLY,
    counts: kind === 'reconcile' ? { lanes, lanes_not_comparable: lanes } : { lanes_left: lanes },
    skipped: owners.map((owner) => ({ owner, reason })),
  };
}
