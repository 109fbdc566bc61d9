import type { Purpose } from '../../domain/backend.ts';
import type { Caller } from '../../shared/fair-queue.ts';
import type { ServiceFlag } from '../../domain/flags.ts';
import type { LaneKey, OperationId, Owner, ServiceName } from '../../domain/ids.ts';
import type { LaneState, NamedItem, PlacedLane } from '../../domain/lane.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
  PrimaryResult,
  PrimaryWrite,
} from '../../domain/orchestrator-call.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { HttpTarget, Message } from '../../domain/request.ts';
import type { FinishedCopy, LaneCounts, LastApplied, Recovery } from './journal-facts.ts';

/** A backend's reply, byte for byte. */
export interface Reply {
  readonly body: Buffer;
  /** Absent for ZMQ. */
  readonly http?: { readonly status: number; readonly headers: Readonly<Record<string, string | string[]>> };
}

export interface LegacyCall {
  readonly body: Buffer;
  readonly purpose: Purpose;
  /** Time of {@link Clock.now} after which the reply is not awaited any more. */
  readonly deadlineAtMs: number;
  readonly http?: HttpTarget | undefined;
  /** Callers take turns where calls queue. @defaultValue all calls without one are of the same caller */
  readonly caller?: Caller | undefined;
  /** Called at the moment of sending, after the queue. False withdraws the call, effect `not_applied`. */
  readonly maySend?: (() => boolean) | undefined;
  /** Called once, when the bytes are handed to the socket. After that, the effect is unknown until a reply. */
  readonly onSent?: (() => void) | undefined;
  /** Called at most once, with a reply that comes after the deadline (awaited for 60 s). */
  readonly onLate?: ((reply: Reply) => void) | undefined;
}

export interface BackendLoad {
  readonly inFlight: number;
  readonly queued: number;
  /** False while a call would be refused because there is no connection. Connections that are made per call count as present. */
  readonly isConnected: boolean;
  readonly breaker: 'closed' | 'open' | 'half_open';
}

/** One legacy service. */
export interface LegacyBackend {
  /**
   * Sends and waits for the reply. A call that is still queued at its deadline is withdrawn and never sent.
   * @throws ConnectionError effect `not_applied` (not sent: queue, breaker, no connection) or `unknown` (sent, no reply in time)
   */
  send(call: LegacyCall): Promise<Reply>;
  load(purpose: Purpose): BackendLoad;
}

export interface OrchestratorOptions extends Pick<LegacyCall, 'purpose' | 'deadlineAtMs' | 'caller'> {
  /** The agents' operations that the call serves, for its trace. */
  readonly operations?: readonly OperationId[];
}

/** The result of one operation of a batch. */
export interface WriteAnswer {
  /** `already_applied` and `superseded` are answers of the fence: no effect, and not a failure. */
  readonly result: 'applied' | 'already_applied' | 'superseded';
  /** For a superseded operation: the generation that its lane has on the orchestrator. */
  readonly generation?: number;
}

/** The Memory Orchestrator. */
export interface Orchestrator {
  /** @throws CrossfadeError the orchestrator's own, or ConnectionError */
  read(call: OrchestratorRead, options: OrchestratorOptions): Promise<OrchestratorAnswer>;
  /**
   * Writes in one transaction, at most 500 operations.
   * @throws CrossfadeError with `details.operation`, the index of the operation that was refused; nothing was applied then
   */
  batchWrite(
    operations: readonly OrchestratorWrite[],
    options: OrchestratorOptions,
  ): Promise<readonly WriteAnswer[]>;
  /**
   * A write of a lane whose primary is the orchestrator. The same write with the same fence gets the same answer.
   * @throws CrossfadeError effect `not_applied` if the sequence is closed, or the fence is older than the lane
   */
  writeAsPrimary(
    write: PrimaryWrite,
    fence: PrimaryFence,
    options: OrchestratorOptions,
  ): Promise<PrimaryResult>;
  /** Takes the sequence of a write, unless the write has taken it. A write whose sequence is closed never takes effect. */
  closeSequence(fence: PrimaryFence, options: OrchestratorOptions): Promise<ClosedSequence>;
  load(purpose: Purpose): BackendLoad;
  /** Reports a lost connection, before what waits is sent over the next one. What answers there may be an older copy. */
  onDown(listener: () => void): void;
}

/** By what the orchestrator knows a write of a lane for which it is primary. */
export interface PrimaryFence {
  readonly key: LaneKey;
  readonly epoch: number;
  readonly generation: number;
  readonly sequence: number;
  readonly operationId: OperationId;
}

/** The answer to the write that took the sequence. `forgotten`: a later write has taken effect, so the answer is not kept any more. */
export type ClosedSequence = PrimaryResult | 'closed' | 'forgotten';

export interface FlagContext {
  readonly service: ServiceName;
  /** Absent for flags that are evaluated for the service as a whole. */
  readonly owner?: Owner;
  readonly lane?: LaneKey;
  readonly action?: string;
  readonly agent?: string | undefined;
  /** Percent: the flag is evaluated as if it requested no more. The same lanes first, but fewer. */
  readonly atMost?: number;
}

