import type { Purpose } from '../../domain/backend.ts';
import type { ServiceFlag } from '../../domain/flags.ts';
import type { LaneKey, OperationId, Owner, ServiceName } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { NamedItem } from '../../domain/named-item.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
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

/** Monotonic milliseconds (`performance.now`). Deadlines are instants of it; durations are its differences. */
export interface Clock {
  now(): number;
  /** Wall clock, milliseconds since 1970: for what people read. Never carries order. */
  wallMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export interface LegacyCall {
  readonly body: Buffer;
  readonly purpose: Purpose;
  /** Instant of {@link Clock.now} after which nobody waits for the reply. */
  readonly deadlineAtMs: number;
  readonly http?: HttpTarget | undefined;
  /** Asked at the moment of sending, after the queue: false withdraws the call, effect `not_applied`. */
  readonly maySend?: (() => boolean) | undefined;
  /** Called once, at the moment the bytes are handed to the socket: from here on the effect is unknown until a reply. */
  readonly onSent?: (() => void) | undefined;
  /** Called at most once, with a reply that comes after the deadline (listened for during 60 s). */
  readonly onLate?: ((reply: Reply) => void) | undefined;
}

export interface BackendLoad {
  readonly inFlight: number;
  readonly queued: number;
  /** False while a call would be refused for want of a connection. Connections that are made call by call count as standing. */
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

export interface OrchestratorOptions extends Pick<LegacyCall, 'purpose' | 'deadlineAtMs'> {
  /** The agents' operations that the call serves, for its trace. */
  readonly operations?: readonly OperationId[];
}

/** What one operation of a batch did. */
export interface WriteAnswer {
  /** `already_applied` and `superseded` are the fence's answers: no effect, and no failure. */
  readonly result: 'applied' | 'already_applied' | 'superseded';
  /** Of a superseded operation: the generation that its lane has on the orchestrator. */
  readonly generation?: number;
}

/** The Memory Orchestrator. */
export interface Orchestrator {
  /** @throws CrossfadeError the orchestrator's own, or ConnectionError */
  read(call: OrchestratorRead, options: OrchestratorOptions): Promise<OrchestratorAnswer>;
  /**
   * All in one transaction, at most 500.
   * @throws CrossfadeError with `details.operation`, the index of the operation that was refused: then nothing was applied
   */
  batchWrite(
    operations: readonly OrchestratorWrite[],
    options: OrchestratorOptions,
  ): Promise<readonly WriteAnswer[]>;
  load(purpose: Purpose): BackendLoad;
}

export interface FlagContext {
  readonly service: ServiceName;
  /** Absent for the flags that are evaluated for the service as a whole. */
  readonly owner?: Owner;
  readonly lane?: LaneKey;
  readonly action?: string;
  readonly agent?: string | undefined;
  /** Percent: the flag is evaluated as if it asked for no more. The same lanes, fewer of them. */
  readonly atMost?: number;
}

export interface FlagAnswer {
  readonly enabled: boolean;
  /** A printable word: `on`, `off`, `unknown_flag`, `stale`, `kill_switch`. */
  readonly reason: string;
}

/** Feature flags. They permit; they never protect. Never throws: what is unknown is off. */
export interface Flags {
  isEnabled(flag: ServiceFlag, context: FlagContext): FlagAnswer;
  killSwitch(): boolean;
  /** Share of lanes or reads the flag asks for, 0–100, as far as its definition shows one number; for people to read. */
  percentage(flag: ServiceFlag, service: ServiceName): number;
  /** Rises with every change of any flag. Decisions are cached per lane and version. */
  version(): number;
  onChange(listener: () => void): void;
}

/** What is written down before the primary is asked. */
export interface Intent {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly lane: LaneKey;
  readonly action: string;
  /** The request's text, as it is sent to the primary. */
  readonly request: string;
  /** Wall clock, for people and for `created_at`. */
  readonly acceptedAtMs: number;
  /** The coverage under which every replica journaled when the write was accepted. @defaultValue 0: one may not have */
  readonly coverage?: number;
}

/** A journaled write's place. */
export interface WriteRef {
  readonly laneId: number;
  readonly lane: LaneKey;
  readonly sequence: number;
}

/** A dead letter: its lane waits behind it, it is to be tried again, or it is left out. */
export type LetterState = 'open' | 'redriven' | 'skipped';

/** A journaled write that must reach the secondary. */
export interface PendingWrite extends WriteRef {
  readonly operationId: OperationId;
  readonly action: string;
  readonly request: string;
  /** The same, read: of a write that this process took a moment ago. */
  readonly message?: Message | undefined;
  readonly acceptedAtMs: number;
  /** Whether it took effect on the primary, or when it will, is not known. @defaultValue false */
  readonly isUncertain?: boolean;
  /** Every replica journaled when it was accepted, and has since: nothing took it away unseen. @defaultValue false */
  readonly isCovered?: boolean;
  /** The secondary has refused it once. Absent: never. */
  readonly letter?: LetterState;
  /** What it names by place or condition; absent where it names nothing, or nobody could tell for certain. */
  readonly items?: readonly NamedItem[];
}

export interface Settlement {
  readonly ref: WriteRef;
  readonly outcome: Outcome;
  /**
   * The write's success proves that the lane was empty: it is seeded at this write's predecessor, under this coverage. Of a write of
   * unknown outcome: it would be.
   */
  readonly seedsUnder?: number;
}

/** The reply to a write of unknown outcome has come after all. */
export interface LateReply {
  readonly ref: WriteRef;
  readonly outcome: 'applied' | 'refused';
  /** The lane's generation when the write was sent. */
  readonly generation: number;
  /** As of {@link Settlement.seedsUnder}. */
  readonly seedsUnder?: number;
}

export interface DeadLetter {
  readonly ref: WriteRef;
  readonly code: string;
  readonly reason: string;
}

/** Most that is read at once; one write always is. */
export interface PageLimit {
  readonly writes: number;
  /** Of their requests, as they are stored. */
  readonly bytes: number;
}

/**
 * The durable log of write intents and outcomes, and the lanes' state.
 * Methods that change something resolve when it is durable. @throws StorageError
 */
export interface Journal {
  /**
   * Assigns the lane's next sequence and stores the intent, in the next group commit. Makes the lane if it is new.
   * @returns undefined where another replica has an open write of the lane or holds it: then nothing is stored
   */
  append(intent: Intent): Promise<LaneState | undefined>;
  /**
   * Stores what an open write names.
   * @returns false where an earlier write of the lane may still take effect: then nobody knows what it will meet
   */
  nameItems(ref: WriteRef, items: readonly NamedItem[]): Promise<boolean>;
  /** Joins the next group commit. */
  settle(settlement: Settlement): Promise<void>;
  /**
   * Makes the outcome of a write known after all, and its lane clean with it.
   * @returns undefined where that proves too little: a copy or another write of the lane has begun since, or more is wrong with the
   * lane; then nothing is changed
   */
  resolveLate(late: LateReply): Promise<LaneState | undefined>;
  /** Settles an intent, of which nobody knows whether it is durable, as not applied. */
  abandon(lane: LaneKey, operationId: OperationId): Promise<void>;
  /** Records that deliveries of a lane reached a sequence. Joins the next group commit. */
  delivered(ref: WriteRef): Promise<void>;
  markDirty(lane: LaneKey, reason: string): Promise<void>;
  /** Once for each refusal. One that was redriven is open again. */
  deadLetter(letter: DeadLetter): Promise<void>;
  /** States of the lanes that exist; a missing one was never written. */
  lanes(keys: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneState>>;
  /** Applied writes above `after`, in sequence, of a lane. Refused ones are skipped. */
  pending(lane: LaneKey, after: number, most: PageLimit): Promise<readonly PendingWrite[]>;
  /** Writes of a lane that may be on the primary and are not recorded as delivered, up to `through`: applied, unknown, unsettled. */
  undelivered(lane: LaneKey, through: number): Promise<readonly PendingWrite[]>;
  /** Of all writes of the lane, or of those before a sequence. */
  lastApplied(lane: LaneKey, before?: number): Promise<LastApplied>;
  /**
   * Makes the lane if it is new, raises its generation and marks it `copying`.
   * @param above a generation that the new one has to exceed, because the orchestrator holds it. @defaultValue 0
   * @returns undefined where another replica that lives is the lane's home: copying it is that one's affair; and where another one has
   * found the lane uncertain, until {@link takeForeign} has told of it
   */
  beginCopy(lane: LaneKey, above?: number): Promise<LaneState | undefined>;
  /**
   * Keeps the writes of other replicas out of the lane, for so long at most.
   * @returns undefined where one is open or another replica holds the lane
   */
  hold(lane: LaneKey, seconds: number): Promise<LaneState | undefined>;
  releaseHold(lane: LaneKey): Promise<void>;
  /** An applied write of a lane whose home is another replica waits for its delivery. Resolves with the lane: its home may have died. */
  tellHome(lane: LaneKey): Promise<LaneState | undefined>;
  /** Owners of lanes that the journal knows and that are not seeded under this coverage: never, or under an older one. */
  outdated(service: ServiceName, coverage: number): Promise<readonly Owner[]>;
  /** Lanes whose home is this replica, of which others wrote or marked something since the last call. */
  takeForeign(): Promise<ReadonlyMap<LaneKey, LaneState>>;
  /** Lanes whose home is this replica, and that are dirty or being copied. */
  unwell(): Promise<readonly LaneKey[]>;
  /** The lane as all replicas together have made it; undefined where it was never written. */
  fence(lane: LaneKey): Promise<LaneView | undefined>;
  /** The same of many lanes, in one look; those that were never written are left out. */
  fences(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, LaneView>>;
  /**
   * Settles everything up to `sequence`: seeded under `coverage`, writes up to it covered, `clean` again. The exceptions replace
   * those of the lane's copy before; one that a person has accepted stays accepted.
   * @returns undefined where a newer copy of the lane has begun: then nothing is changed
   */
  finishCopy(lane: LaneKey, facts: FinishedCopy): Promise<LaneState | undefined>;
  /**
   * Ends what made a lane dirty whose service cannot be read: its spilled writes are in the journal, and once the outcome of each is
   * certain they are delivered like any other.
   */
  cleanSpilled(lane: LaneKey): Promise<void>;
  /** A person must decide. Deliveries and reads of the lane stay off the secondary. */
  stopLane(lane: LaneKey, reason: string): Promise<void>;
  /**
   * Takes over what replicas that are dead have left: their open writes are unknown from now on, and lanes with work left get
   * this replica as their home.
   * @param only this lane. @defaultValue all
   */
  recover(only?: LaneKey): Promise<Recovery>;
  counts(service: ServiceName): Promise<LaneCounts>;
}

export interface OpenCoverage {
  readonly number: number;
  /** Every write that passed before it was known to be through. */
  readonly isQuiet: boolean;
}

/** Coverage rows: dual writes of a service take effect through a numbered row. */
export interface CoverageStore {
  /** The open row; number 0 where there is none. */
  current(service: ServiceName): Promise<OpenCoverage>;
  /** @returns the number of the open row, made or found */
  begin(service: ServiceName): Promise<number>;
  /** No write is under way any more that the journal does not know. */
  quiet(service: ServiceName): Promise<void>;
  end(service: ServiceName): Promise<void>;
  /**
   * Opens a new row for every service that has one and that is served by a replica that may have written without the journal and
   * has not come back for so long: every lane is copied again.
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
  /** A replica that may write without the journal has not been heard of, or has not replayed what it wrote. */
  readonly isReplicaSilent: boolean;
}
