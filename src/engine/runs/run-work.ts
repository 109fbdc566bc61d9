import type { Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Page, Run, RunRequest, Tally } from '../ports/run.ts';

/** What a run may do at this moment. */
export interface RunControl {
  /** A person has stopped the run, or the proxy stops: what is under way may end, nothing more begins. */
  isStopped(): boolean;
  /** Lanes that may be under way together: fewer while agents wait longer than they did. */
  width(): number;
  /** Waits as long as the rate asks for after so many items; counted only where there is a rate. */
  after(items: () => Promise<number>): Promise<void>;
}

/** A lane that is to be worked on. */
export interface ListedLane {
  readonly owner: Owner;
  /** When it was written to last: the newest lanes come first. @defaultValue unknown: behind all others, in the order they were listed */
  readonly newestAtMs?: number;
}

export interface PageOutcome {
  readonly tally: Tally;
  /** Lanes whose home is another replica. */
  readonly elsewhere?: ReadonlyMap<ReplicaId, readonly Owner[]>;
  /** Why the run must not go on before a person has looked. */
  readonly halt?: string;
}

/** One kind of run. */
export interface RunWork {
  /** Pages are begun, finished and shared whole: how far a run has come is seen page by page. */
  lanesPerPage(request: RunRequest): number;
  /** While the stores answer for one page, another is worked on. What stops a repair must stop it before the next page. */
  readonly pagesAtOnce: number;
  /** Writes nothing. A lane may come twice. Returns what was found meanwhile. */
  list(run: Pick<Run, 'request'>, service: ServiceName): AsyncGenerator<readonly ListedLane[], object>;
  page(run: Run, page: Page, control: RunControl): Promise<PageOutcome>;
  /** The document about what was done. */
  document(run: Run, tallies: Readonly<Record<string, Tally>>): Promise<object>;
}

/** A page was not finished, because nobody wants it to be. */
export class RunInterrupted extends Error {}
