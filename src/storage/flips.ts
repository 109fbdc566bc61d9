import { parseLaneKey, type LaneKey } from '../domain/ids.ts';
import type { FlipDecision, FlipPermission, FlipStore, HeldForFlip } from '../engine/ports/flip-ports.ts';
import type { LaneState } from '../domain/lane.ts';
import type { ReplicaIdentity } from '../engine/ports/replica-ports.ts';
import type { Database } from './database.ts';
import { IS_NAMED_LATELY } from './flip-shares.ts';
import { type LaneRow, laneStateOf } from './journal/journal-rows.ts';
import { busyElsewhere, claimedByOther, LANE_COLUMNS } from './journal/journal-sql.ts';
import { packBaseline } from './runs/baselines.ts';
import { prepared } from './sessions/session.ts';

/** A clean lane may be without a home. The replica that flips it becomes its home. */
/** A home whose lane was clean and delivered may be gone with notes unread. No other replica reads them, and the row says it all. */
const ANNOUNCE = prepared(`
update lanes set hold_replica = $2, hold_until = now() + make_interval(secs => $3),
  foreign_seen = case
    when claim_replica is null and condition = 'clean' and delivered_sequence >= sequence then foreign_count
    else foreign_seen end,
  claim_replica = $2,
  claim_fence = claim_fence + case when claim_replica = $2 then 0 else 1 end
where key = $1 and not ${claimedByOther('lanes', '$2')} and not coalesce(${busyElsewhere('lanes', '$2')}, false)
returning ${LANE_COLUMNS}, claim_fence`);

/** As after a recorded delivery, a clean and delivered lane has no home. */
const WITHDRAW = `
update lanes set hold_until = null,
  claim_replica = case when condition = 'clean' and delivered_sequence >= sequence then null else claim_replica end
where key = $1 and hold_replica = $2 and coalesce(claim_replica = $2, true)`;

/** A write of the lane without an outcome. */
export function hasOpenWrite(lane: string): string {
  return `exists (select from writes w where w.lane_id = ${lane}.id and w.sequence > ${lane}.delivered_sequence
    and not exists (select from outcomes o where o.lane_id = w.lane_id and o.sequence = w.sequence))`;
}

/** An applied write that the secondary lacks. */
export function hasWaitingWrite(lane: string): string {
  return `exists (select from writes w join outcomes o using (lane_id, sequence)
    where w.lane_id = ${lane}.id and w.sequence > ${lane}.delivered_sequence and o.outcome = 'applied')`;
}

/** A write whose effect is not known, or was not known and may still come. */
export function hasUnknownWrite(lane: string): string {
  return `(exists (select from unknown_outcomes u where u.lane_id = ${lane}.id and u.closed_at is null)
    or exists (select from writes w join outcomes o using (lane_id, sequence)
      where w.lane_id = ${lane}.id and w.sequence > ${lane}.delivered_sequence and o.outcome = 'unknown'))`;
}

export function hasDeadLetter(lane: string): string {
  return `exists (select from dead_letters d where d.lane_id = ${lane}.id and d.resolved_at is null)`;
}

/** Writes that are not certain on both backends. */
const MISSES_A_WRITE = [hasOpenWrite, hasWaitingWrite, hasUnknownWrite, hasDeadLetter]
  .map((has) => has('lanes'))
  .join(' or ');

/**
 * What a lane needs to leave legacy. The lock of the share's row keeps a statement that lowers the share, or ends the coverage, out until
 * this one has committed. Both read the lanes after they have the lock.
 */
const IS_PERMITTED = `
  exists (select from share where number = $4 and percentage >= $5 and version = $6)
  and not exists (
    select from replicas r where (r.services is null or $3 = any(r.services))
      and (coalesce((r.shares ->> $3)::bigint, 0) <> $4 or r.versions ->> $3 is distinct from $6))
  and not exists (select from flip_holds h where h.service = $3 and h.lifted_at is null)
  and not exists (select from latches where latches.service = $3 and released_at is null)
  and not exists (select from spills where open_since is not null and (services is null or $3 = any(services)))`;

const IS_SEEDED = `
  exists (select from coverage c where c.service = $3 and c.ended_at is null and c.number = lanes.seeded_coverage)`;

/** Legacy is read-only. Only a lane whose first write came while that was recorded may still leave legacy. */
const IS_ENDING = `
  exists (select from service_writes s where s.service = $3 and s.state <> 'open'
    and (s.settled_at is not null or $7 = 'legacy'))`;

