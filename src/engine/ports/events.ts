import type { AskingAgent } from '../../domain/agent-name.ts';
import type { Backend, Purpose } from '../../domain/backend.ts';
import type { Comparison } from '../../domain/comparison.ts';
import type { LaneKey, OperationId, Owner, ServiceName } from '../../domain/ids.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { BadInput } from '../../domain/request.ts';
import type { Decision } from './decision.ts';
import type { Finding, Latch } from './finding.ts';
import type { Older } from './restored-ports.ts';
import type { HaltReason, ReverseEnding } from './reverse-ports.ts';
import type { RunKind } from './run.ts';

interface OfService {
  readonly service: ServiceName;
}

interface OfOperation extends OfService {
  readonly operationId: OperationId;
  readonly action: string;
}

interface OfLane extends OfService {
  readonly lane: LaneKey;
}

/** How an operation ended for the agent. */
export type ReplyStatus = 'answered' | 'refused' | 'timeout' | 'unavailable' | 'bad_input';

/** The result of one backend for a request. */
export interface PairedAnswer {
  /** Absent if there was no answer. */
  readonly ms?: number;
  /** No answer, or an error reply of the service. */
  readonly isFailure: boolean;
}

/** Why a write requests a copy of its lane. */
export type CopyCause = 'unseeded' | 'outcome_not_recorded' | 'late_unjournaled' | 'stored_late';

/**
 * What happened, emitted at that moment and in that order. The engine reports, and telemetry decides what it means. Times and
 * durations are milliseconds of the monotonic clock. Events hold no memory content.
 */
