import type { LaneKey, ReplicaId } from '../../src/domain/ids.ts';
import type { Database } from './database.ts';
import { readOf, takeClaim, type LaneRead } from './lane-row.ts';

/** What others did to a lane of this home. */
export interface ForeignRead {
  readonly row: LaneRead;
  readonly count: number;
}

/** `TAKE_ABANDONED` of `storage/recovery-sql.ts`. */
export function takeAbandoned(database: Database, me: ReplicaId): void {
  for (const lane of database.lanes()) {
    const isGone = lane.claim === undefined || !database.replicas.isListed(lane.claim);
    if (lane.condition !== 'copying' || !isGone) continue;
    database.synced();
    Object.assign(lane, { condition: 'dirty', reason: 'copy_interrupted' });
    takeClaim(lane, me);
    lane.foreignCount += 1;
  }
}

/** `TAKE_FOREIGN` of `storage/journal-sql.ts`. */
export function takeForeign(
  database: Database,
  me: ReplicaId,
  seen: ReadonlyMap<number, number>,
): Map<LaneKey, ForeignRead> {
  if (seen.size > 0) database.synced();
  for (const [id, count] of seen) {
    const lane = database.laneById(id);
    if (lane !== undefined) lane.foreignSeen = Math.max(lane.foreignSeen, count);
  }
  return new Map(
    database
      .lanes()
      .filter(({ claim, foreignCount, foreignSeen }) => claim === me && foreignCount > foreignSeen)
      .map((lane) => [lane.key, { row: readOf(lane), count: lane.foreignCount }]),
  );
}

/** `UNWELL`. */
export function unwellLanes(database: Database, me: ReplicaId): LaneKey[] {
  return database
    .lanes()
    .filter(({ claim, condition }) => claim === me && (condition === 'copying' || condition === 'dirty'))
    .map(({ key }) => key);
}
