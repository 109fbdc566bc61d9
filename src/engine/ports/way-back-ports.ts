import type { Backend } from '../../domain/backend.ts';
import type { LaneKey, OperationId, Owner, ServiceName } from '../../domain/ids.ts';
import type { ByPerson } from './decision-ports.ts';

/** How ready a service is to go back, at this moment. */
export interface WayBackReadiness {
  /** Lanes by the primary of their writes. */
  readonly lanes: Readonly<Record<Backend, number>>;
  readonly waitingWrites: number;
  readonly lostWrites: number;
  readonly lostWaysBack: number;
  /** Lanes that are returning now. */
  readonly returning: number;
  /** How long a send took lately. Null: none was made. */
  readonly sendMs: number | null;
}

/** Which flipped lanes of a service return to legacy. */
export type ReturnChoice =
  | { readonly owner: Owner }
  /** Those beyond this percentage, in the order in which lanes move. */
  | { readonly beyondPercentage: number }
  | 'all';

/**
 * Why legacy would lack a write. `skipped`: a person has skipped it. `halted`: its send waits for a person. `way_back_lost`: nothing of
 * its lane is sent to legacy any more.
 */
export type LossCause = 'skipped' | 'halted' | 'way_back_lost';

/** An acknowledged write that legacy would lack. */
export interface WouldBeLost {
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly operationId: OperationId;
  readonly action: string;
  readonly cause: LossCause;
}

/** A flipped lane that cannot return without a loss. */
export interface LostWayBack {
  readonly lane: LaneKey;
  readonly writes: number;
  readonly sinceMs: number;
}

/** What going back now would mean. Nothing is changed by reading it. */
export interface ReturnPlan {
  readonly lanes: number;
  /** Acknowledged writes that wait for legacy, and are sent before the lanes return. */
  readonly waitingWrites: number;
  readonly lostWrites: number;
  /** The first of them. */
  readonly lost: readonly WouldBeLost[];
  readonly lostWaysBack: readonly LostWayBack[];
  /** Writes whose owner legacy's retention has forgotten. */
  readonly forgottenWrites: number;
  /** Whether a person has accepted once that legacy forgets. */
  readonly isForgettingAccepted: boolean;
  /** Legacy stamps a write when it gets it: the longest time between the agent's write and that. Null: none was sent. */
  readonly largestShiftMs: number | null;
  /** How long a send took lately. Null: none was made. */
  readonly sendMs: number | null;
  /** Writes without an outcome. If the orchestrator is dead, they count as not applied. */
  readonly openWrites: number;
}

/** The progress of the return of lanes. */
export interface Rollback extends ByPerson {
  readonly id: number;
  readonly service: ServiceName;
  readonly lanes: number;
  readonly returned: number;
  readonly acceptsLoss: boolean;
  readonly beganAtMs: number;
  /** Absent while lanes are to return. */
  readonly endedAtMs?: number;
  /** Lanes that could not return yet, with the reason of the last attempt. The first of them. */
  readonly waiting: readonly { readonly lane: LaneKey; readonly attempts: number; readonly reason: string }[];
}

/** A lane that is to return, and that this replica may hold. */
export interface DueReturn {
  readonly rollback: number;
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly acceptsLoss: boolean;
  /** The person who asked for it. */
  readonly by: ByPerson;
  /** Since when the lane is to return. */
  readonly ageMs: number;
}

/**
 * Why a lane cannot return yet. A person ends `halted`, `would_lose`, `restored`, `unknown_outcome`, `dead_letter` and `not_clean`.
 * `read_only`: legacy takes no writes.
 */
export type ReturnObstacle =
  | 'read_only'
  | 'writes_wait'
  | 'halted'
  | 'would_lose'
  | 'open_write'
  | 'busy'
  | 'restored'
  | 'unknown_outcome'
  | 'dead_letter'
  | 'not_clean'
  | 'repeat_window';

/** Writes without an outcome. */
export interface OpenWrites {
  /** Up to this sequence this replica has acknowledged writes. Their outcomes are on their way to the journal. */
  readonly above: number;
  readonly ofDeadReplicas: boolean;
}

/** Lanes that return to legacy. @throws StorageError */
export interface WayBackStore {
  readiness(service: ServiceName): Promise<WayBackReadiness>;
  plan(service: ServiceName, choice: ReturnChoice): Promise<ReturnPlan>;
  /** The owners of the chosen lanes, in the order of their keys; the next page after an owner. */
  owners(service: ServiceName, choice: ReturnChoice, after: string): Promise<readonly Owner[]>;
  /**
   * Records that the lanes are to return, audited.
   * @returns undefined if lanes of the service are returning already
   */
  begin(
    service: ServiceName,
    choice: ReturnChoice,
    by: ByPerson & { readonly acceptsLoss: boolean },
  ): Promise<Rollback | undefined>;
  /** Lanes whose next attempt is due and that no other replica holds. */
  due(): Promise<readonly DueReturn[]>;
  /** What keeps the lane. Undefined if nothing does, as far as its row tells. */
  obstacle(lane: LaneKey): Promise<ReturnObstacle | undefined>;
  /** The write of the lane whose send waits for a person. */
  halted(lane: LaneKey): Promise<OperationId | undefined>;
  /** Nothing of the lane is sent to legacy any more, and a person accepts that legacy lacks its writes. The lane must be held. */
  giveUpWrites(lane: LaneKey): Promise<void>;
  /**
   * The orchestrator is dead: writes without an outcome count as not applied. Those of this replica have agents that got errors. A
   * dead replica may have acknowledged its last one. The lane's turn must be taken.
   */
  giveUpOpen(lane: LaneKey, which: OpenWrites): Promise<void>;
  failed(due: DueReturn, reason: ReturnObstacle): Promise<void>;
  /** Records which lanes have returned, by any replica, and which rollbacks have ended. @returns those that ended now */
  settle(): Promise<readonly Rollback[]>;
  find(id: number): Promise<Rollback | undefined>;
  /** Newest first. */
  list(limit: number): Promise<readonly Rollback[]>;
  /** Lanes that have not returned stay on the orchestrator. @returns false if it had ended */
  stop(id: number, by: ByPerson): Promise<boolean>;
}
