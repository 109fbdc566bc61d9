import type { Backend } from '../../domain/backend.ts';
import type { LaneKey, OperationId } from '../../domain/ids.ts';
import type { LaneCondition, LaneState, NamedItem, PlacedLane } from '../../domain/lane.ts';
import type { LaneView, LetterState, PendingWrite } from '../../engine/ports/ports.ts';
import type { LastApplied, OpenIntent } from '../../engine/ports/journal-facts.ts';
import type { ReplicaIdentity } from '../../engine/ports/replica-ports.ts';
import type { Seal } from '../seal.ts';

/** A row of `lanes` as returned by the statements. */
export interface LaneRow {
  readonly id: number;
  readonly key: string;
  readonly sequence: number;
  readonly generation: number;
  readonly epoch: number;
  readonly primary_backend: string;
  readonly condition: string;
  readonly reason: string;
  readonly seeded_coverage: number;
  readonly exceptions: number;
  readonly finding: number;
  readonly delivered_sequence: number;
  readonly claim_replica: string | null;
  readonly may_repeat: boolean;
  readonly uncertain_count: number;
}

/** A row of `COMMIT`: a lane with a new intent. */
export interface PlaceRow {
  readonly id: number;
  readonly key: string;
  readonly sequence: number;
  readonly generation: number;
  readonly seeded_coverage: number;
  readonly delivered_sequence: number;
  readonly unusual: Unusual | null;
}

type Unusual = Omit<PlacedLane, 'id' | 'sequence' | 'generation' | 'seededCoverage' | 'deliveredSequence'>;

/** The facts that the row of a usual lane omits. */
const USUAL: Unusual = {
  epoch: 0,
  primary: 'legacy',
  condition: 'clean',
  reason: '',
  exceptions: 0,
  finding: 0,
  mayRepeat: false,
  foundUncertain: 0,
  isHome: true,
  writes: 'open',
};

/** @param isSame whether this replica still has the id with which it sent the request */
export function placedStateOf(row: PlaceRow, isSame: boolean): PlacedLane {
  const { isHome, ...facts } = row.unusual ?? USUAL;
  return {
    ...facts,
    id: row.id,
    sequence: row.sequence,
    generation: row.generation,
    seededCoverage: row.seeded_coverage,
    deliveredSequence: row.delivered_sequence,
    isHome: isHome && isSame,
  };
}

/** A row of `FENCES`. */
export interface FenceRow extends LaneRow {
  readonly behind: boolean;
  readonly coverage: number;
  readonly silent: boolean;
}

export function laneStateOf(row: LaneRow, replica: ReplicaIdentity): LaneState {
  return {
    id: row.id,
    sequence: row.sequence,
    generation: row.generation,
    epoch: row.epoch,
    primary: row.primary_backend as Backend,
    condition: row.condition as LaneCondition,
    reason: row.reason,
    seededCoverage: row.seeded_coverage,
    exceptions: row.exceptions,
    finding: row.finding,
    deliveredSequence: row.delivered_sequence,
    mayRepeat: row.may_repeat,
    foundUncertain: row.uncertain_count,
    isHome: row.claim_replica === replica.id,
  };
}

export function viewOf({ behind, coverage, silent }: FenceRow, state: LaneState): LaneView {
  return { state, isBehind: behind, coverage, isReplicaSilent: silent };
}

/** A row of `OPEN_ON_ORCHESTRATOR`. */
export interface OpenRow {
  readonly lane_id: number;
  readonly key: string;
  readonly epoch: number;
  readonly generation: number;
  readonly sequence: number;
  readonly operation_id: string;
}

export function openIntentOf(row: OpenRow): OpenIntent {
  return {
    ref: { laneId: row.lane_id, lane: row.key as LaneKey, sequence: row.sequence },
    operationId: row.operation_id as OperationId,
    epoch: row.epoch,
    generation: row.generation,
  };
}

/** The row of `LAST_APPLIED`. */
export interface LastAppliedRow {
  readonly now_ms: number;
  readonly at_ms: number | null;
  readonly first_at_ms: number | null;
  readonly first_sent_ms: number | null;
  readonly first_sequence: number | null;
  readonly forgotten_through: number | null;
}

export function lastAppliedOf([row]: readonly [LastAppliedRow]): LastApplied {
  const { now_ms: nowMs, at_ms: atMs, first_at_ms: firstMs, first_sequence: sequence } = row;
  const { forgotten_through: forgottenThrough } = row;
  const isAny = firstMs !== null && sequence !== null;
  return {
    nowMs,
    ...(isAny && { first: { sequence, atMs: firstMs, sentMs: row.first_sent_ms ?? firstMs } }),
    ...(atMs !== null && { atMs }),
    ...(forgottenThrough !== null && { forgottenThrough }),
  };
}

/** A row of `writes` as returned by the statements. */
export interface WriteRow {
  readonly lane_id: number;
  readonly sequence: number;
  readonly operation_id: string;
  readonly action: string;
  readonly request: string;
  readonly accepted_at: Date;
  readonly is_uncertain?: boolean;
  readonly is_covered?: boolean;
  readonly letter?: string | null;
  /** JSON, sealed. */
  readonly named: string | null;
  readonly precedes: number | null;
}

function isLetterState(letter: string | null | undefined): letter is LetterState {
  return letter === 'open' || letter === 'redriven' || letter === 'skipped';
}

export function pendingOf(lane: LaneKey, row: WriteRow, seal: Seal): PendingWrite {
  return {
    laneId: row.lane_id,
    lane,
    sequence: row.sequence,
    operationId: row.operation_id as OperationId,
    action: row.action,
    request: seal.open(row.request),
    acceptedAtMs: row.accepted_at.getTime(),
    ...(row.is_uncertain === true && { isUncertain: true }),
    ...(row.is_covered === true && { isCovered: true }),
    ...(isLetterState(row.letter) && { letter: row.letter }),
    ...(row.precedes !== null && { precedes: row.precedes }),
    ...(row.named !== null && { items: JSON.parse(seal.open(row.named)) as NamedItem[] }),
  };
}
