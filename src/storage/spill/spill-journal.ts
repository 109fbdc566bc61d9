import { StorageError } from '../../domain/errors.ts';
import { parseLaneKey, type LaneKey, type ReplicaId } from '../../domain/ids.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { ReplicaIdentity } from '../../engine/ports/replica-identity.ts';
import type {
  ReplayedLane,
  ReplayPage,
  SettledSpill,
  SpilledIntent,
  SpillJournal,
} from '../../engine/ports/spill-ports.ts';
import type { Database, Session } from '../database.ts';
import { laneStateOf, type LaneRow } from '../journal/journal-rows.ts';
import * as sql from './spill-journal-sql.ts';

export interface SpillJournalSettings {
  readonly database: Database;
  readonly replica: ReplicaIdentity;
}

/** The writes of one lane in a page, and whether their order among other writes is certain. */
interface LaneShare {
  readonly intents: readonly SpilledIntent[];
  readonly isInOrder: boolean;
}

/** A row of `LAST_WRITERS`. */
interface LastWriter {
  readonly key: LaneKey;
  readonly replica: string | null;
}

interface Placed {
  readonly intent: SpilledIntent;
  readonly laneId: number;
  readonly sequence: number;
  readonly outcome: Outcome | undefined;
}

/** Rolls back the transaction; not a failure. */
class LaneBusy extends Error {}

/** Writes spilled records into the journal in PostgreSQL. */
export function createSpillJournal({ database, replica }: SpillJournalSettings): SpillJournal {
  return {
    async progress(spill) {
      const [row] = await database.query<{ replayed: number }>(sql.PROGRESS, [spill]);
      return row?.replayed ?? 0;
    },
    async replay(page) {
      const { id } = replica;
      try {
        return await database.transaction((session) => replayPage(session, page, { replica, id }));
      } catch (error) {
        if (error instanceof LaneBusy) return undefined;
        throw error;
      }
    },
    settle: (outcomes) => settleEarlier(database, outcomes),
  };
}

async function replayPage(
  session: Session,
  page: ReplayPage,
  { replica, id }: { readonly replica: ReplicaIdentity; readonly id: ReplicaId },
): Promise<ReadonlyMap<LaneKey, ReplayedLane>> {
  const moved = await session.query(sql.ADVANCE, [page.spill, page.after, page.through]);
  if (moved.length === 0)
    throw new StorageError(
      'The spill position in the journal does not match, because another process has moved it',
      {
        effect: 'not_applied',
      },
    );
  const shares = await sharesOf(session, page, id);
  const keys = [...shares.keys()];
  await session.query(sql.SETTLE_GONE, [keys, id]);
  const counts = keys.map((key) => shares.get(key)?.intents.length ?? 0);
  const rows = await session.query<LaneRow>(sql.TAKE_PLACES, [keys, counts, id]);
  const places = rows.flatMap((row) => placesOf(row, page, shares));
  await insert(session, places, id);
  await settleEarlier(session, page.earlier);
  const lanes = rows.map((row): [LaneKey, ReplayedLane] => {
    const own = places.filter(({ laneId }) => laneId === row.id);
    const isUncertain = own.some(({ outcome }) => outcome === undefined || outcome === 'unknown');
    const isOutOfOrder = shares.get(row.key as LaneKey)?.isInOrder === false;
    return [row.key as LaneKey, { state: laneStateOf(row, replica), isUncertain, isOutOfOrder }];
  });
  return new Map(lanes);
}

/** The page's writes by lane. Locks every lane. */
async function sharesOf(
  session: Session,
  { intents, isOutOfOrder }: ReplayPage,
  me: ReplicaId,
): Promise<ReadonlyMap<LaneKey, LaneShare>> {
  const byLane = new Map<LaneKey, SpilledIntent[]>();
  for (const intent of intents) {
    const known = byLane.get(intent.lane);
    if (known === undefined) byLane.set(intent.lane, [intent]);
    else known.push(intent);
  }
  const keys = [...byLane.keys()];
  const parsed = keys.map(parseLaneKey);
  const rows = await session.query<{ is_busy: boolean }>(sql.LOCK_LANES, [
    keys,
    parsed.map(({ service }) => service),
    parsed.map(({ owner }) => owner),
    me,
  ]);
  if (rows.some(({ is_busy }) => is_busy)) throw new LaneBusy();
  const spilledBy = keys.map((key) => byLane.get(key)?.[0]?.replica);
  const last = await session.query<LastWriter>(sql.LAST_WRITERS, [keys, spilledBy, me]);
  return new Map(
    last.map(({ key, replica }) => {
      const own = byLane.get(key) ?? [];
      // If no other replica has written since, the spilled writes follow the journaled ones.
      const isKnown = replica === null || replica === me || replica === own[0]?.replica;
      return [key, { intents: own, isInOrder: isKnown && !isOutOfOrder(key) }];
    }),
  );
}

function placesOf(row: LaneRow, { outcomes }: ReplayPage, shares: ReadonlyMap<LaneKey, LaneShare>): Placed[] {
  const { intents = [], isInOrder = true } = shares.get(row.key as LaneKey) ?? {};
  const first = row.sequence - intents.length + 1;
  return intents.map((intent, index) => {
    const known = outcomes.get(intent.operationId);
    const outcome = known === 'applied' && !isInOrder ? 'unknown' : known;
    return { intent, laneId: row.id, sequence: first + index, outcome };
  });
}

async function insert(session: Session, places: readonly Placed[], me: ReplicaId): Promise<void> {
  if (places.length === 0) return;
  await session.query(sql.INSERT_WRITES, [
    places.map(({ laneId }) => laneId),
    places.map(({ sequence }) => sequence),
    places.map(({ intent }) => intent.operationId),
    places.map(({ intent }) => intent.action),
    places.map(({ intent }) => intent.request),
    places.map(({ intent }) => new Date(intent.acceptedAtMs).toISOString()),
    // Records of an older release have no coverage.
    places.map(({ intent: { coverage = 0 } }) => coverage),
    me,
  ]);
  const settled = places.flatMap(({ laneId, sequence, outcome }) =>
    outcome === undefined ? [] : [{ laneId, sequence, outcome }],
  );
  if (settled.length === 0) return;
  await session.query(sql.INSERT_OUTCOMES, [
    settled.map(({ laneId }) => laneId),
    settled.map(({ sequence }) => sequence),
    settled.map(({ outcome }) => outcome),
  ]);
}

async function settleEarlier(session: Session, settled: readonly SettledSpill[]): Promise<void> {
  if (settled.length === 0) return;
  await session.query(sql.SETTLE_EARLIER, [
    settled.map(({ lane }) => lane),
    settled.map(({ operationId }) => operationId),
    settled.map(({ outcome }) => outcome),
  ]);
}
