import type { LaneKey, ReplicaId } from '../../src/domain/ids.ts';
import type { OpenIntent, Recovery } from '../../src/engine/ports/journal-facts.ts';
import type { Database } from './database.ts';
import {
  foundUncertain,
  isOpenEnded,
  mayBeRepeated,
  outcomeOf,
  settleOutcome,
  takeClaim,
  unsettledOf,
  writesAbove,
  type LaneRow,
  type StoredWrite,
} from './lane-row.ts';

/** One statement of the transaction, on one row. */
type OnRow = (lane: LaneRow, facts: Facts) => void;

interface Facts {
  readonly nowMs: number;
  readonly me: ReplicaId;
  /** Nobody, or a replica that was given up. */
  readonly isGone: (id: ReplicaId | undefined) => boolean;
}

/** The transaction of `PostgresJournal.recover`, statement by statement. */
export function recoverLanes(database: Database, me: ReplicaId, only?: LaneKey): Recovery {
  const { replicas } = database;
  const lanes = database.lanes().filter(({ key }) => only === undefined || key === only);
  const nowMs = database.clock.now();
  const facts: Facts = { nowMs, me, isGone: (id) => id === undefined || !replicas.isListed(id) };
  database.synced();
  replicas.removeDead(me);
  for (const statement of [markUnsettled, settleAbandoned, adoptOrphans])
    for (const lane of lanes) statement(lane, facts);
  const mine = lanes.filter(({ claim }) => claim === me).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return {
    open: mine.flatMap((lane) => openOf(lane, facts)),
    dirty: mine.filter(({ condition }) => condition === 'dirty').map(({ key }) => key),
    pending: mine.flatMap((lane) => {
      const newest = newestPending(lane);
      return newest === undefined ? [] : [{ lane: lane.key, newest }];
    }),
    unclosed: lanes
      .filter(({ claim }) => claim === me || facts.isGone(claim))
      .filter((lane) => [...lane.writes.values()].some((write) => isUnclosed(lane, write, nowMs)))
      .map(({ key }) => key),
  };
}

/** `OPEN_ON_ORCHESTRATOR` of `storage/recovery-sql.ts`. */
function openOf(lane: LaneRow, { isGone }: Facts): OpenIntent[] {
  if (lane.primary !== 'orchestrator') return [];
  const { epoch, generation } = lane;
  return writesAbove(lane, lane.deliveredSequence)
    .filter(({ sequence, replica }) => !lane.outcomes.has(sequence) && isGone(replica))
    .map(({ laneId, lane: key, sequence, operationId }) => ({
      ref: { laneId, lane: key, sequence },
      operationId,
      epoch,
      generation,
    }));
}

/** What the dead left without an outcome is unknown by now, but for what a copy has covered while it was open. */
function isUnclosed(lane: LaneRow, write: StoredWrite, nowMs: number): boolean {
  const isLeft = lane.outcomes.has(write.sequence) || write.sequence <= lane.settledSequence;
  return isLeft && isOpenEnded(lane, write, nowMs);
}

const markUnsettled: OnRow = (lane, { me, isGone }) => {
  const { condition, claim } = lane;
  const isBroken = condition === 'copying' && isGone(claim);
  const isUncertain =
    lane.primary === 'legacy' &&
    (condition === 'clean' || condition === 'copying') &&
    unsettledOf(lane).some(({ replica }) => isGone(replica));
  if (!isBroken && !isUncertain) return;
  lane.condition = 'dirty';
  lane.reason = condition === 'copying' ? 'copy_interrupted' : 'unsettled';
  if (!isGone(claim) && claim !== me) foundUncertain(lane);
};

const settleAbandoned: OnRow = (lane, { isGone, nowMs }) => {
  if (lane.condition === 'clean') return;
  for (const { sequence, replica } of unsettledOf(lane)) {
    if (lane.outcomes.has(sequence) || !isGone(replica)) continue;
    settleOutcome(lane, { sequence, outcome: 'unknown' }, nowMs);
    mayBeRepeated(lane, nowMs);
  }
};

const adoptOrphans: OnRow = (lane, { me, isGone }) => {
  const hasWork = lane.condition === 'dirty' || lane.deliveredSequence < lane.sequence;
  if (hasWork && lane.claim !== me && isGone(lane.claim)) takeClaim(lane, me);
};

function newestPending(lane: LaneRow): number | undefined {
  return writesAbove(lane, lane.deliveredSequence)
    .filter(({ sequence }) => outcomeOf(lane, sequence) === 'applied')
    .at(-1)?.sequence;
}
