import type { Backend } from '../../domain/backend.ts';
import type { LaneKey, Owner, ServiceName } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { ByPerson } from './decision-ports.ts';
import type { Position } from './restored-ports.ts';

/** A lane whose new writes wait, in every replica, while its primary may change. */
export interface HeldForFlip {
  readonly state: LaneState;
  /** How many homes the lane has had. A replica that lost the lane and got it back has missed something. */
  readonly claim: number;
}

/** What permits a lane to leave legacy. The statement that flips the lane checks all of it again. */
export interface FlipPermission {
  /** Number of the share that contains the lane. Every registered replica must have reported it. */
  readonly share: number;
  /** The lane's place in the order of its service: see `domain/cutover-bucket.ts`. */
  readonly bucket: number;
  /** Every registered replica must answer writes with this version. */
  readonly version: string;
  /** The way back is not proven, so the lane must be the one that a person named. */
  readonly isFirst?: true;
}

/** What the replica saw when it decided to flip the lane. */
export interface FlipDecision {
  /** The new primary. */
  readonly to: Backend;
  readonly epoch: number;
  readonly sequence: number;
  readonly claim: number;
  /** Absent: the lane returns to legacy. */
  readonly permission?: FlipPermission;
  /** What the orchestrator holds of a lane that leaves legacy. An older copy is noticed by it. @defaultValue not known */
  readonly held?: Position;
  /** Stored with the flip, so that its row explains it. @defaultValue none */
  readonly facts?: Readonly<Record<string, string | number>>;
}

/**
 * Changes which backend is primary for the writes of a lane. Only the lane's home does. @throws StorageError
 */
export interface FlipStore {
  /**
   * New intents of the lane wait from now on, at most for this time. {@link withdraw} ends it.
   * @returns undefined if another replica is the home or holds the lane, or if another replica's write is open
   */
  announce(lane: LaneKey, ms: number): Promise<HeldForFlip | undefined>;
  /** Ends the hold of a flip that was not made. The lane is without a home again if nothing of it waits. */
  withdraw(lane: LaneKey): Promise<void>;
  /**
   * The only statement that changes a lane's primary. It also ends the hold. The epoch rises by one. A lane that returns to legacy gets a
   * new generation and is no longer seeded, so that it is copied before anything is delivered again.
   * @returns undefined if anything is not as it was decided on, or if the lane is not ready. Nothing is changed then. A ready lane is clean,
   * and both backends have every write. A lane that leaves legacy also needs its permission
   */
  flip(lane: LaneKey, decision: FlipDecision): Promise<LaneState | undefined>;
  /**
   * Makes the row of a new owner, with the orchestrator as primary.
   * @returns undefined if the owner has a row, or if the permission does not hold. Nothing is changed then
   */
  bear(lane: LaneKey, permission: FlipPermission): Promise<LaneState | undefined>;
}

/** The lanes of a service whose writes may move to the orchestrator. */
export interface FlipShare {
  /** Rises with every change. */
  readonly number: number;
  /** Whole percent. The share contains the lanes whose bucket is not above it. */
  readonly percentage: number;
  /** A replica with another version refuses writes of flipped lanes. */
  readonly version: string;
}

/** A person has stopped further flips of a service. */
export interface FlipHold extends ByPerson {
  readonly atMs: number;
}

/** For this long, a lane that a person named may go first. */
export const FIRST_LANE_HOURS = 24;

/** The one lane of a service that a person lets flip before the way back is proven. */
export interface FirstLane extends ByPerson {
  readonly lane: LaneKey;
  readonly atMs: number;
}

/** Which lanes may be flipped at all, by service. @throws StorageError */
export interface FlipShareStore {
  /** Of the services that have one. */
  shares(): Promise<ReadonlyMap<ServiceName, FlipShare>>;
  /**
   * Changes the percentage. It is lowered only if no flipped lane is outside the lower share.
   * @param version of a service that has no share yet
   */
  resize(service: ServiceName, percentage: number, version: string): Promise<void>;
  /** Makes this the version of the share, if every registered replica of the service reports it. */
  agree(service: ServiceName, version: string): Promise<void>;
  /** Stops further flips until a person lifts that. Audited. A service that is held stays held by the first person. */
  hold(service: ServiceName, by: ByPerson): Promise<void>;
  /** @returns false if the service was not held */
  lift(service: ServiceName, by: ByPerson): Promise<boolean>;
  held(): Promise<ReadonlyMap<ServiceName, FlipHold>>;
  /**
   * Lets this lane flip before the way back of its service is proven, in the place of a lane that was named before. Audited.
   * @returns false if a lane of the service is flipped already, because its writes prove the way back
   */
  nameFirst(lane: LaneKey, by: ByPerson): Promise<boolean>;
  /** The lane that was named less than {@link FIRST_LANE_HOURS} ago. */
  firstLane(service: ServiceName): Promise<FirstLane | undefined>;
}

