import type { LaneKey, Owner, ServiceName } from '../domain/ids.ts';
import type {
  FlipBook,
  FlipCandidate,
  FlipStanding,
  PastFlip,
  UncomparedFlip,
  Unclean,
} from '../engine/ports/flip-ports.ts';
import type { ReplicaIdentity } from '../engine/ports/replica-ports.ts';
import type { Database } from './database.ts';
import { claimedByOther } from './journal/journal-sql.ts';

const SERVES = '(r.services is null or $1 = any(r.services))';

/** Asked for every second, so nothing is looked for among all lanes. */
const STANDING = `
select
  (select count(*) from replicas r where ${SERVES}
    and coalesce((r.shares ->> $1)::bigint, 0) <> coalesce((select number from flip_shares where service = $1), 0)) as "notReported",
  (select count(*) from replicas r where ${SERVES}
    and r.versions ->> $1 is distinct from (select version from flip_shares where service = $1)) as "otherVersions",
  exists (select from spills where open_since is not null and (services is null or $1 = any(services))) as "isAnySpilled",
  (select json_build_object('person', h.person, 'reason', h.reason, 'atMs', extract(epoch from h.at) * 1000)
    from flip_holds h where h.service = $1 and h.lifted_at is null) as held,
  exists (select from lanes l where l.service = $1 and l.primary_backend = 'orchestrator') as "isAnyFlipped",
  (select count(*) from (
    select l.id from divergences d join lanes l on l.key = d.service || '/' || d.owner
    where d.service = $1 and d.state = 'legacy_differs' and l.primary_backend = 'orchestrator'
    union
    select l.id from flips f join lanes l on l.id = f.lane_id and l.epoch = f.epoch
    where f.comparison = 'different' and l.service = $1 and l.primary_backend = 'orchestrator'
      and not exists (select from divergences d where d.service = l.service and d.owner = l.owner and d.state = 'accepted')) differing) as "flippedDiffer",
  (select count(distinct f.lane_id) from flips f join lanes l on l.id = f.lane_id
    where f.at > now() - interval '1 minute' and not f.facts ? 'is_born' and l.service = $1) as "movedLately"`;

/** Takes 25 ms with 100,000 such lanes. */
const FLIPPED =
  "select count(*) as flipped from lanes where service = $1 and primary_backend = 'orchestrator'";

/** The first reason that applies. Those that end by themselves come first. */
const UNCLEAN = `
  case
    when l.condition <> 'clean' then l.condition
    when l.seeded_coverage is distinct from
      (select c.number from coverage c where c.service = l.service and c.ended_at is null) then 'not_seeded'
    when exists (select from unknown_outcomes u where u.lane_id = l.id and u.closed_at is null) then 'unknown_outcome'
    when l.repeats_until > now() then 'may_be_repeated'
    when exists (
      select from runs n join run_pages p on p.run_id = n.id
      where n.state = 'running' and n.kind in ('backfill', 'repair') and p.done_at is null and p.claim_replica is not null
        and p.service = l.service and l.owner = any(p.owners)) then 'run_at_work'
    when l.exceptions > 0 then 'excepted'
    when l.finding > 0 then 'differs'
    when exists (select from dead_letters d where d.lane_id = l.id and d.resolved_at is null) then 'dead_letter'
  end`;

/** A lane on legacy; $3 is this replica. */
const CANDIDATE = `
select l.id, l.key, l.owner, ${UNCLEAN} as unclean, coalesce(${claimedByOther('l', '$3')}, false) as is_elsewhere,
  extract(epoch from now() - v.at)::float8 as verified_ago,
  a.attempts, a.reason, greatest(0, extract(epoch from a.next_at - now()))::float8 as due_in
from lanes l
left join lane_verifications v on v.lane_id = l.id and v.digest = $2
left join flip_attempts a on a.lane_id = l.id
where l.primary_backend = 'legacy'`;

const CANDIDATES = `${CANDIDATE} and l.service = $1 and l.id > $4 and ($6 or not ${claimedByOther('l', '$3')})
order by l.id limit $5`;

const AMONG = `${CANDIDATE} and l.key = any($1::text[])`;

const HISTORY = `
select f.epoch, f.primary_backend as primary, f.at, f.replica::text, f.facts, f.compared_at, f.comparison
from flips f join lanes l on l.id = f.lane_id where l.key = $1 order by f.epoch`;

