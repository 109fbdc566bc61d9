import { messageOf } from '../../domain/errors.ts';
import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type {
  MadeReport,
  ReportDelivery,
  ReportFactStore,
  ReportStore,
  ReportTarget,
} from '../../engine/report/report-ports.ts';
import { dateAfter, dateOf } from './calendar-day.ts';
import type { Deliver } from './deliver-report.ts';
import type { ReportSchedule } from './schedule.ts';
import { backoffMs } from '../../shared/backoff.ts';

/** Interval for pending deliveries, for missing reports of a replica that died, and for a database that was away. */
const LOOK_EVERY_MS = 20_000;
const RETRY = { firstMs: 10_000, longestMs: 3_600_000 };
/** With these pauses, deliveries are tried for about a day. */
const TRIES = 32;

export interface DailyReportParts {
  readonly store: ReportStore;
  readonly facts: Pick<ReportFactStore, 'installedAtMs'>;
  readonly make: (date: string) => Promise<MadeReport>;
  /** Undefined: no report is made automatically. */
  readonly schedule: ReportSchedule | undefined;
  readonly zone: string;
  /** The services of this proxy. */
  readonly services: readonly ServiceName[];
  readonly keepDays: number;
  readonly deliveries: ReadonlyMap<ReportTarget, Deliver>;
  readonly replica: { readonly id: ReplicaId };
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

/** Metrics of the reports. */
export interface ReportCounts {
  /** When any replica made the newest report. Undefined if there is none, or if it is unknown. */
  readonly lastMadeAtMs: number | undefined;
  /** Failed attempts to deliver, in this process. */
  readonly failedDeliveries: ReadonlyMap<ReportTarget, number>;
}

/**
 * Makes the reports that are due and delivers them. All replicas run this, and one of them makes each report. A proxy adds its
 * services to a report that another proxy made without them. Reports that were missed, because no proxy ran or the database was
 * away, are made later.
 */
export class DailyReports {
  readonly #parts: DailyReportParts;
  readonly #stopped = new AbortController();
  readonly #failed = new Map<ReportTarget, number>();
  #lastMadeAtMs: number | undefined;
  #loop: Promise<void> | undefined;

  constructor(parts: DailyReportParts) {
    this.#parts = parts;
    for (const target of parts.deliveries.keys()) this.#failed.set(target, 0);
  }

  async start(): Promise<void> {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  counts(): ReportCounts {
    return { lastMadeAtMs: this.#lastMadeAtMs, failedDeliveries: this.#failed };
  }

  async #run(): Promise<void> {
    const { clock, schedule } = this.#parts;
    while (!this.#stopped.signal.aborted) {
      await this.#tried('made', () => this.#makeWhatIsDue());
      // Reports of other days as well, because one of them may fail.
      await this.#tried('delivered', () => this.#deliverWhatIsDue());
      await this.#tried('looked for', () => this.#lookForNewest());
      const nowMs = clock.wallMs();
      const nextMs = schedule?.dueAt(nowMs).nextMs ?? Infinity;
      const pauseMs = Math.max(1, Math.min(LOOK_EVERY_MS, nextMs - nowMs));
      await clock.sleep(pauseMs, this.#stopped.signal);
    }
  }

  /** Tried again if the database is away, or if the flags are not judged yet. */
  async #tried(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#parts.onProblem(`a report could not be ${what} yet: ${messageOf(error)}`);
    }
  }

  async #makeWhatIsDue(): Promise<void> {
    const { store, facts, schedule, clock, zone, keepDays, services } = this.#parts;
    const nowMs = clock.wallMs();
    const firstKept = dateAfter(dateOf(nowMs, zone), -keepDays);
    // A target that keeps no record is not retried, because a new report would be delivered every day.
    const due = (schedule?.dueAt(nowMs).dates ?? []).filter((date) => date >= firstKept);
    const made = await store.made(due, services);
    const missing = due.filter((date) => !made.has(date));
    if (missing.length === 0) return;
    const firstDate = dateOf(await facts.installedAtMs(), zone);
    for (const date of missing.filter((one) => one >= firstDate)) {
      if (this.#stopped.signal.aborted) return;
      // One failed report does not stop later ones.
      await this.#tried('made', () => this.#make(date));
    }
    await store.prune(firstKept);
  }

  async #make(date: string): Promise<void> {
    const { store, make, replica, deliveries, services } = this.#parts;
    if (!(await store.claim(date, replica.id, services))) return;
    try {
      await store.put(await make(date), replica.id, [...deliveries.keys()]);
    } catch (error) {
      await store.release(date, replica.id).catch(() => undefined);
      throw error;
    }
  }

  async #deliverWhatIsDue(): Promise<void> {
    const { store, deliveries, replica } = this.#parts;
    const targets = [...deliveries.keys()];
    while (targets.length > 0 && !this.#stopped.signal.aborted) {
      const delivery = await store.claimDelivery(replica.id, targets);
      if (delivery === undefined) return;
      await this.#deliver(delivery);
    }
  }

  async #lookForNewest(): Promise<void> {
    const [newest] = await this.#parts.store.list(1);
    this.#lastMadeAtMs = newest?.madeAtMs;
  }

  async #deliver(delivery: ReportDelivery): Promise<void> {
    const { store, deliveries, onProblem } = this.#parts;
    const { date, target, failures } = delivery;
    const [html, md, json] = [
      await store.read(date, 'html'),
      await store.read(date, 'md'),
      await store.read(date, 'json'),
    ];
    // The report was pruned meanwhile.
    if (html === undefined || md === undefined || json === undefined) return;
    const problem = await deliveries.get(target)?.({ date, texts: { html, md, json } });
    if (problem === undefined) return store.delivered(delivery);
    this.#failed.set(target, (this.#failed.get(target) ?? 0) + 1);
    const tried = failures + 1;
    const isGivenUp = tried >= TRIES;
    await store.failed(delivery, problem, isGivenUp ? null : backoffMs(tried, RETRY));
    const end = isGivenUp ? ' and will not be sent again' : '';
    onProblem(`the report of ${date} did not reach its ${target}${end}: ${problem}`);
  }
}
