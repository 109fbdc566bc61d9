import { StorageError } from '../../domain/errors.ts';
import { type LaneKey, parseLaneKey, type ReplicaId } from '../../domain/ids.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { ReplicaIdentity } from '../../engine/ports/replica-ports.ts';
import type {
  ReplayedLane,
  ReplayPage,
  EarlierOutcome,
  SettledSpill,
  SpilledIntent,
  SpillJournal,
} from '../../engine/ports/spill-ports.ts';
import type { Database, Session } from '../database.ts';
import { type LaneRow, laneStateOf } from '../journal/journal-rows.ts';
import { recordUnknown } from '../decisions-sql.ts';
import { busyElsewhere, claimedByOther, LANE_COLUMNS, REPEATS } from '../journal/journal-sql.ts';
import { gone } from '../journal/recovery-sql.ts';

interface SpillJournalSettings {
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

/** A row of `LOCK_LANES`. */
interface LockedLane {
  readonly key: LaneKey;
  readonly is_busy: boolean;
  readonly primary_backend: string;
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
      const [row] = await database.query<{ replayed: number }>(PROGRESS, [spill]);
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
    recordOutcomes: (outcomes) => recordEarlier(database, outcomes),
  };
}

async function replayPage(
  session: Session,
  page: ReplayPage,
  { replica, id }: { readonly replica: ReplicaIdentity; readonly id: ReplicaId },
): Promise<ReadonlyMap<LaneKey, ReplayedLane>> {
  const moved = await session.query(ADVANCE, [page.spill, page.after, page.through]);
  if (moved.length === 0)
    throw new StorageError(
      'The spill position in the journal does not match, because another process has moved it',
      {
        effect: 'not_applied',
      },
    );
  const shares = await sharesOf(session, page, id);
  const keys = [...shares.keys()];
  await session.query(SETTLE_GONE, [keys, id]);
  const counts = keys.map((key) => shares.get(key)?.intents.length ?? 0);
  const rows = await session.query<LaneRow>(TAKE_PLACES, [keys, counts, id]);
  const places = rows.flatMap((row) => placesOf(row, page, shares));
  await insert(session, places, id);
  await recordEarlier(session, page.earlier);
  await noteOrder(session, page.settled);
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
  const asked = [...byLane.keys()];
  const parsed = asked.map(parseLaneKey);
  const rows = await session.query<LockedLane>(LOCK_LANES, [
    asked,
    parsed.map(({ service }) => service),
    parsed.map(({ owner }) => owner),
    me,
  ]);
  if (rows.some(({ is_busy }) => is_busy)) throw new LaneBusy();
  const keys = await onLegacy(session, rows);
  const spilledBy = keys.map((key) => byLane.get(key)?.[0]?.replica);
  const last = await session.query<LastWriter>(LAST_WRITERS, [keys, spilledBy, me]);
  return new Map(
    last.map(({ key, replica }) => {
      const own = byLane.get(key) ?? [];
      // If no other replica has written since, the spilled writes follow the journaled ones.
      const isKnown = replica === null || replica === me || replica === own[0]?.replica;
      return [key, { intents: own, isInOrder: isKnown && !isOutOfOrder(key) }];
    }),
  );
}

/**
 * A write of a lane that was flipped since went to legacy alone. It gets no place among the writes that the orchestrator has answered. The
 * lane is compared again, which shows it.
 */