export interface MigrationEvents {
  /** An agent has sent a request to the service. */
  'agent:asked': OfService & { readonly agent: AskingAgent };
  'operation:received': OfOperation & {
    readonly kind: 'read' | 'write' | 'passthrough';
    readonly lane?: LaneKey | undefined;
    readonly atMs: number;
  };
  'operation:decided': OfOperation & { readonly decision: Decision };
  'operation:refused': OfService & { readonly problem: BadInput };
  /** The reply is on its way to the agent. `backend` is absent if the proxy answered itself. */
  'operation:replied': OfOperation & {
    readonly kind: 'read' | 'write' | 'passthrough';
    readonly backend?: Backend | undefined;
    readonly status: ReplyStatus;
    readonly durationMs: number;
    /** The part of the duration spent waiting for the primary. */
    readonly primaryMs: number;
    readonly lane?: LaneKey | undefined;
    /** For a read that either backend could answer: the backend that flags and limits chose for its lane, whichever answered. */
    readonly assigned?: Backend | undefined;
    /** A read of a lane whose primary is the orchestrator, so that no flag chose. @defaultValue false */
    readonly isFlipped?: boolean;
  };
  /** The intent is durable. */
  'write:journaled': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly durationMs: number;
  };
  /** The items that a write names by place or condition were looked up. Only a `found` item is delivered by item. */
  'write:named': OfOperation & {
    readonly lane: LaneKey;
    readonly result: 'found' | 'unreadable' | 'unsettled';
    readonly reason?: string;
  };
  /**
   * A request equals one whose agent got no reply. `answered`: from the stored reply. `waited`: got a retryable error, because
   * the outcome of the first is unknown. `suspected_duplicate`: sent as a write of its own, so it may be stored twice.
   */
  'write:repeated': OfOperation & {
    readonly lane: LaneKey;
    readonly result: 'answered' | 'waited' | 'suspected_duplicate';
  };
  /**
   * Legacy took a write of a covered service, or may have, that names no owner that a lane can hold. It is not journaled, so the
   * orchestrator lacks it.
   */
  'write:unmapped': OfOperation & { readonly outcome: 'applied' | 'unknown' };
  /** The bytes were handed to the primary's socket. */
  'write:sent': OfOperation & { readonly lane: LaneKey; readonly sequence: number };
  'write:answered': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly outcome: Outcome;
  };
  /** The late reply to a write of unknown outcome has come, and its lane is certain again. */
  'write:came_late': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly outcome: Outcome;
  };
  /** The orchestrator has not said what became of a write for which it is primary. Its sequence is closed again later. */
  'write:not_closed': { readonly lane: LaneKey; readonly sequence: number; readonly reason: string };
  /** The journal is away. The write is durable in the spill and is sent next. */
  'write:spilled': OfOperation & { readonly lane: LaneKey; readonly durationMs: number };
  /** The outcome is durable. */
  'write:recorded': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly outcome: Outcome;
  };
  'backend:called': OfService & {
    readonly operationId?: OperationId;
    readonly action: string;
    readonly backend: Backend;
    readonly purpose: Purpose;
    readonly startedAtMs: number;
    readonly durationMs: number;
    readonly result: 'answered' | 'error' | 'timeout' | 'unreachable';
  };
  'delivery:applied': OfLane & {
    readonly operationId: OperationId;
    readonly action: string;
    readonly sequence: number;
    /** `skipped`: a person has skipped the write. */
    readonly result: 'applied' | 'already_applied' | 'superseded' | 'skipped';
    readonly lagMs: number;
  };
  /** The deliveries that a read requested are done, after this time, whether or not the read waited for them. */
  'delivery:awaited': OfLane & { readonly durationMs: number };
  /** The write reached the secondary, and the record of that is durable. */
  'delivery:recorded': OfLane & { readonly sequence: number };
  'delivery:failed': {
    readonly writes: number;
    readonly attempt: number;
    readonly retryInMs: number;
    readonly reason: string;
  };
  'delivery:dead_letter': OfLane & {
    readonly operationId: OperationId;
    readonly action: string;
    readonly sequence: number;
    readonly code: string;
    readonly reason: string;
  };
  /** It was read back, and the orchestrator holds something else than was sent. */
  'delivery:altered': OfLane & { readonly sequence: number };
  /** The start of a send to legacy is durable, and the write is sent next. */
  'reverse:begun': OfLane & { readonly sequence: number };
  /** Legacy has answered the send. The answer is not durable yet. */
  'reverse:answered': OfLane & { readonly sequence: number };
  /** Legacy has a write of a lane whose primary is the orchestrator, or never gets it. */
  'reverse:sent': OfLane & {
    readonly operationId: OperationId;
    readonly action: string;
    readonly sequence: number;
    readonly result: ReverseEnding;
    readonly lagMs: number;
  };
  /** A person must decide about the write. Later writes of the lane wait. */
  'reverse:halted': OfLane & {
    readonly operationId: OperationId;
    readonly action: string;
    readonly sequence: number;
    readonly reason: HaltReason;
  };
  /** A write could not be sent to legacy, and will be sent later. */
  'reverse:failed': OfService & { readonly reason: string };
  /** Legacy has accepted a write, and does not show it. */
  'reverse:not_shown': OfLane & { readonly sequence: number };
  /** Writes of Crossfade's own were read back on legacy, and removed where the service can delete. */
  'canary:proved': OfService & { readonly writes: number };
  /** They were not, so that the way back of the service is not proven. */
  'canary:failed': OfService & { readonly reason: string };
  /** More writes wait for legacy than the limit allows. Nothing of the lane is sent there any more. */
  'reverse:way_back_lost': OfLane & { readonly writes: number };
  'lane:dirty': OfLane & { readonly reason: string };
  'lane:copying': OfLane & { readonly generation: number };
  'lane:copied': OfLane & {
    readonly items: number;
    readonly written: number;
    readonly deleted: number;
    readonly forgotten: number;
    readonly durationMs: number;
    readonly heldMs: number;
  };
  /** The copy left out items that the secondary refuses. The lane's reads stay on the primary. */
  'lane:excepted': OfLane & { readonly items: number; readonly code: string; readonly reason: string };
  'lane:copy_failed': OfLane & {
    readonly reason: string;
    readonly attempt: number;
    readonly retryInMs: number;
  };
  /** A restored database lacks something of the lane. It gives errors until a person decides. */
  'lane:restored': OfLane & { readonly older: Older };
  /** The journal and the orchestrator could not be compared. They are compared again within a second. */
  'restored:not_compared': { readonly reason: string };
  /** Legacy lacks a write of a lane that is to return. The lane is tried again. */
  'return:draining': OfLane;
  /** From now on new writes of a lane that is to return wait, for a moment, in every replica. */
  'return:announced': OfLane;
  /** The statement that returns the lane is sent next. */
  'return:committing': OfLane;
  /** Legacy is the primary of its writes again, because a person asked for that. */
  'lane:returned': OfLane & { readonly rollback: number };
  /** No lane of the rollback is left on the orchestrator. */
  'rollback:ended': OfService & {
    readonly rollback: number;
    readonly lanes: number;
    readonly returned: number;
  };
  /** The lanes that are to return could not be looked up. This is tried again. */
  'rollback:failed': { readonly reason: string };
  'lane:stopped': OfLane & { readonly reason: string; readonly lost: number };
  /** Another replica has died, or the others had given this one up. Its work was taken over. */
  'replica:took_over': { readonly what: 'expelled' | 'gone' };
  'coverage:began': OfService & { readonly number: number };
  'coverage:ended': OfService & { readonly number: number };
  /** All owners were listed. The lanes that are not seeded wait for a copy. */
  'backfill:queued': OfService & { readonly owners: number; readonly lanes: number };
  'backfill:failed': OfService & { readonly reason: string };
  /** A reconciliation found a difference between the stores in the lane. `bypassed`: a writer wrote to legacy without the proxy. */
  'lane:diverged': OfLane & {
    readonly findings: number;
    readonly lost: number;
    readonly bypassed: boolean;
  };
  /** A page of a run, or its listing, failed and will be retried. */
  'run:failed': { readonly reason: string };
  'run:finished': { readonly run: number; readonly kind: RunKind };
  'read:fell_back': OfOperation & { readonly reason: string; readonly isFlipped?: boolean };
  /** The orchestrator is primary of the lane and did not answer, or cannot. Legacy may lack something, so its answer was not asked for. */
  'read:unanswered': OfOperation & { readonly reason: string };
  'shadow:compared': OfOperation & {
    readonly lane: LaneKey;
    readonly primary: Backend;
    readonly comparison: Comparison;
    readonly durationMs: number;
  };
  /**
   * Both backends got the same request for the first time, one for the agent, the other as a shadow read. Once per shadow read.
   */
  'shadow:paired': OfOperation & {
    readonly lane: LaneKey;
    readonly primary: Backend;
    readonly legacy: PairedAnswer;
    readonly orchestrator: PairedAnswer;
  };
  /** A shadow read, or the comparison of a lane (`lanes_full`), that was not made. */
  'shadow:dropped': OfOperation & { readonly reason: 'queue_full' | 'legacy_busy' | 'lanes_full' };
  /** A whole lane was compared, because of a read with side effects on legacy. It counts for all reads of its service. */
  'lane:compared': OfOperation & {
    readonly lane: LaneKey;
    readonly countsFor: readonly string[];
    readonly comparison: Comparison;
  };
  /** The guard found something that people should know, and moves no reads. */
  'guard:found': OfService & { readonly finding: Finding };
  /** The service's reads are on legacy from now on, in this replica. The latch is being stored. */
  'guard:tripped': OfService & { readonly finding: Finding };
  /** The latch of a trip of this replica is stored. */
  'guard:latched': OfService & { readonly latch: Latch };
  /** After a trip the flags are switched off. Empty if no flag requested anything. */
  'guard:flags_off': OfService & { readonly flags: readonly string[] };
  /** The flags could not be switched off, and this will be retried. The latch applies in any case. */
  'guard:flags_failed': OfService & { readonly reason: string };
  'guard:released': OfService & { readonly latch: number; readonly person: string };
  /**
   * Both backends were compared for a flipped lane, by one read's answers or as a whole lane. A difference counts against legacy, so it
   * alerts and stops further flips. It is no evidence about the orchestrator, and moves no reads.
   */
  'flipped:compared': OfOperation & {
    readonly lane: LaneKey;
    readonly by: 'answers' | 'lane';
    readonly comparison: Comparison;
  };
  /** A reconciliation found that legacy differs in a flipped lane. */
  'flipped:diverged': OfLane & { readonly findings: number };
  /** I5: the orchestrator returned items that were deleted. */
  'comparison:deleted_returned': OfOperation & { readonly lane: LaneKey; readonly items: number };
  /** An answer of either backend shows deleted items of a flipped lane. */
  'flipped:deleted_returned': OfOperation & { readonly lane: LaneKey; readonly items: number };
  /** A comparison rule has expired and is off. Emitted once. */
  'rule:expired': OfService & {
    readonly action: string;
    readonly kind: string;
    readonly path: string;
    readonly owner: string;
    readonly expires: string;
  };
  /** The lanes whose writes may move to the orchestrator are others from now on, in this replica. */
  'share:changed': OfService & { readonly number: number; readonly percentage: number };
  /** From now on new writes of the lane wait, for a moment, in every replica. */
  'flip:announced': OfService & { readonly lane: LaneKey };
  /** The orchestrator lacks a write of the lane. New writes wait until it has it. Once per flip. */
  'flip:draining': OfService & { readonly lane: LaneKey };
  /** Every acknowledged write of the lane is on both backends. It is about to be flipped. */
  'flip:drained': OfService & { readonly lane: LaneKey };
  /** The statement that flips the lane has committed. This replica has not acted on it yet. */
  'flip:committed': OfService & { readonly lane: LaneKey };
  /** The orchestrator is primary for the lane's writes. They waited for this time. */
  'lane:flipped': OfService & { readonly lane: LaneKey; readonly epoch: number; readonly heldMs: number };
  /** A new owner's writes go to the orchestrator from the first one on. */
  'lane:born': OfService & { readonly lane: LaneKey };
  /** The lane is where it was. */
  'flip:failed': OfService & {
    readonly lane: LaneKey;
    readonly reason: string;
    /** How often since the lane last moved. */
    readonly failed: number;
    readonly retryInMs: number;
  };
  /** Legacy has every write of a flipped lane. The lane is compared next. */
  'flip:comparing': OfService & { readonly lane: LaneKey };
  /** A flipped lane was compared once its writes were on both backends. */
  'flip:compared': OfService & { readonly lane: LaneKey; readonly result: 'equal' | 'different' };
  /** This replica has read that legacy gets no later write of the service. */
  'service:read_only': OfService;
  /** This replica has read that the service needs legacy no longer. */
  'service:completed': OfService;
  /** A read-only service: legacy has its last write, and nothing sent before can still arrive. */
  'service:settled': OfService;
  /** Legacy's store was compared with what legacy should hold. */
  'service:census': OfService & {
    readonly lanes: number;
    readonly unproven: number;
    readonly foreign: number;
  };
  /** The census failed, and will be repeated. */
  'service:census_failed': OfService & { readonly reason: string };
  /** Something that Crossfade did not do has changed legacy, or used it. Emitted once per change. */
  'service:foreign_change': OfService & {
    readonly owner: Owner;
    readonly kind: 'writer' | 'reader';
    readonly changes: Readonly<Record<string, number>>;
    readonly writers: readonly string[];
  };
  'journal:failed': { readonly reason: string };
  /** The journal cannot be written. Writes go to the spill from now on. */
  'spill:began': { readonly reason: string };
  /** A write could not be spilled, and was not sent: `spill_full`, `spill_failed`. */
  'spill:failed': { readonly reason: string };
  /** The journal holds everything that was spilled, and writes go there again. */
  'spill:replayed': { readonly writes: number; readonly durationMs: number };
  /** Part of the spill cannot be read. Coverage begins again, and every lane is copied. */
  'spill:damaged': { readonly services: number };
}

export type EventName = keyof MigrationEvents;

export type Listener = <Name extends EventName>(name: Name, event: MigrationEvents[Name]) => void;

/** Sends one event to every listener, synchronously. A listener must not throw or wait. */
export type Emit = Listener;

export interface Events {
  readonly emit: Emit;
  subscribe(listener: Listener): void;
}

export function createEvents(): Events {
  const listeners: Listener[] = [];
  return {
    emit: (name, event) => {
      for (const listener of listeners) listener(name, event);
    },
    subscribe: (listener) => {
      listeners.push(listener);
    },
  };
}
