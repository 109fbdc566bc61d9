import { prepared } from '../sessions/prepared.ts';
import { busyElsewhere, claimedByOther } from './journal-sql.ts';

/** Unusual facts of a lane; null for most lanes, because every column costs time in each row of every commit. */
const UNUSUAL = `
  case when claim_replica = $8 and condition = 'clean' and reason = '' and exceptions = 0 and finding = 0 and epoch = 0 and primary_backend = 'legacy'
      and uncertain_count = 0 and coalesce(repeats_until <= now(), true)
    then null
    else json_build_object('epoch', epoch, 'primary', primary_backend, 'condition', condition, 'reason', reason,
      'exceptions', exceptions, 'finding', finding, 'mayRepeat', coalesce(repeats_until > now(), false), 'foundUncertain', uncertain_count,
      'isHome', coalesce(claim_replica = $8, false))
    end as unusual`;

const CLAIMED_BY_OTHER = claimedByOther('lanes', '$8');

/** Updates any lane row. If the row names other replicas, their state is looked up. */
const WHOSE_EVER = `
    claim_replica = case when ${CLAIMED_BY_OTHER} then lanes.claim_replica else $8 end,
    claim_fence = lanes.claim_fence + case when lanes.claim_replica = $8 or ${CLAIMED_BY_OTHER} then 0 else 1 end,
    -- The copying replica is dead, so the lane's new home copies it again.
    condition = case
      when lanes.condition = 'copying' and lanes.claim_replica is distinct from $8 and not ${CLAIMED_BY_OTHER} then 'dirty'
      else lanes.condition end
  where not coalesce(${busyElsewhere('lanes', '$8')}, false)`;

/** The same for rows that name no other replica. */
const OWN = `
    claim_replica = $8,
    claim_fence = lanes.claim_fence + case when lanes.claim_replica = $8 then 0 else 1 end
  where (lanes.claim_replica = $8 or (lanes.claim_replica is null and lanes.condition <> 'copying'))
    and coalesce(lanes.writer_replica = $8, true)
    and (coalesce(lanes.hold_replica = $8, true) or coalesce(lanes.hold_until <= now(), true))`;

interface CommitKind {
  readonly lanes: string;
  readonly onKnownOutcome: string;
}

/** The parameters are unnested in both places, because one shared table would store them once more. */
function commit({ lanes, onKnownOutcome }: CommitKind): string {
  return prepared(`
with settled as (
  insert into outcomes (lane_id, sequence, outcome)
  select * from unnest($9::bigint[], $10::bigint[], $11::text[])
  ${onKnownOutcome}
), locked as (
  insert into lanes (key, service, owner, sequence, writer_replica, claim_replica, claim_fence)
  select key, service, owner, 1, $8, $8, 1
  from unnest($1::text[], $2::text[], $3::text[]) as asked(key, service, owner) order by key
  on conflict (key) do update set
    sequence = lanes.sequence + 1,
    writer_replica = $8,${lanes}
  returning id, key, sequence, generation, seeded_coverage, delivered_sequence, ${UNUSUAL}
), stored as (
  insert into writes (lane_id, sequence, operation_id, action, request, accepted_at, replica, coverage)
  select locked.id, locked.sequence, operation_id, action, request, accepted_at, $8::uuid, coverage
  from locked join unnest($1::text[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $12::bigint[])
    as asked(key, operation_id, action, request, accepted_at, coverage) using (key)
)
select * from locked`);
}

/**
 * The group commit: outcomes of past writes, and new intents, each with its lane's next sequence. Lanes are locked in lane order,
 * because in arrival order two replicas deadlock. A lane that another replica uses is not returned, and gets no intent.
 * Fails if an outcome already exists.
 */
export const COMMIT = commit({ lanes: WHOSE_EVER, onKnownOutcome: '' });

/** The same after such a failure: existing outcomes stay. Handling this in every commit would cost a tenth of its time. */
export const COMMIT_BESIDE_KNOWN = commit({ lanes: WHOSE_EVER, onKnownOutcome: 'on conflict do nothing' });

/** The same, but lanes whose rows name another replica are not returned either. Handling them would cost another tenth. */
export const COMMIT_OWN = commit({ lanes: OWN, onKnownOutcome: '' });