export interface FlagAnswer {
  readonly enabled: boolean;
  /** A printable word: `on`, `off`, `unknown_flag`, `stale`, `kill_switch`. */
  readonly reason: string;
}

/** Feature flags. They permit, and do not protect. Never throws: unknown flags are off. */
export interface Flags {
  isEnabled(flag: ServiceFlag, context: FlagContext): FlagAnswer;
  killSwitch(): boolean;
  /** Share of lanes or reads that the flag requests, 0–100, if its definition has a single number. For people. */
  percentage(flag: ServiceFlag, service: ServiceName): number;
  /** Increases with every change of any flag. Decisions are cached per lane and version. */
  version(): number;
  onChange(listener: () => void): void;
}

/** What is stored before the request goes to the primary. */
export interface Intent {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly lane: LaneKey;
  readonly action: string;
  /** The text of the request, as sent to the primary. */
  readonly request: string;
  /** Wall clock, for people and for `created_at`. */
  readonly acceptedAtMs: number;
  /**
   * The coverage under which every replica journaled when the write was accepted. @defaultValue 0: some may not have journaled
   */
  readonly coverage?: number;
}

/** A journaled write's place. */
export interface WriteRef {
  readonly laneId: number;
  readonly lane: LaneKey;
  readonly sequence: number;
}

/** A decision about a dead letter: later writes of its lane wait, it is to be sent again, or it is skipped. */
export type LetterState = 'open' | 'redriven' | 'skipped';

/** A journaled write that must reach the secondary. */
export interface PendingWrite extends WriteRef {
  readonly operationId: OperationId;
  readonly action: string;
  readonly request: string;
  /** The same with its request parsed, for a write that this process has just handled. */
  readonly message?: Message | undefined;
  readonly acceptedAtMs: number;
  /** Whether its effect on the primary is unknown, or when it will take effect. @defaultValue false */
  readonly isUncertain?: boolean;
  /** Every replica has journaled since it was accepted, so no unseen write has removed its item. @defaultValue false */
  readonly isCovered?: boolean;
  /**
   * It took effect before the write of this sequence was accepted. Its own sequence may be higher, because it was spilled meanwhile.
   * Absent: no such write is known.
   */
  readonly precedes?: number;
  /** The secondary has refused it once. Absent: never. */
  readonly letter?: LetterState;
  /** The items that it names by place or condition. Absent if it names none, or if they are not certain. */
  readonly items?: readonly NamedItem[];
}

export interface RecordedOutcome {
  readonly ref: WriteRef;
  readonly outcome: Outcome;
  /**
   * The write's success proves that the lane was empty, so it is seeded before this write, under this coverage. For a write of
   * unknown outcome: it would be.
   */
  readonly seedsUnder?: number;
}

/** The late reply to a write of unknown outcome has come. */
export interface LateReply {
  readonly ref: WriteRef;
  readonly outcome: 'applied' | 'refused';
  /** The lane's generation when the write was sent. */
  readonly generation: number;
  /** Like {@link RecordedOutcome.seedsUnder}. */
  readonly seedsUnder?: number;
}

export interface DeadLetter {
  readonly ref: WriteRef;
  readonly code: string;
  readonly reason: string;
}

/** Limits of one read. At least one write is always read. */
export interface PageLimit {
  readonly writes: number;
  /** Size of their requests, as stored. */
  readonly bytes: number;
}

/**
 * The durable log of write intents and outcomes, and the lanes' state. Methods that change something resolve when it is durable.
 * @throws StorageError
 */
