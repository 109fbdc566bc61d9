import type { Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Page, Run, RunRequest, Tally } from '../ports/run.ts';

/** What a run may do now. */
export interface RunControl {
  /** A person has stopped the run, or the proxy is stopping. Work in progress may end, and nothing new starts. */
  isStopped(): boolean;
  /** Maximum number of lanes under way together. Lower while agents wait longer than before. */
  width(): number;
  /** Waits as long as the rate requires after this many items. Counts only if there is a rate. */
  after(items: () => Promise<number>): Promise<void>;
}

/** A lane to work on. */
export interface ListedLane {
  readonly owner: Owner;
  /**
   * When it was last written to, because the newest lanes come first. @defaultValue unknown: after all others, in the order of
   * the list
   */
  readonly newestAtMs?: number;
}

export interface PageOutcome {
  readonly tally: Tally;
  /** Lanes whose home is another replica. */
  readonly elsewhere?: ReadonlyMap<ReplicaId, readonly Owner[]>;
  /** Why the run must stop until a person has checked. */
  readonly halt?: string;
}

/** One kind of run. */
export interface RunWork {
  /** Pages start, finish and are claimed as a whole. Progress is counted in pages. */
  lanesPerPage(request: RunRequest): number;
  /**
   * While the stores answer for one page, another one starts. A repair has no such overlap, because a surprise must stop it
   * before the next page.
   */
  readonly pagesAtOnce: number;
  /** Writes nothing. A lane may come twice. Returns what was found meanwhile. */
  list(run: Pick<Run, 'request'>, service: ServiceName): AsyncGenerator<readonly ListedLane[], object>;
  page(run: Run, page: Page, control: RunControl): Promise<PageOutcome>;
  /** The document of what was done. */
  document(run: Run, tallies: Readonly<Record<string, Tally>>): Promise<object>;
}

/** Thrown when a page was not finished because the run was stopped. */
export class RunInterrupted extends Error {}

const LOOK_AGAIN_MS = 20;

/** Works on many entries, as many at a time as the control allows at each moment. Returns false if it was stopped. */
export async function inParallel<Item>(
  items: readonly Item[],
  control: Pick<RunControl, 'isStopped' | 'width'>,
  work: (item: Item) => Promise<void>,
): Promise<boolean> {
  const failures: unknown[] = [];
  let underWay = 0;
  let wake = (): void => undefined;
  const ended = (): Promise<void> => new Promise((resolve) => (wake = resolve));
  const begin = async (item: Item): Promise<void> => {
    underWay += 1;
    try {
      await work(item);
    } catch (error) {
      failures.push(error);
    }
    underWay -= 1;
    wake();
  };
  for (const item of items) {
    while (underWay >= Math.max(1, control.width())) await Promise.race([ended(), pause()]);
    if (control.isStopped() || failures.length > 0) break;
    void begin(item);
  }
  while (underWay > 0) await ended();
  if (failures.length > 0) throw failures[0];
  return !control.isStopped();
}

function pause(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, LOOK_AGAIN_MS);
  });
}

const MOST_LANES = 200;
/** Assumed number of items of a lane before it is read. */
const ITEMS_OF_A_LANE = 20;

/**
 * Large pages fill shared calls. With a rate limit, a page must be small. A large one would show no progress for seconds, and
 * leave no work for other replicas.
 */
export function lanesOfAPage({ rate }: Pick<RunRequest, 'rate'>): number {
  if (rate === undefined) return MOST_LANES;
  return Math.max(1, Math.min(MOST_LANES, Math.ceil(rate / ITEMS_OF_A_LANE)));
}
