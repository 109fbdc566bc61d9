import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';
import type { ByPerson, Decided, LedgerQuery } from './decision-ports.ts';
import type { WriteRef } from './ports.ts';

/** Whose write was read back on legacy: an agent's, or one of Crossfade's own canary owner. */
export type ProvenBy = 'agent' | 'canary';

/** The newest proof that a write of the service reaches legacy after the orchestrator has applied it. */
export interface ReverseProof {
  readonly by: ProvenBy;
  /** By the database's clock. */
  readonly atMs: number;
}

/** Proofs that the way back of a service works. @throws StorageError */
export interface ReverseProofs {
  /** A reverse write of the service was just read back on legacy. */
  proved(service: ServiceName, by: ProvenBy): Promise<void>;
  /** Undefined if none was ever read back. */
  provenAt(service: ServiceName): Promise<ReverseProof | undefined>;
  /** Whether this caller may write to the service as the canary now. Once in ten minutes, over all replicas. */
  claimCanary(service: ServiceName): Promise<boolean>;
}

/**
 * How a reverse send ended. `applied`: legacy has the write. `forgotten`: legacy's retention has forgotten the owner. `skipped` and
 * `assumed_applied`: a person has decided so.
 */
export type ReverseEnding = 'applied' | 'forgotten' | 'skipped' | 'assumed_applied';

/**
 * Why a reverse send waits for a person, and with it the later writes of its lane.
 *
 * - `undecided`: its outcome is unknown, and legacy's items do not tell
 * - `unreadable`: its outcome is unknown, and the service cannot be read
 * - `unanswered`: several attempts had no outcome and no effect
 * - `refused`: legacy refuses it
 * - `owner_gone`: legacy shows no owner, and the service's retention does not explain that
 * - `effect_too_late`: its side effect outside the store would come later than the definition allows
 * - `effect_elsewhere`: the orchestrator has caused its side effect, and legacy would cause it again
 * - `unnamed`: which items it names is not certain
 * - `impossible`: the definition has no request that has its effect on legacy
 */
export const HALT_REASONS = [
  'undecided',
  'unreadable',
  'unanswered',
  'refused',
  'owner_gone',
  'effect_too_late',
  'effect_elsewhere',
  'unnamed',
  'impossible',
] as const;

/** @see HALT_REASONS */
export type HaltReason = (typeof HALT_REASONS)[number];

/** One attempt to send a write to legacy. */
export interface ReverseStart {
  readonly ref: WriteRef;
  readonly operationId: OperationId;
  readonly action: string;
  /** The lane's epoch as this replica knows it. */
  readonly epoch: number;
  /** 1 for the first attempt. A second replica that believes to make the same attempt does not begin it. */
  readonly attempt: number;
  /** Legacy's end of the lane as last known, as text without content. Absent: unknown. */
  readonly tail?: string | undefined;
  /** Legacy has enough to do meanwhile, so the start may wait a moment for others that share its commit. @defaultValue false */
  readonly mayWait?: boolean;
}

/** How an attempt ended. */
export interface ReverseEnd {
  readonly ref: WriteRef;
  readonly attempt: number;
  readonly ending: ReverseEnding;
  /** As {@link ReverseStart.mayWait}. @defaultValue false */
  readonly mayWait?: boolean;
}

/** What is stored of a write that was to be sent to legacy. */
export interface StoredReverseSend {
  readonly attempt: number;
  /** Since the start of this attempt, by the database's clock. */
  readonly ageMs: number;
  readonly tail?: string;
  /** Absent while it is not halted. */
  readonly halted?: HaltReason;
  /** A person has decided that it is to be sent again, and no attempt has begun since. */
  readonly isRetried: boolean;
  /** Absent while it has not ended. */
  readonly ending?: ReverseEnding;
}

/** What the ended sends of a lane tell of its owner on legacy. */
export interface LastReverse {
  readonly nowMs: number;
  /** The end of the newest send that legacy has applied. Absent: none yet. */
  readonly atMs?: number;
  /** The newest ended send found that legacy's retention has forgotten the owner. */
  readonly isForgotten: boolean;
  /** Nothing of the lane is sent any more. */
  readonly isLost: boolean;
  /** Legacy lacks a write for good, because a person skipped it, or because legacy had forgotten the owner. */
  readonly lacksWrite: boolean;
}

/**
 * Sends of writes to legacy, in lanes whose primary is the orchestrator. Legacy has no fence, so each send is durable before it
 * is made. @throws StorageError
 */
export interface ReverseSends {
  /**
   * Stores the start of an attempt, in the next group commit.
   * @returns false if nothing is stored. The lane has another home or primary then, or another open send. Or its way back is lost, or a
   * restored database has it in part. Or legacy is read-only, and gets no write after an earlier one. Or the attempt has begun before
   */
  begin(start: ReverseStart): Promise<boolean>;
  find(ref: WriteRef): Promise<StoredReverseSend | undefined>;
  /** Stores the end of an attempt, in the next group commit. Without effect if another attempt has begun, or if it has ended. */
  end(ended: ReverseEnd): Promise<void>;
  /** The attempt waits for a person. Without effect like {@link end}. */
  halt(ref: WriteRef, attempt: number, reason: HaltReason): Promise<void>;
  last(lane: LaneKey): Promise<LastReverse>;
  /**
   * Too many writes wait: nothing is sent to legacy in this lane any more, so that it cannot return there.
   * @returns false if nothing is changed. Legacy is read-only then, or does not have all yet that waited for that reason
   */
  loseWayBack(lane: LaneKey): Promise<boolean>;
}

/** A reverse send that waits for a person, or that a person has decided about. */
export interface HaltedSend {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly action: string;
  readonly because: HaltReason;
  readonly haltedAtMs: number;
  readonly attempts: number;
  /** `retried`: sent again, or about to be. */
  readonly standing: 'open' | 'retried' | ReverseEnding;
  readonly decidedAtMs?: number;
  readonly decidedBy?: ByPerson;
  /** Later writes of the lane that wait. */
  readonly waiting: number;
}

/** What a person decides about a halted send. */
export type ReverseDecision = 'retry' | 'skip' | 'assume_applied';

/** The ledger of halted reverse sends. Changes are audited in the same transaction. @throws StorageError */
export interface ReverseLedger {
  /** Newest first. */
  list(query: LedgerQuery): Promise<readonly HaltedSend[]>;
  /** The caller must notify the lane's home. */
  decide(operation: OperationId, as: ReverseDecision, by: ByPerson): Promise<Decided>;
  /** What legacy lacks of a service, and why. */
  standing(service: ServiceName): Promise<ReverseStanding>;
}

export interface ReverseStanding {
  /** Lanes whose primary is the orchestrator. */
  readonly lanes: number;
  /** Of these, lanes with writes that legacy lacks, and these writes. */
  readonly waitingLanes: number;
  readonly waitingWrites: number;
  /** Age of the oldest of these writes; null if there is none. */
  readonly oldestSeconds: number | null;
  /** Lanes whose sends wait for a person. */
  readonly haltedLanes: number;
  /** Lanes in which nothing is sent any more, because too many writes waited. */
  readonly lostWaysBack: number;
  /** Writes that legacy will never get, because a person has skipped them. */
  readonly skippedWrites: number;
}
