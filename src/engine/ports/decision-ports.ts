import type { LaneKey, OperationId, ServiceName } from '../../domain/ids.ts';

/** Who asks for a change, and why. */
export interface ByPerson {
  readonly person: string;
  readonly reason: string;
}

/** `open`: its lane waits behind it. `redriven`: sent again, and not refused since. */
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
  /** How often it was refused. */
  readonly attempts: number;
  readonly standing: DeadLetterStanding;
  readonly resolvedAtMs?: number;
  /** Absent where a copy has dealt with it. */
  readonly resolvedBy?: ByPerson;
  /** Whether the lane's deliveries have passed it. */
  readonly isThrough: boolean;
  /** Writes of the lane that wait behind it. */
  readonly waiting: number;
}

export interface LedgerQuery {
  /** Absent: all services. */
  readonly service?: ServiceName;
  /** `open`: nobody has dealt with it; `ended`: the others. Absent: both. */
  readonly standing?: 'open' | 'ended';
  readonly limit: number;
}

/** What became of a person's wish. */
export type Decided =
  | { readonly result: 'decided'; readonly service: ServiceName; readonly lane: LaneKey }
  | { readonly result: 'unknown_operation' }
  /** Somebody, or a copy, was there before. */
  | { readonly result: 'ended'; readonly by: string }
  /** The late reply may come until this instant. */
  | { readonly result: 'too_early'; readonly untilMs: number };

/** Dead letters. Changes are audited in the transaction that makes them. @throws StorageError */
export interface DeadLetterStore {
  /** The newest first. */
  list(query: LedgerQuery): Promise<readonly StoredDeadLetter[]>;
  find(operation: OperationId): Promise<StoredDeadLetter | undefined>;
  /** The request as the agent sent it; undefined once it has been pruned. */
  requestOf(operation: OperationId): Promise<string | undefined>;
  /** To be sent again, or left out. The lane's home must be told. */
  resolve(operation: OperationId, as: 'redriven' | 'skipped', by: ByPerson): Promise<Decided>;
}

export type UnknownEnding = 'copied' | 'late_reply' | 'assumed_applied' | 'assumed_lost';

/** A write whose outcome was not known. */
export interface StoredUnknown {
  readonly operationId: OperationId;
  readonly service: ServiceName;
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly action: string;
  readonly acceptedAtMs: number;
  readonly foundAtMs: number;
  /** What gave it its end; absent while nothing has. */
  readonly ending?: UnknownEnding;
  readonly endedAtMs?: number;
  /** Nothing can come any more. */
  readonly closedAtMs?: number;
  readonly decidedBy?: ByPerson;
}

export interface Assumption extends ByPerson {
  readonly outcome: 'applied' | 'lost';
}

/** The ledger of unknown outcomes. @throws StorageError */
export interface UnknownLedger {
  /** The newest first. */
  list(query: LedgerQuery): Promise<readonly StoredUnknown[]>;
  /** A person decides what became of a write, where nothing else will tell. The lane's home must be told. */
  assume(operation: OperationId, assumption: Assumption): Promise<Decided>;
}