/** The lock keeps a person from naming another lane until this statement has committed. */
const FLIP = prepared(`
with share as (
  select number, percentage, version from flip_shares where service = $3 for share
), first as (
  select from first_lanes f where $12 and f.service = $3 and f.lane = $1 and ${IS_NAMED_LATELY}
    and not exists (select from lanes o where o.service = $3 and o.primary_backend = 'orchestrator')
  for update
), moved as (
  update lanes set
    primary_backend = $7,
    epoch = epoch + 1,
    obeyed_sequence = sequence,
    -- Every write up to here is on both backends.
    delivered_sequence = sequence,
    generation = generation + case when $7 = 'legacy' then 1 else 0 end,
    -- Not seeded. The negative number says that every write of the lane was journaled.
    seeded_coverage = case when $7 = 'legacy' then -coalesce((
      select c.number from coverage c where c.service = $3 and c.ended_at is null), 0) else seeded_coverage end,
    hold_until = null,
    claim_replica = null
  where key = $1 and primary_backend <> $7
    and epoch = $8 and sequence = $9
    -- A delivery that was recorded since the announcement ends the claim. The number shows that the lane had no other home.
    and coalesce(claim_replica = $2, true) and claim_fence = $10
    and hold_replica = $2 and hold_until > now()
    and condition = 'clean' and exceptions = 0 and finding <= 0
    and coalesce(repeats_until <= now(), true)
    and foreign_count <= foreign_seen
    and not (${MISSES_A_WRITE})
    and not (${IS_ENDING})
    and ($7 = 'legacy' or (${IS_PERMITTED} and ${IS_SEEDED}))
    and (not $12 or exists (select from first))
  returning ${LANE_COLUMNS}
), noted as (
  insert into flips (lane_id, epoch, primary_backend, bucket, replica, facts)
  select id, epoch, primary_backend,
    coalesce($5, (select f.bucket from flips f where f.lane_id = moved.id order by f.epoch desc limit 1), 100), $2, $11::jsonb
  from moved
), marked as (
  -- As what it was seen to hold: ../engine/flips/restored-backups.ts.
  insert into orchestrator_marks as m (lane_id, under_epoch, journal_sequence, epoch, generation, sequence)
  select id, epoch, 0, $13::bigint, $14::bigint, $15::bigint from moved where $13::bigint is not null
  on conflict (lane_id) do update set
    under_epoch = excluded.under_epoch, epoch = excluded.epoch, generation = excluded.generation, sequence = excluded.sequence, at = now()
), tried as (
  delete from flip_attempts using moved where flip_attempts.lane_id = moved.id
)
select * from moved`);

const NOTHING = packBaseline([]);

/** Both backends hold nothing of the lane, so it is seeded, needs no comparison, and has an empty baseline. */
const BEAR = prepared(`
with share as (
  select number, percentage, version from flip_shares where service = $3 for share
), born as (
  insert into lanes (key, service, owner, primary_backend, epoch, seeded_coverage)
  select $1, $3, $7, 'orchestrator', 1, c.number from coverage c
  where c.service = $3 and c.ended_at is null and ${IS_PERMITTED}
  on conflict (key) do nothing
  returning ${LANE_COLUMNS}
), noted as (
  insert into flips (lane_id, epoch, primary_backend, bucket, replica, facts, compared_at, comparison)
  select born.id, born.epoch, born.primary_backend, $5, $2,
    jsonb_build_object('is_born', true, 'share', share.number), now(), 'equal'
  from born, share
), emptied as (
  insert into lane_baselines (lane_id, sequence, items, digest, entries)
  select born.id, 0, ${NOTHING.items}, '${NOTHING.digest}', '' from born
)
select * from born`);

function columnsOf(held: FlipDecision['held']): readonly (number | null)[] {
  if (held === undefined) return [null, null, null];
  return [held.epoch, held.generation, held.sequence];
}

/** Flips of lanes in PostgreSQL. */
export function createFlipStore(database: Database, replica: ReplicaIdentity): FlipStore {
  const stateOf = (row: LaneRow): LaneState => laneStateOf(row, replica);
  return {
    async announce(lane: LaneKey, ms: number): Promise<HeldForFlip | undefined> {
      const parameters = [lane, replica.id, ms / 1_000];
      const [row] = await database.query<LaneRow & { claim_fence: number }>(ANNOUNCE, parameters);
      return row && { state: stateOf(row), claim: row.claim_fence };
    },
    async withdraw(lane: LaneKey): Promise<void> {
      await database.query(WITHDRAW, [lane, replica.id]);
    },
    async flip(lane: LaneKey, decision: FlipDecision): Promise<LaneState | undefined> {
      const { to, epoch, sequence, claim, permission, held, facts = {} } = decision;
      const { share = null, bucket = null, version = null, isFirst = false } = permission ?? {};
      const [row] = await database.query<LaneRow>(FLIP, [
        lane,
        replica.id,
        parseLaneKey(lane).service,
        share,
        bucket,
        version,
        to,
        epoch,
        sequence,
        claim,
        JSON.stringify(facts),
        isFirst,
        ...columnsOf(held),
      ]);
      return row && stateOf(row);
    },
    async bear(lane: LaneKey, { share, bucket, version }: FlipPermission) {
      const { service, owner } = parseLaneKey(lane);
      const parameters = [lane, replica.id, service, share, bucket, version, owner];
      const [row] = await database.query<LaneRow>(BEAR, parameters);
      return row && stateOf(row);
    },
  };
}
