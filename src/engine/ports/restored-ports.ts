import type { Backend } from '../../domain/backend.ts';
import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import type { ByPerson } from './decision-ports.ts';

/** The position of a lane: its last write that took effect. */
export interface Position {
  readonly epoch: number;
  readonly generation: number;
  readonly sequence: number;
}

/** A lane in the journal, with what the orchestrator must hold of it. */
export interface JournalPosition extends Position {
  readonly lane: LaneKey;
  readonly primary: Backend;
  /** What the orchestrator held when it was looked at under this epoch. Absent: it was not. */
  readonly mark?: Position;
  /** The newest write that the orchestrator has applied as the primary since that look. 0: none. */
  readonly applied: number;
}

/** Which database lacks something of a lane: it was restored from a backup. */
export type Older = 'journal' | 'orchestrator';

export interface FoundOlder {
  readonly lane: LaneKey;
  readonly older: Older;
  readonly journal: Position;
  readonly orchestrator: Position;
}

/** A lane that one database has only in part. No replica answers for it until a person has decided. */
export interface RestoredLane extends FoundOlder {
  readonly service: ServiceName;
  readonly foundAtMs: number;
  /** Writes that the orchestrator lacked and was given again from the journal. Absent: not yet. */
  readonly redelivered?: number;
  /** Whether the journal no longer holds all that the orchestrator lacked. */
  readonly isIncomplete: boolean;
  readonly decidedAtMs?: number;
  readonly decidedBy?: ByPerson;
}

export interface RestoredVersion {
  /** Changes when a lane is found, or a person decides. */
  readonly list: string;
  /** Changes when the journal's database was started again, or its tables were restored. */
  readonly database: string;
}

export interface RestoredQuery {
  readonly service?: ServiceName;
  /** @defaultValue open and decided */
  readonly isOpen?: boolean;
  readonly limit: number;
}

/** A listed lane, with what the orchestrator holds of it at the time of the decision. */
export interface SettledLane {
  readonly lane: LaneKey;
  readonly orchestrator: Position;
}

/** The positions of lanes, and the lanes that a restored database has only in part. @throws StorageError */
export interface RestoredStore {
  /** The next lanes whose primary is the orchestrator, in the order of their keys. Empty at the end. */
  moved(after: string): Promise<readonly JournalPosition[]>;
  /** Lanes that the journal does not know are left out. */
  positions(lanes: readonly LaneKey[]): Promise<readonly JournalPosition[]>;
  /** Keeps what the orchestrator holds of these lanes, so that a later look finds it set back. */
  mark(seen: readonly (Position & { readonly lane: LaneKey })[]): Promise<void>;
  /** A lane that is listed already stays as it is. @returns the lanes that were not listed */
  found(lanes: readonly FoundOlder[]): Promise<readonly LaneKey[]>;
  version(): Promise<RestoredVersion>;
  open(): Promise<readonly LaneKey[]>;
  /** Some of the lanes that the orchestrator must be given again from the journal. */
  toRedeliver(): Promise<readonly LaneKey[]>;
  /** Adds to the writes that were given before. */
  redelivered(lane: LaneKey, given: { readonly writes: number; readonly isComplete: boolean }): Promise<void>;
  /** Newest first. */
  list(query: RestoredQuery): Promise<readonly RestoredLane[]>;
  /**
   * The lanes answer again, with what the orchestrator holds. The journal continues after it. Lanes that are not listed, or that the
   * orchestrator is still being given again, stay as they are.
   * @returns the accepted lanes
   */
  accept(service: ServiceName, lanes: readonly SettledLane[], by: ByPerson): Promise<readonly LaneKey[]>;
  /** Lanes that wait for a decision, by service. */
  counts(): Promise<ReadonlyMap<ServiceName, number>>;
  /** A verified backup of the orchestrator holds everything up to this time. Older writes of flipped lanes may be pruned. */
  backedUp(untilMs: number, by: ByPerson): Promise<void>;
}
