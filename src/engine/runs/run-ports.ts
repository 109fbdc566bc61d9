import type { LaneKey, Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { ListedLane } from './run-work.ts';
import type { Page, Run, RunKind, RunProgress, RunRequest, RunState, Tally } from '../ports/run.ts';

export interface StateChange {
  readonly from: readonly RunState[];
  readonly to: RunState;
  /** @defaultValue none */
  readonly reason?: string;
}

/** How runs stand, and what they have found that nobody has settled. */
export interface RunFigures {
  readonly kinds: readonly {
    readonly kind: RunKind;
    /** Under way, and how far they have come. */
    readonly open: number;
    readonly lanes: number;
    readonly lanesDone: number;
    /** When the newest one finished; null before the first. */
    readonly finishedAtMs: number | null;
  }[];
  readonly services: readonly {
    readonly service: string;
    readonly divergentLanes: number;
    readonly lostItems: number;
  }[];
}

/** Runs, in the journal's database. Claims last as long as the replica that made them lives. @throws StorageError */
export interface RunStore {
  /** Undefined where one of the kind is under way, or was begun for the same time of a schedule, by whichever replica. */
  create(kind: RunKind, request: RunRequest): Promise<Run | undefined>;
  /** False where it neither was stopped nor failed, or another one of its kind is under way. */
  takeUp(id: number, to: RunState): Promise<boolean>;
  get(id: number): Promise<Run | undefined>;
  /** Newest first. */
  recent(kind: RunKind | undefined, limit: number): Promise<readonly Run[]>;
  /** Runs to work on, the oldest first. */
  open(): Promise<readonly Run[]>;
  /** Asked for every second by whoever watches: reads no pages. */
  progress(id: number): Promise<RunProgress>;
  /** Lanes that these runs found unequal, and that are neither repaired nor accepted; a run without any is left out. */
  unsettled(ids: readonly number[]): Promise<ReadonlyMap<number, number>>;
  /** By service what all its pages came to, with what was left out. Reads them all. */
  tallies(id: number): Promise<Readonly<Record<string, Tally>>>;
  /** True for one replica at a time; what one that died had listed is forgotten. */
  claimListing(id: number, replica: ReplicaId): Promise<boolean>;
  /** Writes down lanes that are being listed; one that comes twice counts once. */
  addLanes(id: number, service: ServiceName, lanes: readonly ListedLane[]): Promise<void>;
  /** Cuts the lanes that were listed of a service into pages, in the order they are worked on. @returns how many lanes there are */
  cutPages(id: number, service: ServiceName, lanesPerPage: number): Promise<number>;
  surveyed(id: number, service: string, survey: object): Promise<void>;
  /** Changes the state from one of `from`; false where it was in none of them. */
  change(id: number, change: StateChange): Promise<boolean>;
  /** @param underWay pages that this replica works on: what else it has claimed it gave up without saying so, and takes up again */
  claimPage(id: number, replica: ReplicaId, underWay: readonly number[]): Promise<Page | undefined>;
  /** `elsewhere`: lanes of the page whose home is another replica, by that replica. */
  finishPage(page: Page, tally: Tally, elsewhere: ReadonlyMap<ReplicaId, readonly Owner[]>): Promise<void>;
  /** Gives a page back, not to be begun again before `delayMs`. */
  releasePage(page: Page, delayMs: number): Promise<void>;
  /** Pages that are not done. */
  pagesLeft(id: number): Promise<number>;
  report(id: number, report: object): Promise<void>;
  figures(): Promise<RunFigures>;
}

/** What the journal's database says of many lanes at once. @throws StorageError */
export interface LaneDirectory {
  /** Owners whose lanes the journal knows, page by page. */
  owners(service: ServiceName): AsyncIterable<readonly Owner[]>;
  /** Of lanes written to, or copied, since they were last found equal. */
  changed(service: ServiceName): AsyncIterable<readonly Owner[]>;
  /** Lanes whose home is another replica that lives. */
  homesElsewhere(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, ReplicaId>>;
  /** Items that the secondary refused of a lane, by reason, accepted or not. */
  exceptions(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, ReadonlyMap<string, number>>>;
}
