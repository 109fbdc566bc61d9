import type { AskingAgent } from '../../domain/agent-name.ts';
import type { Backend, Purpose } from '../../domain/backend.ts';
import type { Comparison } from '../../domain/comparison.ts';
import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { BadInput } from '../../domain/request.ts';
import type { Decision } from './decision.ts';
import type { Finding } from './finding.ts';
import type { RunKind } from './run.ts';
import type { Latch } from './latch.ts';

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

/** What one backend made of a request. */
export interface PairedAnswer {
  /** Absent where no answer came. */
  readonly ms?: number;
  /** No answer, or an error in the service's words. */
  readonly isFailure: boolean;
}

/** Why a write asks for a copy of its lane. */
export type CopyCause =
  'unseeded' | 'began_again' | 'outcome_not_recorded' | 'late_unjournaled' | 'stored_late';

/**
 * What happened, said at the moment it happened and in the order it happened. The engine reports; telemetry decides what it means.
 * Instants and durations are milliseconds of the monotonic clock. Nothing here holds content of a memory.
 */
export interface MigrationEvents {
  /** An agent has sent a request to the service, whatever becomes of it. */
  'agent:asked': OfService & { readonly agent: AskingAgent };
  'operation:received': OfOperation & {
    readonly kind: 'read' | 'write' | 'passthrough';
    readonly lane?: LaneKey | undefined;
    readonly atMs: number;
  };
  'operation:decided': OfOperation & { readonly decision: Decision };
  'operation:refused': OfService & { readonly problem: BadInput };
  /** The reply is on its way to the agent. `backend` is absent where the proxy answered itself. */
  'operation:replied': OfOperation & {
    readonly kind: 'read' | 'write' | 'passthrough';
    readonly backend?: Backend | undefined;
    readonly status: ReplyStatus;
    readonly durationMs: number;
    /** Of the duration, the part spent waiting for the primary. */
    readonly primaryMs: number;
    readonly lane?: LaneKey | undefined;
    /** Of a read that either backend could answer: whom flags and limits chose for its lane, whoever answered in the end. */
    readonly assigned?: Backend | undefined;
  };
  /** The intent is durable. */
  'write:journaled': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly durationMs: number;
  };
  /** The items that a write names by place or condition were looked for: only what was `found` is delivered by item. */
  'write:named': OfOperation & {
    readonly lane: LaneKey;
    readonly result: 'found' | 'unreadable' | 'unsettled';
    readonly reason?: string;
  };
  /**
   * A request equals one whose agent got no reply. `answered` from the reply that was kept; `waited`: told to come again, since
   * nobody knows yet whether that one took effect; `suspected_duplicate`: sent as a write of its own, and maybe there twice now.
   */
  'write:repeated': OfOperation & {
    readonly lane: LaneKey;
    readonly result: 'answered' | 'waited' | 'suspected_duplicate';
  };
  /** The bytes were handed to the primary's socket. */
  'write:sent': OfOperation & { readonly lane: LaneKey; readonly sequence: number };
  'write:answered': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly outcome: Outcome;
  };
  /** The reply to a write of unknown outcome has come after all, and its lane is certain again. */
  'write:came_late': OfOperation & {
    readonly lane: LaneKey;
    readonly sequence: number;
    readonly outcome: Outcome;
  };
  /** The journal is away: the write is noted down in the spill, durably, and sent next. */
  'write:spilled': OfOperation & { readonly lane: LaneKey; readonly durationMs: number };
  /** The outcome is durable. */
  'write:settled': OfOperation & {
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
    /** `skipped`: a person has left the write out. */
    readonly result: 'applied' | 'already_applied' | 'superseded' | 'skipped';
    readonly lagMs: number;
  };
  /** The deliveries that a read asked for have come, so long after it asked; whether or not it has waited for them. */
  'delivery:awaited': OfLane & { readonly durationMs: number };
  /** It reached the secondary and the record of it is durable. */
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
  /** The copy had to leave items out that the secondary refuses: the lane's reads stay on the primary. */
  'lane:excepted': OfLane & { readonly items: number; readonly code: string; readonly reason: string };
  'lane:copy_failed': OfLane & {
    readonly reason: string;
    readonly attempt: number;
    readonly retryInMs: number;
  };
  'lane:stopped': OfLane & { readonly reason: string; readonly lost: number };
  /** Another replica has died, or the others had given this one up: what was left is taken over. */
  'replica:took_over': { readonly what: 'expelled' | 'gone' };
  'coverage:began': OfService & { readonly number: number };
  'coverage:ended': OfService & { readonly number: number };
  /** All owners were listed; the lanes that are not seeded wait to be copied. */
  'backfill:queued': OfService & { readonly owners: number; readonly lanes: number };
  'backfill:failed': OfService & { readonly reason: string };
  /** A reconciliation found that the two stores disagree about the lane; `bypassed`: somebody wrote to legacy past the proxy. */
  'lane:diverged': OfLane & {
    readonly findings: number;
    readonly lost: number;
    readonly bypassed: boolean;
  };
  /** A page of a run, or its listing, failed; it is tried again. */
  'run:failed': { readonly reason: string };
  'run:finished': { readonly run: number; readonly kind: RunKind };
  'read:fell_back': OfOperation & { readonly reason: string };
  'shadow:compared': OfOperation & {
    readonly lane: LaneKey;
    readonly primary: Backend;
    readonly comparison: Comparison;
    readonly durationMs: number;
  };
  /** Both backends were asked the same for the first time, one for the agent, the other behind its back. Once for each shadow read. */
  'shadow:paired': OfOperation & {
    readonly lane: LaneKey;
    readonly primary: Backend;
    readonly legacy: PairedAnswer;
    readonly orchestrator: PairedAnswer;
  };
  /** A shadow read, or the comparison of a lane (`lanes_full`), that is not made. */
  'shadow:dropped': OfOperation & { readonly reason: 'queue_full' | 'legacy_busy' | 'lanes_full' };
  /** A lane was compared whole, because of a read that does something to legacy. It counts for all reads of its service. */
  'lane:compared': OfOperation & {
    readonly lane: LaneKey;
    readonly countsFor: readonly string[];
    readonly comparison: Comparison;
  };
  /** The guard saw something that people should know of, and moves no reads for it. */
  'guard:found': OfService & { readonly finding: Finding };
  /** The service's reads are on legacy from here on, in this replica; the latch is being written down. */
  'guard:tripped': OfService & { readonly finding: Finding };
  /** The latch of a trip of this replica is written down. */
  'guard:latched': OfService & { readonly latch: Latch };
  /** After a trip the flags are off where people see them; none, where none asked for anything. */
  'guard:flags_off': OfService & { readonly flags: readonly string[] };
  /** They could not be switched off; it is tried again. The latch holds all the same. */
  'guard:flags_failed': OfService & { readonly reason: string };
  'guard:released': OfService & { readonly latch: number; readonly person: string };
  /** I5: the orchestrator returned items that were deleted. */
  'comparison:deleted_returned': OfOperation & { readonly lane: LaneKey; readonly items: number };
  /** A comparison rule is off from now on; said once. */
  'rule:expired': OfService & {
    readonly action: string;
    readonly kind: string;
    readonly path: string;
    readonly owner: string;
    readonly expires: string;
  };
  'journal:failed': { readonly reason: string };
  /** The journal cannot be written: from now on writes go to the spill. */
  'spill:began': { readonly reason: string };
  /** A write could not be noted down, and was not sent: `spill_full`, `spill_failed`. */
  'spill:failed': { readonly reason: string };
  /** The journal holds everything that was spilled, and writes go there again. */
  'spill:replayed': { readonly writes: number; readonly durationMs: number };
  /** Part of the spill is not readable: coverage begins anew, and every lane is copied. */
  'spill:damaged': { readonly services: number };
}

export type EventName = keyof MigrationEvents;

export type Listener = <Name extends EventName>(name: Name, event: MigrationEvents[Name]) => void;

/** Says one event to every listener, synchronously. A listener must not throw and must not wait. */
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