/** Why a lane's history, or its copy on the orchestrator, is not certain. */
export type Unclean =
  | 'dirty'
  | 'copying'
  | 'stopped'
  | 'not_seeded'
  | 'excepted'
  | 'differs'
  | 'dead_letter'
  | 'unknown_outcome'
  | 'may_be_repeated'
  | 'run_at_work';

/** A flip that failed and is tried again. */
export interface FlipAttempts {
  /** Since the lane last moved. */
  readonly failed: number;
  /** Of the last one: a closed word. */
  readonly reason: string;
  /** Until the next attempt; 0 if it is due. */
  readonly dueInSeconds: number;
}

/** A lane whose primary is legacy, with what decides whether it can be flipped. */
export interface FlipCandidate {
  /** Lanes are listed in the order of their ids. */
  readonly id: number;
  readonly lane: LaneKey;
  readonly owner: Owner;
  /** Absent: the lane is clean. */
  readonly unclean?: Unclean;
  /** Since both backends were last found to hold the same, as judged now. Absent: they never were. */
  readonly verifiedAgoSeconds?: number;
  /** Absent: no flip has failed. */
  readonly attempts?: FlipAttempts;
  /** Another live replica is the lane's home, so that only it can flip the lane. */
  readonly isElsewhere?: true;
}

/** What decides whether lanes of a service can be flipped now. */
export interface FlipStanding {
  /** Registered replicas that have not reported the share, and those that answer writes with another version. */
  readonly notReported: number;
  readonly otherVersions: number;
  readonly isAnySpilled: boolean;
  readonly held: FlipHold | undefined;
  /** Whether the orchestrator is primary of a lane. */
  readonly isAnyFlipped: boolean;
  /** Lanes whose primary changed in the last minute, in either direction. Lanes that were born are none of them. */
  readonly movedLately: number;
  /** Of the flipped lanes, those that differed when they were compared after the flip. */
  readonly flippedDiffer: number;
}

/** A change of a lane's primary. */
export interface PastFlip {
  readonly epoch: number;
  /** The new primary. */
  readonly primary: Backend;
  readonly at: Date;
  readonly replica: string;
  /** What it was decided by. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Null while the lane was not compared since. */
  readonly compared_at: Date | null;
  readonly comparison: string | null;
}

/** A flipped lane that is to be compared once more. */
export interface UncomparedFlip {
  readonly lane: LaneKey;
  readonly owner: Owner;
  readonly service: ServiceName;
  readonly epoch: number;
}

export interface CandidateQuery {
  /** Lanes with a higher id. */
  readonly after: number;
  readonly limit: number;
  /** Comparisons that were judged under another digest prove nothing. */
  readonly digest: string;
  /** Also lanes whose home is another live replica. @defaultValue false */
  readonly isEveryHome?: true;
}

/** What is known of the lanes that move. @throws StorageError */
export interface FlipBook {
  /** Takes less than 10 ms with 100,000 lanes, because the flips ask for it every second. */
  standing(service: ServiceName): Promise<FlipStanding>;
  /** The number of lanes whose primary is the orchestrator, for people. */
  flipped(service: ServiceName): Promise<number>;
  /** Lanes whose primary is legacy. */
  candidates(service: ServiceName, query: CandidateQuery): Promise<readonly FlipCandidate[]>;
  /** Undefined if the journal has no row of the lane, or if its primary is the orchestrator. */
  candidate(lane: LaneKey, digest: string): Promise<FlipCandidate | undefined>;
  /** Of these lanes, those that the journal has a row of, and whose primary is legacy. */
  among(lanes: readonly LaneKey[], digest: string): Promise<readonly FlipCandidate[]>;
  /** Every change of the lane's primary, oldest first. */
  history(lane: LaneKey): Promise<readonly PastFlip[]>;
  /** Both backends were found to hold the same. */
  verified(lanes: readonly LaneKey[], digest: string): Promise<void>;
  /** A flip failed and may be tried again after this time. */
  failed(lane: LaneKey, reason: string, pauseSeconds: number): Promise<void>;
  /** Flipped lanes without a comparison since, whose writes are all on both backends. Without those of another live home. */
  uncompared(services: readonly ServiceName[], limit: number): Promise<readonly UncomparedFlip[]>;
  compared(flip: UncomparedFlip, result: 'equal' | 'different'): Promise<void>;
}
