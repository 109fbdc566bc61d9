import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';

/** The person who asks for a change, and the reason. */
export interface ByPerson {
  readonly person: string;
  readonly reason: string;
}

/** `open`: later writes of its lane wait. `redriven`: sent again, and not refused since. */
export type DeadLetterStanding = 'open' | 'redriven' | 'skipped' | 'copied';

/** A write that the secondary refused for good. */
export interface StoredDeadLetter {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly action: string;
  readonly code: string;
  readonly reason: string;
  readonly refusedAtMs: number;
  /** How many times it was refused. */
  readonly attempts: number;
  readonly standing: DeadLetterStanding;
  readonly resolvedAtMs?: number;
  /** Absent if a copy has resolved it. */
  readonly resolvedBy?: ByPerson;
  /** Whether the lane's deliveries have passed it. */
  readonly isThrough: boolean;
  /** Later writes of the lane that wait. */
  readonly waiting: number;
}

export interface LedgerQuery {
  /** Absent: all services. */
  readonly service?: ServiceName;
  /** `open`: not resolved; `ended`: the others. Absent: both. */
  readonly standing?: 'open' | 'ended';
  readonly limit: number;
}

/** The result of a person's request. */
export type Decided =
  | { readonly result: 'decided'; readonly service: ServiceName; readonly lane: LaneKey }
  | { readonly result: 'unknown_operation' }
  /** Another person, or a copy, has already resolved it. */
  | { readonly result: 'ended'; readonly by: string }
  /** The late reply may come until this time. */
  | { readonly result: 'too_early'; readonly untilMs: number };

/** Dead letters. Changes are audited in the same transaction. @throws StorageError */
export interface DeadLetterStore {
  /** Newest first. */
  list(query: LedgerQuery): Promise<readonly StoredDeadLetter[]>;
  find(operation: OperationId): Promise<StoredDeadLetter | undefined>;
  /** The request as the agent sent it; undefined after it was pruned. */
  requestOf(operation: OperationId): Promise<string | undefined>;
  /** Marks it to be sent again, or skipped. The caller must notify the lane's home. */
  resolve(operation: OperationId, as: 'redriven' | 'skipped', by: ByPerson): Promise<Decided>;
}

export type UnknownEnding = 'copied' | 'late_reply' | 'assumed_applied' | 'assumed_lost';

/** A write whose outcome was unknown. */
export interface StoredUnknown {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly action: string;
  readonly acceptedAtMs: number;
  readonly foundAtMs: number;
  /** How it was resolved; absent while it is open. */
  readonly ending?: UnknownEnding;
  readonly endedAtMs?: number;
  /** No late reply is possible any more. */
  readonly closedAtMs?: number;
  readonly decidedBy?: ByPerson;
}

export interface Assumption extends ByPerson {
  readonly outcome: 'applied' | 'lost';
}

/** The ledger of unknown outcomes. @throws StorageError */
export interface UnknownLedger {
  /** Newest first. */
  list(query: LedgerQuery): Promise<readonly StoredUnknown[]>;
  /** A person decides the outcome of a write that nothing else can settle. The caller must notify the lane's home. */
  assume(operation: OperationId, assumption: Assumption): Promise<Decided>;
}
