import { messageOf } from '../domain/errors.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Clock } from '../shared/clock.ts';
import type { Run, RunRequest } from '../engine/ports/run.ts';
import { RunRefused } from '../engine/runs/run-commands.ts';
import type { RunSchedule } from './run-schedule.ts';

const LOOK_EVERY_MS = 20_000;
/** A reconciliation that was missed for longer, because no proxy ran or another run was running, waits for its next time. */
const OWED_MS = 12 * 3_600_000;

export type Scope = NonNullable<RunRequest['scope']>;

export interface ScheduledReconciliationParts {
  /** Full ones first, because little has changed after them. */
  readonly schedules: ReadonlyMap<Scope, RunSchedule>;
  /** Services whose lanes are on both backends. Others have nothing to compare yet. */
  readonly comparable: () => Promise<readonly ServiceName[]>;
  /** Services whose reconciliation for that time has already started. */
  readonly begun: (request: Pick<RunRequest, 'scope' | 'scheduled'>) => Promise<ReadonlySet<string>>;
  /** @throws RunRefused */
  readonly begin: (request: RunRequest) => Promise<Run>;
  /** Whether a backfill or a repair is running. Unfinished work would count as differences. */
  readonly isBusy: () => Promise<boolean>;
  /** Times before this one are ignored. */
  readonly installedAtMs: () => Promise<number>;
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

/** Starts reconciliations when they are due. All replicas run this. One of them starts each run, and all work on it. */
export class ScheduledReconciliations {
  readonly #parts: ScheduledReconciliationParts;
  readonly #stopped = new AbortController();
  readonly #begunMs = new Map<Scope, number>();
  #loop: Promise<void> | undefined;

  constructor(parts: ScheduledReconciliationParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, schedules, onProblem } = this.#parts;
    while (!this.#stopped.signal.aborted) {
      try {
        for (const [scope, schedule] of schedules) await this.#begin(scope, schedule);
      } catch (error) {
        // The database is away. The next round tries again.
        onProblem(`a scheduled reconciliation could not be started yet: ${messageOf(error)}`);
      }
      await clock.sleep(LOOK_EVERY_MS, this.#stopped.signal);
    }
  }

  async #begin(scope: Scope, schedule: RunSchedule): Promise<void> {
    const { clock, installedAtMs, isBusy, comparable, begun } = this.#parts;
    const nowMs = clock.wallMs();
    const dueMs = schedule.lastAt(nowMs);
    if (dueMs === undefined || nowMs - dueMs > OWED_MS || dueMs <= (this.#begunMs.get(scope) ?? 0)) return;
    if (dueMs < (await installedAtMs()) || (await isBusy())) return;
    const ours = await comparable();
    if (ours.length === 0) return;
    const scheduled = new Date(dueMs).toISOString();
    // Another replica may serve some of them, and may have started these.
    const before = await begun({ scope, scheduled });
    const services = ours.filter((service) => !before.has(service));
    if (services.length === 0 || (await this.#isBegun({ services, scope, scheduled })))
      this.#begunMs.set(scope, dueMs);
  }

  /** False while another run is running. */
  async #isBegun(request: RunRequest): Promise<boolean> {
    try {
      await this.#parts.begin({ ...request, person: 'schedule', reason: 'as configured' });
      return true;
    } catch (error) {
      if (!(error instanceof RunRefused)) throw error;
      return error.code === 'known';
    }
  }
}
