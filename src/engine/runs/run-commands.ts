import type { ServiceName } from '../../domain/ids.ts';
import { listService } from './legacy-lanes.ts';
import type { Brake } from './pace.ts';
import type { Run, RunKind, RunProgress, RunRequest } from '../ports/run.ts';
import type { RunStore, StandingLanes } from './run-ports.ts';
import type { RunWork } from './run-work.ts';
import type { RunWorker } from './run-worker.ts';

/** `known`: another replica, or another check of the schedule, has started it. */
type RefusalCode = 'not_found' | 'conflict' | 'known';

/** Why a run cannot be started, stopped or resumed, in words for a person. */
export class RunRefused extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

interface RunCommandParts {
  readonly store: RunStore;
  readonly works: Readonly<Record<RunKind, RunWork>>;
  readonly worker: RunWorker;
  /** Services whose dual writes are active, so that they can be copied. */
  readonly isCovered: (service: ServiceName) => boolean;
}

export interface RunStatus {
  readonly run: Run;
  readonly progress: RunProgress;
  readonly brake: Brake | undefined;
}

/** Commands of people to start, watch and stop runs. @throws RunRefused; StorageError */
export class RunCommands {
  readonly #parts: RunCommandParts;

  constructor(parts: RunCommandParts) {
    this.#parts = parts;
  }

  async begin(kind: RunKind, request: RunRequest): Promise<Run> {
    const { store, worker, isCovered } = this.#parts;
    const uncovered = request.services.filter((service) => !isCovered(service));
    if (uncovered.length > 0)
      throw new RunRefused(
        'conflict',
        `dual writes of ${uncovered.join(', ')} are not active, so a copy would not stay equal. ` +
          'Switch crossfade.<service>.dual-write on first, or name other services with --service',
      );
    const run = await store.create(kind, request);
    if (run === undefined) {
      const open = await this.#underWay(kind);
      throw open === undefined
        ? new RunRefused('known', `the ${kind} of ${request.scheduled ?? 'that time'} was already started`)
        : new RunRefused(
            'conflict',
            `run ${open.id} is already running: watch it with --resume, or stop it with crossfade runs stop ${open.id}`,
          );
    }
    worker.wake();
    return run;
  }

  async #underWay(kind: RunKind): Promise<Run | undefined> {
    return (await this.#parts.store.open()).find((run) => run.kind === kind);
  }

  /** What a run would find, by service. Writes nothing. */
  async rehearse(kind: RunKind, request: RunRequest): Promise<Readonly<Record<string, object>>> {
    const surveys: Record<string, object> = {};
    const work = this.#parts.works[kind];
    const keep = async (): Promise<void> => undefined;
    for (const service of request.services)
      surveys[service] = await listService({ work, run: { request }, service, keep });
    return surveys;
  }

  async show(id: number): Promise<RunStatus> {
    const { store, worker } = this.#parts;
    const run = await this.#get(id);
    return { run, progress: await store.progress(id), brake: worker.brakeOf(id) };
  }

  /** What became of the lanes that these runs found different. */
  standing(ids: readonly number[]): Promise<ReadonlyMap<number, StandingLanes>> {
    return this.#parts.store.standing(ids);
  }

  recent(kind: RunKind | undefined, limit: number): Promise<readonly Run[]> {
    return this.#parts.store.recent(kind, limit);
  }

  async stop(id: number, reason: string): Promise<Run> {
    await this.#get(id);
    const isStopped = await this.#parts.store.change(id, {
      from: ['listing', 'running'],
      to: 'stopped',
      reason,
    });
    if (!isStopped) throw new RunRefused('conflict', `run ${id} is not running`);
    return this.#get(id);
  }

  /** Resumes the newest stopped run of a kind, or returns the one that is running. */
  async resume(kind: RunKind): Promise<Run> {
    const { store, worker } = this.#parts;
    const open = await this.#underWay(kind);
    if (open !== undefined) return open;
    const [newest] = await store.recent(kind, 1);
    if (newest === undefined)
      throw new RunRefused('not_found', `there is no ${kind} to resume: start one without --resume`);
    const isListed = Object.keys(newest.survey).length === newest.request.services.length;
    const isResumed = await store.takeUp(newest.id, isListed ? 'running' : 'listing');
    if (isResumed) worker.wake();
    // Another request was faster.
    const taken = isResumed ? await this.#get(newest.id) : await this.#underWay(kind);
    if (taken === undefined)
      throw new RunRefused('conflict', `run ${newest.id} is ${newest.state}: there is nothing to resume`);
    return taken;
  }

  async #get(id: number): Promise<Run> {
    const run = await this.#parts.store.get(id);
    if (run === undefined) throw new RunRefused('not_found', `there is no run ${id}: see the list of runs`);
    return run;
  }
}
