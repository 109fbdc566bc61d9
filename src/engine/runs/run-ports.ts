import type { LaneKey, Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { ListedLane } from './run-work.ts';
import type { Page, Run, RunKind, RunProgress, RunRequest, RunState, Tally } from '../ports/run.ts';

export interface StateChange {
  readonly from: readonly RunState[];
  readonly to: RunState;
  /** @defaultValue none */
  readonly reason?: string;
}

/** The state of runs, and their open findings. */
export interface RunFigures {
  readonly kinds: readonly {
    readonly kind: RunKind;
    /** Running runs, and their progress. */
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

/** Lanes that a run found different: `unresolved` ones are open, `superseded` ones were found different by a later run. */
export interface StandingLanes {
  readonly unresolved: number;
  readonly superseded: number;
  /** Of the unresolved ones: lanes whose repair was undone, and lanes with items that legacy lost. */
  readonly undone: number;
  readonly lost: number;
  /** Open differences that count against legacy, because their lanes are flipped. They are none of the unresolved ones. */
  readonly flipped: number;
}

/** Runs, in the journal's database. A claim lasts as long as its replica lives. @throws StorageError */
export interface RunStore {
  /** Undefined if one of the kind is running, or any replica has started it for the same scheduled time. */
  create(kind: RunKind, request: RunRequest): Promise<Run | undefined>;
  /** False if it was neither stopped nor failed, or another one of its kind is running. */
  takeUp(id: number, to: RunState): Promise<boolean>;
  get(id: number): Promise<Run | undefined>;
  /** Newest first. */
  recent(kind: RunKind | undefined, limit: number): Promise<readonly Run[]>;
  /** Running runs, oldest first. */
  open(): Promise<readonly Run[]>;
  /** Cheap enough to call every second: reads no pages. */
  progress(id: number): Promise<RunProgress>;
  /** What became of the lanes that these runs found different. A run that found none is left out. */
  standing(ids: readonly number[]): Promise<ReadonlyMap<number, StandingLanes>>;
  /** The sums of all its pages by service, with what was left out. Reads all pages. */
  tallies(id: number): Promise<Readonly<Record<string, Tally>>>;
  /** True for one replica at a time. What a dead one had listed is dropped. */
  claimListing(id: number, replica: ReplicaId): Promise<boolean>;
  /** Stores lanes that are being listed. A lane that comes twice counts once. */
  addLanes(id: number, service: ServiceName, lanes: readonly ListedLane[]): Promise<void>;
  /** Divides the listed lanes of a service into pages, in working order. @returns the number of lanes */
  cutPages(id: number, service: ServiceName, lanesPerPage: number): Promise<number>;
  surveyed(id: number, service: string, survey: object): Promise<void>;
  /** Changes the state from one of `from`. False if it had none of them. */
  change(id: number, change: StateChange): Promise<boolean>;
  /** @param underWay pages that this replica works on. Its other claims were abandoned, and are claimed again */
  claimPage(id: number, replica: ReplicaId, underWay: readonly number[]): Promise<Page | undefined>;
  /** `elsewhere`: lanes of the page whose home is another replica, by replica. */
  finishPage(page: Page, tally: Tally, elsewhere: ReadonlyMap<ReplicaId, readonly Owner[]>): Promise<void>;
  /** Gives a page back. It may not start again before `delayMs`. */
  releasePage(page: Page, delayMs: number): Promise<void>;
  /** Pages that are not done. */
  pagesLeft(id: number): Promise<number>;
  report(id: number, report: object): Promise<void>;
  figures(): Promise<RunFigures>;
}

/** Facts about many lanes at once, from the journal's database. @throws StorageError */
export interface LaneDirectory {
  /** Owners of lanes in the journal, page by page. */
  owners(service: ServiceName): AsyncIterable<readonly Owner[]>;
  /** Only lanes that were written to, or copied, since they were last found equal. */
  changed(service: ServiceName): AsyncIterable<readonly Owner[]>;
  /** Lanes whose home is another live replica. */
  homesElsewhere(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, ReplicaId>>;
  /** Items of a lane that the secondary refused, by reason, accepted or not. */
  exceptions(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, ReadonlyMap<string, number>>>;
}