async function onLegacy(session: Session, rows: readonly LockedLane[]): Promise<LaneKey[]> {
  const flipped = rows.filter(({ primary_backend: primary }) => primary === 'orchestrator');
  if (flipped.length > 0) await session.query(COMPARE_AGAIN, [flipped.map(({ key }) => key)]);
  return rows.filter((row) => !flipped.includes(row)).map(({ key }) => key);
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
  await session.query(INSERT_WRITES, [
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
  await session.query(INSERT_OUTCOMES, [
    settled.map(({ laneId }) => laneId),
    settled.map(({ sequence }) => sequence),
    settled.map(({ outcome }) => outcome),
  ]);
}

async function recordEarlier(session: Session, settled: readonly EarlierOutcome[]): Promise<void> {
  if (settled.length === 0) return;
  await session.query(SETTLE_EARLIER, [
    settled.map(({ lane }) => lane),
    settled.map(({ operationId }) => operationId),
    settled.map(({ outcome }) => outcome),
  ]);
}

async function noteOrder(session: Session, settled: readonly SettledSpill[]): Promise<void> {
  if (settled.length === 0) return;
  await session.query(NOTE_ORDER, [
    settled.map(({ lane }) => lane),
    settled.map(({ operationId }) => operationId),
    settled.map(({ journalMs }) => journalMs),
  ]);
}

/** Advances to the next page. No row means that an earlier attempt, whose result was lost, has written it. */
const ADVANCE = `
insert into spills (id, replayed) values ($1, $3)
on conflict (id) do update set replayed = $3 where spills.replayed = $2
returning replayed`;

const PROGRESS = 'select replayed from spills where id = $1';

/** Locks the lanes, in lane order like every commit, and creates new ones. */
const LOCK_LANES = `
insert into lanes (key, service, owner)
select key, service, owner from unnest($1::text[], $2::text[], $3::text[]) as t(key, service, owner) order by key
on conflict (key) do update set sequence = lanes.sequence
returning key, primary_backend, coalesce(${busyElsewhere('lanes', '$4')}, false)
  and ((hold_until > now() and not ${gone('hold_replica')}) or not ${gone('writer_replica')}) as is_busy`;

const COMPARE_AGAIN = `
update flips f set compared_at = null, comparison = null
from lanes l where l.key = any($1::text[]) and f.lane_id = l.id and f.epoch = l.epoch`;

/**
 * The writer of the newest conclusive write of each lane. An intent of the spilling replica, or of this one, without a certain outcome may
 * have become durable late. It would hide the previous writer, so it is skipped. The journal may have pruned another replica's write, so
 * the lane's row is asked first.
 */
const LAST_WRITERS = `
select t.key, case when l.writer_replica not in (t.replica, $3) then l.writer_replica else (
  select w.replica from writes w
  left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = l.id
    and (o.outcome in ('applied', 'refused') or w.replica not in (t.replica, $3))
  order by w.sequence desc limit 1) end as replica
from unnest($1::text[], $2::uuid[]) as t(key, replica) join lanes l on l.key = t.key`;

/** Settles open writes of a dead replica, because no other replica knows their outcomes. */
const SETTLE_GONE = withLedger(`
insert into outcomes (lane_id, sequence, outcome)
select id, sequence, 'unknown' from lanes
where key = any($1::text[]) and sequence > settled_sequence and writer_replica <> $2 and ${gone('writer_replica')}`);

/** Reserves sequences for the writes of each lane, and marks it dirty. Its home is notified; without one, this replica becomes it. */
const TAKE_PLACES = `
update lanes set
  sequence = lanes.sequence + asked.writes,
  obeyed_sequence = lanes.sequence + asked.writes,
  writer_replica = $3,
  -- Agents without a reply to one of these writes may repeat it.
  repeats_until = now() + ${REPEATS},
  condition = case condition when 'stopped' then 'stopped' else 'dirty' end,
  reason = case condition when 'stopped' then reason else 'spilled' end,
  foreign_count = foreign_count + case when ${claimedByOther('lanes', '$3')} then 1 else 0 end,
  uncertain_count = case when ${claimedByOther('lanes', '$3')} then foreign_count + 1 else uncertain_count end,
  claim_fence = claim_fence + case when claim_replica = $3 or ${claimedByOther('lanes', '$3')} then 0 else 1 end,
  claim_replica = case when ${claimedByOther('lanes', '$3')} then claim_replica else $3 end
from unnest($1::text[], $2::bigint[]) as asked(key, writes)
where lanes.key = asked.key
returning ${LANE_COLUMNS.replace('key', 'lanes.key')}`;

const INSERT_WRITES = `
insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, coverage, replica, journaled_at)
select lane_id, sequence, operation_id, action, request, accepted_at, coverage, $8::uuid, null
from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[], $7::bigint[])
  as t(lane_id, sequence, operation_id, action, request, accepted_at, coverage)`;

/** A write whose place is not certain took effect before those that were journaled after its reply. */
const NOTE_ORDER = `
update writes set precedes = (
  select min(later.sequence) from writes later
  where later.lane_id = writes.lane_id and later.journaled_at > to_timestamp(t.journal_ms / 1000))
from unnest($1::text[], $2::uuid[], $3::float8[]) as t(key, operation_id, journal_ms)
join lanes l on l.key = t.key
join outcomes o on o.lane_id = l.id and o.outcome = 'unknown'
where writes.lane_id = o.lane_id and writes.sequence = o.sequence and writes.operation_id = t.operation_id`;

const INSERT_OUTCOMES = withLedger(`
insert into outcomes (lane_id, sequence, outcome)
select * from unnest($1::bigint[], $2::bigint[], $3::text[])`);

/** A lane has at most one open write of a spill: the newest one without an outcome. */
const SETTLE_EARLIER = withLedger(`
insert into outcomes (lane_id, sequence, outcome)
select w.lane_id, w.sequence, t.outcome
from unnest($1::text[], $2::uuid[], $3::text[]) as t(key, operation_id, outcome)
join lanes l on l.key = t.key
join writes w on w.lane_id = l.id and w.operation_id = t.operation_id`);

/** Inserts outcomes, and adds the unknown ones to the ledger. */
function withLedger(insert: string): string {
  return `
with settled as (${insert}
  on conflict do nothing returning lane_id, sequence, outcome
)${recordUnknown("select lane_id, sequence from settled where outcome = 'unknown'")}`;
}
