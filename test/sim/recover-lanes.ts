import type { ReplicaId } from '../../src/domain/ids.ts';
import type { Recovery } from '../../src/migration/ports.ts';
import type { Database } from './database.ts';
import { outcomeOf, unsettledOf, writesAbove, type LaneRow } from './lane-row.ts';

/** One statement of the transaction, on one row. */
type OnRow = (lane: LaneRow, facts: Facts) => void;

interface Facts {
  readonly me: ReplicaId;
  /** Nobody, or a replica that was given up. */
  readonly isGone: (id: ReplicaId | undefined) => boolean;
}

/** The transaction of `PostgresJournal.recover`, statement by statement. */
export function recoverLanes(database: Database, me: ReplicaId): Recovery {
  const { replicas } = database;
  const lanes = database.lanes();
  const facts: Facts = { me, isGone: (id) => id === undefined || !replicas.isListed(id) };
  database.synced();
  replicas.removeDead(me);
  for (const statement of [markUnsettled, settleAbandoned, adoptOrphans])
    for (const lane of lanes) statement(lane, facts);
  const mine = lanes.filter(({ claim }) => claim === me).toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return {
    dirty: mine.filter(({ condition }) => condition === 'dirty').map(({ key }) => key),
    pending: mine.flatMap((lane) => {
      const newest = newestPending(lane);
      return newest === undefined ? [] : [{ lane: lane.key, newest }];
    }),
  };
}

const markUnsettled: OnRow = (lane, { isGone }) => {
  const isBroken = lane.condition === 'copying' && isGone(lane.claim);
  const isUncertain = lane.condition === 'clean' && isGone(lane.writer) && unsettledOf(lane).length > 0;
  if (isBroken || isUncertain)
    Object.assign(lane, { condition: 'dirty', reason: isBroken ? 'copy_interrupted' : 'unsettled' });
};

const settleAbandoned: OnRow = (lane, { isGone }) => {
  if (lane.condition !== 'dirty' || !isGone(lane.writer)) return;
  for (const { sequence } of unsettledOf(lane))
    if (!lane.outcomes.has(sequence)) lane.outcomes.set(sequence, 'unknown');
};

const adoptOrphans: OnRow = (lane, { me, isGone }) => {
  const hasWork = lane.condition === 'dirty' || lane.deliveredSequence < lane.sequence;
  if (hasWork && lane.claim !== me && isGone(lane.claim)) lane.claim = me;
};

function newestPending(lane: LaneRow): number | undefined {
  return writesAbove(lane, lane.deliveredSequence)
    .filter(({ sequence }) => outcomeOf(lane, sequence) === 'applied')
    .at(-1)?.sequence;
}