/** A flipped lane that differed, and is equal by now, stops no further flips. */
const VERIFIED = `
with again as (
  update flips f set comparison = 'equal', compared_at = now()
  from lanes l where l.key = any($1::text[]) and f.lane_id = l.id and f.epoch = l.epoch and f.comparison = 'different'
)
insert into lane_verifications as v (lane_id, digest, at)
select l.id, $2, now() from lanes l where l.key = any($1::text[]) order by l.id
on conflict (lane_id) do update set digest = excluded.digest, at = excluded.at`;

const FAILED = `
insert into flip_attempts as a (lane_id, attempts, reason, next_at)
select l.id, 1, $2, now() + make_interval(secs => $3) from lanes l where l.key = $1 and l.primary_backend = 'legacy'
on conflict (lane_id) do update set
  attempts = a.attempts + 1, reason = excluded.reason, last_at = now(), next_at = excluded.next_at`;

const UNCOMPARED = `
select l.key as lane, l.owner, l.service, f.epoch
from flips f join lanes l on l.id = f.lane_id and l.epoch = f.epoch
where f.compared_at is null and l.primary_backend = 'orchestrator' and l.service = any($1::text[])
  and not ${claimedByOther('l', '$3')}
  and not exists (
    select from writes w left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where w.lane_id = l.id and w.sequence > l.delivered_sequence and coalesce(o.outcome, 'unknown') in ('applied', 'unknown'))
order by f.at limit $2`;

const COMPARED = `
update flips f set compared_at = now(), comparison = $3
from lanes l where l.id = f.lane_id and l.key = $1 and f.epoch = $2`;

interface CandidateRow {
  readonly id: number;
  readonly key: LaneKey;
  readonly owner: Owner;
  readonly unclean: Unclean | null;
  readonly verified_ago: number | null;
  readonly attempts: number | null;
  readonly reason: string | null;
  readonly due_in: number | null;
  readonly is_elsewhere: boolean;
}

/** What is known of the lanes that move, in PostgreSQL. */
export function createFlipBook(database: Database, replica: ReplicaIdentity): FlipBook {
  const among: FlipBook['among'] = async (lanes, digest) =>
    (await database.query<CandidateRow>(AMONG, [lanes, digest, replica.id])).map(candidateOf);
  return {
    async standing(service) {
      const [row] = await database.query<Omit<FlipStanding, 'held'> & { held: FlipStanding['held'] | null }>(
        STANDING,
        [service],
      );
      if (row === undefined) throw new Error('a query without a table returned no row');
      return { ...row, held: row.held ?? undefined };
    },
    async flipped(service) {
      const [row] = await database.query<{ flipped: number }>(FLIPPED, [service]);
      return row?.flipped ?? 0;
    },
    async candidates(service, { after, limit, digest, isEveryHome = false }) {
      const parameters = [service, digest, replica.id, after, limit, isEveryHome];
      return (await database.query<CandidateRow>(CANDIDATES, parameters)).map(candidateOf);
    },
    candidate: async (lane, digest) => (await among([lane], digest))[0],
    among,
    history: (lane) => database.query<PastFlip>(HISTORY, [lane]),
    async verified(lanes, digest) {
      if (lanes.length > 0) await database.query(VERIFIED, [lanes, digest]);
    },
    async failed(lane, reason, pauseSeconds) {
      await database.query(FAILED, [lane, reason, pauseSeconds]);
    },
    uncompared: (services: readonly ServiceName[], limit: number) =>
      database.query<UncomparedFlip>(UNCOMPARED, [services, limit, replica.id]),
    async compared({ lane, epoch }, result) {
      await database.query(COMPARED, [lane, epoch, result]);
    },
  };
}

function candidateOf(row: CandidateRow): FlipCandidate {
  const { id, key, owner, unclean, verified_ago: ago, attempts, reason, due_in: due } = row;
  return {
    id,
    lane: key,
    owner,
    ...(unclean !== null && { unclean }),
    ...(row.is_elsewhere && { isElsewhere: true }),
    ...(ago !== null && { verifiedAgoSeconds: ago }),
    ...(attempts !== null && {
      attempts: { failed: attempts, reason: reason ?? '', dueInSeconds: due ?? 0 },
    }),
  };
}