export interface Journal {
  /**
   * Assigns the lane's next sequence and stores the intent, in the next group commit. Makes the lane if it is new.
   * @returns undefined if another replica has an open write of the lane or holds it. Nothing is stored then
   */
  append(intent: Intent): Promise<PlacedLane | undefined>;
  /**
   * Stores the items that an open write names.
   * @returns false if an earlier write of the lane may still take effect, because the items are not certain then
   */
  nameItems(ref: WriteRef, items: readonly NamedItem[]): Promise<boolean>;
  /** Joins the next group commit. */
  recordOutcome(outcome: RecordedOutcome): Promise<void>;
  /**
   * Sets the outcome of a write by its late reply, and makes its lane clean.
   * @returns undefined if the reply proves too little: a copy or another write of the lane has begun since, or the lane has
   * other problems. Nothing is changed then
   */
  resolveLate(late: LateReply): Promise<LaneState | undefined>;
  /** Settles an intent as not applied, if it became durable at all. */
  abandon(lane: LaneKey, operationId: OperationId): Promise<void>;
  /** Records that deliveries of a lane reached a sequence. Joins the next group commit. */
  delivered(ref: WriteRef): Promise<void>;
  markDirty(lane: LaneKey, reason: string): Promise<void>;
  /** Called once per refusal. A redriven one is open again. */
  deadLetter(letter: DeadLetter): Promise<void>;
  /** States of existing lanes. A missing lane was never written. */
  lanes(keys: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneState>>;
  /** Applied writes of a lane after `after`, in sequence. Refused ones are skipped. None if another replica is the lane's home. */
  pending(lane: LaneKey, after: number, most: PageLimit): Promise<readonly PendingWrite[]>;
  /**
   * Writes of a lane that may be on the primary and are not recorded as delivered, up to `through`: applied, unknown, unsettled.
   * @param heldUpTo a sequence up to which the secondary has the lane. Writes after it are returned, even if they are recorded as delivered
   */
  undelivered(lane: LaneKey, through: number, heldUpTo?: number): Promise<readonly PendingWrite[]>;
  /** Applied writes of a lane that were delivered since its last copy, in sequence, as far as the journal still has them. */
  deliveredSinceCopy(lane: LaneKey): Promise<readonly PendingWrite[]>;
  /**
   * For all writes of the lane, or for those before a sequence.
   * @param from `first` is the first applied write from this sequence on. @defaultValue 0
   */
  lastApplied(lane: LaneKey, before?: number, from?: number): Promise<LastApplied>;
  /**
   * Makes the lane if it is new, raises its generation and marks it `copying`.
   * @param above a generation that the orchestrator holds, which the new one must exceed. @defaultValue 0
   * @returns undefined if another live replica is the lane's home, which then copies it. Also undefined if another replica found
   * the lane uncertain, until {@link takeForeign} has reported that, and while the orchestrator is primary
   */
  beginCopy(lane: LaneKey, above?: number): Promise<LaneState | undefined>;
  /**
   * Keeps the writes of other replicas out of the lane, at most for this time.
   * @returns undefined if a write is open or another replica holds the lane
   */
  hold(lane: LaneKey, seconds: number): Promise<LaneState | undefined>;
  releaseHold(lane: LaneKey): Promise<void>;
  /**
   * Notifies the home of a lane, another replica, that an applied write waits for delivery. Resolves with the lane, because its
   * home may have died.
   */
  tellHome(lane: LaneKey): Promise<LaneState | undefined>;
  /** Owners of lanes that are not seeded under this coverage: never, or under an older one. Without flipped lanes. */
  outdated(service: ServiceName, coverage: number): Promise<readonly Owner[]>;
  /** Of these, the owners whose lanes returned from the orchestrator and were not copied since. */
  returned(service: ServiceName, coverage: number): Promise<readonly Owner[]>;
  /** Lanes whose home is this replica, and which other replicas have written to or marked since the last call. */
  takeForeign(): Promise<ReadonlyMap<LaneKey, LaneState>>;
  /** Lanes whose home is this replica and that are dirty or being copied. */
  unwell(): Promise<readonly LaneKey[]>;
  /** The lane with the effects of all replicas; undefined if it was never written. */
  fence(lane: LaneKey): Promise<LaneView | undefined>;
  /** The same for many lanes in one query. Lanes that were never written are left out. */
  fences(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneView>>;
  /**
   * Settles everything up to `sequence`: seeded under `coverage`, writes up to it covered, `clean` again. The exceptions replace
   * those of the lane's last copy. An accepted exception stays accepted.
   * @returns undefined if a newer copy of the lane has begun. Nothing is changed then
   */
  finishCopy(lane: LaneKey, facts: FinishedCopy): Promise<LaneState | undefined>;
  /**
   * Ends the dirty state of a lane whose service cannot be read. Its spilled writes are in the journal, and are delivered like
   * others once their outcomes are certain.
   */
  cleanSpilled(lane: LaneKey): Promise<void>;
  /** A person must decide. Deliveries and reads of the lane stay off the secondary. */
  stopLane(lane: LaneKey, reason: string): Promise<void>;
  /**
   * Takes over the work of dead replicas. Their open writes become unknown, and lanes with remaining work get this replica as
   * their home.
   * @param only this lane. @defaultValue all
   */
  recover(only?: LaneKey): Promise<Recovery>;
  counts(service: ServiceName): Promise<LaneCounts>;
}

export interface OpenCoverage {
  readonly number: number;
  /** All unjournaled writes from before the row have ended. */
  readonly isQuiet: boolean;
}

/** Coverage rows. Dual writes of a service take effect through a numbered row. */
export interface CoverageStore {
  /** The open row; number 0 if there is none. */
  current(service: ServiceName): Promise<OpenCoverage>;
  /** @returns the number of the open row, new or existing */
  begin(service: ServiceName): Promise<number>;
  /** No unjournaled write is under way any more. */
  quiet(service: ServiceName): Promise<void>;
  /** @returns false if there is none, or if the orchestrator is primary of a lane of the service. Nothing is changed then */
  end(service: ServiceName): Promise<boolean>;
  /**
   * Opens a new row for each covered service with a replica that may have written without the journal and has been away
   * for this time. Every lane is copied again.
   */
  renewAfterLoss(seconds: number): Promise<void>;
}

/** A lane as the database shows it to every replica. */
export interface LaneView {
  readonly state: LaneState;
  /** A write that may have been acknowledged is not recorded as delivered. */
  readonly isBehind: boolean;
  /** Number of the service's open coverage row, or 0. */
  readonly coverage: number;
  /** A replica that may write without the journal is silent, or has not replayed its spill. */
  readonly isReplicaSilent: boolean;
}
