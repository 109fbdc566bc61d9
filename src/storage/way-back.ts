import type { LaneKey, OperationId, Owner, ServiceName } from '../domain/ids.ts';
import type { ByPerson } from '../engine/ports/decision-ports.ts';
import type { ReplicaIdentity } from '../engine/ports/replica-ports.ts';
import type {
  DueReturn,
  LossCause,
  ReturnChoice,
  ReturnObstacle,
  ReturnPlan,
  Rollback,
  WayBackReadiness,
  WayBackStore,
} from '../engine/ports/way-back-ports.ts';
import { addAudit } from './audit.ts';
import type { Database, Session } from './database.ts';
import { hasDeadLetter, hasOpenWrite, hasUnknownWrite, hasWaitingWrite } from './flips.ts';
import { busyElsewhere, claimedByOther } from './journal/journal-sql.ts';

/** Lost writes, and lanes, that a list shows. */
const SHOWN = 200;
const OWNERS_PER_PAGE = 1_000;
/** Lanes of one attempt. */
const AT_ONCE = 100;
/** The subject of the acceptance that legacy forgets. */
const FORGETTING = 'rollback:forgotten';

/** The chosen flipped lanes of a service: $1 is the service, $2 the owner, $3 the percentage. */
const CHOSEN = `
select l.* from lanes l
where l.service = $1 and l.primary_backend = 'orchestrator' and ($2::text is null or l.owner = $2)
  and ($3::integer is null or $3 < coalesce((
    select f.bucket from flips f where f.lane_id = l.id order by f.epoch desc limit 1), 100))`;

const APPLIED =
  "join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence and o.outcome = 'applied'";

/** Acknowledged writes that legacy would lack after the return of the chosen lanes. Each part reads few rows, by an index of its own. */
const LOST = `
select c.key as lane, r.sequence, r.operation_id::text, r.action, 'skipped' as cause
from chosen c join reverse_sends r on r.lane_id = c.id and r.ending = 'skipped' and r.epoch = c.epoch
union all
select c.key, r.sequence, r.operation_id::text, r.action, 'halted'
from chosen c join reverse_sends r on r.lane_id = c.id and r.ended_at is null and r.halted_at is not null and r.decision is null
union all
select c.key, w.sequence, w.operation_id::text, w.action, 'way_back_lost'
from chosen c join lost_ways_back b on b.lane_id = c.id
join writes w on w.lane_id = c.id and w.sequence > c.delivered_sequence ${APPLIED}`;

const LIST_LOST = `with chosen as (${CHOSEN}) select * from (${LOST}) lost order by lane, sequence limit ${SHOWN}`;

const OWNERS = `with chosen as (${CHOSEN}) select owner from chosen where owner > $4 order by owner limit ${OWNERS_PER_PAGE}`;

const WAYS_LOST = `
with chosen as (${CHOSEN})
select c.key as lane, b.lost_at,
  (select count(*) from writes w ${APPLIED} where w.lane_id = c.id and w.sequence > c.delivered_sequence) as writes
from chosen c join lost_ways_back b on b.lane_id = c.id order by c.key limit ${SHOWN}`;

/**
 * Of the last sends of the service, if it has any among the newest of all services. Sends of many lanes overlap, so while much waits, the
 * time from the first start to the last end says more than each duration. Joining lanes first would read every send of each lane.
 */
const SEND_MS = `
  (select (least(avg(extract(epoch from ended_at - started_at)), extract(epoch from max(ended_at) - min(started_at)) / count(*)) * 1000)::float8 from (
    select newest.started_at, newest.ended_at from (
      select r.lane_id, r.started_at, r.ended_at from reverse_sends r where r.ending = 'applied' order by r.ended_at desc limit 10000) newest
    where (select l.service from lanes l where l.id = newest.lane_id) = $1
    order by newest.ended_at desc limit 100) recent)`;

const PLAN = `
with chosen as (${CHOSEN})
select count(*) as lanes,
  (select count(*) from chosen c join writes w on w.lane_id = c.id and w.sequence > c.delivered_sequence ${APPLIED}) as waiting,
  (select count(*) from (${LOST}) lost) as lost,
  (select count(*) from chosen c join reverse_sends r on r.lane_id = c.id and r.epoch = c.epoch and r.ending = 'forgotten') as forgotten,
  exists (select from interlock_acceptances a where a.service = $1 and a.subject = '${FORGETTING}') as forgetting_accepted,
  (select max(extract(epoch from coalesce(r.ended_at, now()) - w.accepted_at) * 1000)::float8
    from chosen c join writes w on w.lane_id = c.id ${APPLIED}
    left join reverse_sends r on r.lane_id = w.lane_id and r.sequence = w.sequence
    where r.ending = 'applied' or w.sequence > c.delivered_sequence) as shift_ms,
  ${SEND_MS} as send_ms,
  (select count(*) from chosen c join writes w on w.lane_id = c.id and w.sequence > c.delivered_sequence
    where not exists (select from outcomes o where o.lane_id = w.lane_id and o.sequence = w.sequence)) as open
from chosen`;

/** As in the plan, but it reads no write that legacy has. It is asked for all the time. */
const READINESS = `
with chosen as (${CHOSEN})
select (select count(*) from chosen) as orchestrator,
  (select count(*) from lanes l where l.service = $1 and l.primary_backend = 'legacy') as legacy,
  (select count(*) from chosen c join outcomes o on o.lane_id = c.id and o.sequence > c.delivered_sequence and o.outcome = 'applied'
    where c.delivered_sequence < c.sequence) as "waitingWrites",
  (select count(*) from (${LOST}) lost) as "lostWrites",
  (select count(*) from chosen c join lost_ways_back b on b.lane_id = c.id) as "lostWaysBack",
  (select count(*) from rollback_lanes x join rollbacks r on r.id = x.rollback_id
    where r.service = $1 and r.ended_at is null and x.returned_at is null) as returning,
  ${SEND_MS} as "sendMs"`;

const BEGIN = `
insert into rollbacks (service, choice, accepts_loss, person, reason) values ($1, $2::jsonb, $3, $4, $5)
on conflict (service) where ended_at is null do nothing returning id`;

const CHOOSE = `
with chosen as (${CHOSEN})
insert into rollback_lanes (rollback_id, lane_id) select $4, id from chosen returning lane_id`;

const ACCEPT_FORGETTING = `
insert into interlock_acceptances (service, subject, person, reason) values ($1, '${FORGETTING}', $2, $3) on conflict do nothing`;

/** $1 is this replica, $2 its services. A clean lane may be without a home. */
const DUE = `
select r.id as rollback, l.service, l.owner, r.accepts_loss, r.person, r.reason, (extract(epoch from now() - r.began_at) * 1000)::float8 as age_ms
from rollback_lanes x join rollbacks r on r.id = x.rollback_id and r.ended_at is null
join lanes l on l.id = x.lane_id and l.primary_backend = 'orchestrator'
where x.returned_at is null and x.next_at <= now() and ($2::text[] is null or r.service = any($2))
  and not ${claimedByOther('l', '$1')}
order by x.next_at, l.key limit ${AT_ONCE}`;

/** The first that applies. */
const OBSTACLE = `
select case
  when exists (select from service_writes s where s.service = l.service and s.state <> 'open') then 'read_only'
  when exists (select from restored_lanes r where r.key = l.key and r.decided_at is null) then 'restored'
  when exists (select from lost_ways_back b where b.lane_id = l.id) and l.delivered_sequence < l.sequence then 'would_lose'
  when exists (select from reverse_sends r where r.lane_id = l.id and r.ended_at is null and r.halted_at is not null and r.decision is null)
    then 'halted'
  when ${hasOpenWrite('l')} then 'open_write'
  when ${hasWaitingWrite('l')} then 'writes_wait'
  when ${busyElsewhere('l', '$2')} then 'busy'
  when ${hasUnknownWrite('l')} then 'unknown_outcome'
  when ${hasDeadLetter('l')} then 'dead_letter'
  when l.condition <> 'clean' or l.exceptions > 0 or l.finding > 0 then 'not_clean'
  when l.repeats_until > now() then 'repeat_window' end as obstacle
from lanes l where l.key = $1`;

const HALTED = `
select r.operation_id::text from reverse_sends r join lanes l on l.id = r.lane_id
where l.key = $1 and r.ended_at is null and r.halted_at is not null and r.decision is null`;

const HELD = "key = $1 and primary_backend = 'orchestrator' and hold_replica = $2 and hold_until > now()";

/** Counts what legacy lacks, and lets the lane return. */
const GIVE_UP_WRITES = `
with given_up as (
  update lanes set delivered_sequence = sequence
  where ${HELD} and exists (select from lost_ways_back b where b.lane_id = lanes.id)
  returning id, (select d.delivered_sequence from lanes d where d.key = $1) as stood_at
)
update rollback_lanes x set lost = (
  select count(*) from writes w ${APPLIED} where w.lane_id = x.lane_id and w.sequence > given_up.stood_at)
from given_up where x.lane_id = given_up.id and x.returned_at is null`;

/** A living replica records the outcomes of its own writes. */
const GIVE_UP_OPEN = `
insert into outcomes (lane_id, sequence, outcome)
select w.lane_id, w.sequence, 'not_applied'
from lanes l join writes w on w.lane_id = l.id and w.sequence > greatest(l.delivered_sequence, l.settled_sequence, $3)
where l.key = $1 and l.primary_backend = 'orchestrator' and not ${claimedByOther('l', '$2')}
  and (w.replica = $2 or ($4 and not exists (select from replicas r where r.id = w.replica)))
on conflict do nothing`;

/** Growing pauses: at most a minute, and at most two seconds before what agents do all the time. */
const FAILED = `
update rollback_lanes x set attempts = x.attempts + 1, reason = $4,
  next_at = now() + least(
    case when $4 in ('busy', 'open_write') then interval '2 seconds' else interval '1 minute' end,
    interval '250 milliseconds' * power(2, least(x.attempts, 10)))
from lanes l where l.service = $2 and l.owner = $3 and x.lane_id = l.id and x.rollback_id = $1`;

const RETURNED = `
with returned as (
  update rollback_lanes x set returned_at = now(), reason = ''
  from lanes l, rollbacks r
  where x.returned_at is null and l.id = x.lane_id and l.primary_backend = 'legacy' and r.id = x.rollback_id and r.ended_at is null
  returning x.lane_id
)
delete from lost_ways_back b using returned where b.lane_id = returned.lane_id`;

const ENDED = `
update rollbacks r set ended_at = now()
where r.ended_at is null and not exists (select from rollback_lanes x where x.rollback_id = r.id and x.returned_at is null)
returning r.id`;

const SHOWN_ROLLBACK = `
select r.id, r.service, r.accepts_loss, r.person, r.reason, r.began_at, r.ended_at,
  (select count(*) from rollback_lanes x where x.rollback_id = r.id) as lanes,
  (select count(*) from rollback_lanes x where x.rollback_id = r.id and x.returned_at is not null) as returned,
  coalesce((
    select jsonb_agg(jsonb_build_object('lane', w.key, 'attempts', w.attempts, 'reason', w.reason) order by w.key) from (
      select l.key, x.attempts, x.reason from rollback_lanes x join lanes l on l.id = x.lane_id
      where x.rollback_id = r.id and x.returned_at is null and x.attempts > 0 order by l.key limit ${SHOWN}) w), '[]') as waiting
from rollbacks r`;

const STOP = `
update rollbacks set ended_at = now(), stopped_by = $2, stop_reason = $3 where id = $1 and ended_at is null returning service`;

interface PlanRow {
  readonly lanes: number;
  readonly waiting: number;
  readonly lost: number;
  readonly forgotten: number;
  readonly forgetting_accepted: boolean;
  readonly shift_ms: number | null;
  readonly send_ms: number | null;
  readonly open: number;
}

interface ReadinessRow extends Omit<WayBackReadiness, 'lanes'> {
  readonly legacy: number;
  readonly orchestrator: number;
}

interface LostRow {
  readonly lane: LaneKey;
  readonly sequence: number;
  readonly operation_id: OperationId;
  readonly action: string;
  readonly cause: LossCause;
}

interface RollbackRow {
  readonly id: number;
  readonly service: ServiceName;
  readonly accepts_loss: boolean;
  readonly person: string;
  readonly reason: string;
  readonly began_at: Date;
  readonly ended_at: Date | null;
  readonly lanes: number;
  readonly returned: number;
  readonly waiting: Rollback['waiting'];
}

function rollbackOf({ accepts_loss, began_at, ended_at, ...row }: RollbackRow): Rollback {
  return {
    ...row,
    acceptsLoss: accepts_loss,
    beganAtMs: began_at.getTime(),
    ...(ended_at !== null && { endedAtMs: ended_at.getTime() }),
  };
}

function choiceParameters(choice: ReturnChoice): [owner: Owner | null, percentage: number | null] {
  if (choice === 'all') return [null, null];
  return 'owner' in choice ? [choice.owner, null] : [null, choice.beyondPercentage];
}

/** Returns of lanes to legacy, in PostgreSQL. */
export function createWayBackStore(database: Database, replica: ReplicaIdentity): WayBackStore {
  const find = async (id: number): Promise<Rollback | undefined> => {
    const [row] = await database.query<RollbackRow>(`${SHOWN_ROLLBACK} where r.id = $1`, [id]);
    return row && rollbackOf(row);
  };
  return {
    ...plansIn(database),
    ...lanesIn(database, replica),
    async begin(service, choice, by) {
      const id = await database.transaction((session) => begin(session, { service, choice, by }));
      return id === undefined ? undefined : find(id);
    },
    async settle() {
      await database.query(RETURNED);
      const ended = await database.query<{ id: number }>(ENDED);
      const found = await Promise.all(ended.map(({ id }) => find(id)));
      return found.filter((rollback) => rollback !== undefined);
    },
    find,
    async list(limit) {
      const rows = await database.query<RollbackRow>(`${SHOWN_ROLLBACK} order by r.id desc limit $1`, [
        limit,
      ]);
      return rows.map(rollbackOf);
    },
    stop: (id, by) => database.transaction((session) => stop(session, id, by)),
  };
}

function plansIn(database: Database): Pick<WayBackStore, 'readiness' | 'plan' | 'owners'> {
  return {
    async readiness(service) {
      const rows = await database.query<ReadinessRow>(READINESS, [service, null, null]);
      const [{ legacy, orchestrator, ...readiness }] = rows as [ReadinessRow];
      return { ...readiness, lanes: { legacy, orchestrator } };
    },
    plan: (service, choice) => readPlan(database, service, choice),
    async owners(service, choice, after) {
      const parameters = [service, ...choiceParameters(choice), after];
      return (await database.query<{ owner: Owner }>(OWNERS, parameters)).map(({ owner }) => owner);
    },
  };
}

type OfLanes = 'due' | 'obstacle' | 'halted' | 'giveUpWrites' | 'giveUpOpen' | 'failed';

function lanesIn(database: Database, replica: ReplicaIdentity): Pick<WayBackStore, OfLanes> {
  return {
    async due() {
      const rows = await database.query<DueRow>(DUE, [replica.id, replica.services ?? null]);
      return rows.map(({ accepts_loss: acceptsLoss, age_ms: ageMs, person, reason, ...row }) => ({
        ...row,
        acceptsLoss,
        ageMs,
        by: { person, reason },
      }));
    },
    async obstacle(lane) {
      const [row] = await database.query<{ obstacle: ReturnObstacle | null }>(OBSTACLE, [lane, replica.id]);
      return row?.obstacle ?? undefined;
    },
    async halted(lane) {
      const [row] = await database.query<{ operation_id: OperationId }>(HALTED, [lane]);
      return row?.operation_id;
    },
    async giveUpWrites(lane) {
      await database.query(GIVE_UP_WRITES, [lane, replica.id]);
    },
    async giveUpOpen(lane, { above, ofDeadReplicas }) {
      await database.query(GIVE_UP_OPEN, [lane, replica.id, above, ofDeadReplicas]);
    },
    async failed({ rollback, service, owner }, reason) {
      await database.query(FAILED, [rollback, service, owner, reason]);
    },
  };
}

interface DueRow extends Omit<DueReturn, 'acceptsLoss' | 'ageMs' | 'by'>, ByPerson {
  readonly accepts_loss: boolean;
  readonly age_ms: number;
}

async function readPlan(database: Database, service: ServiceName, choice: ReturnChoice): Promise<ReturnPlan> {
  const parameters = [service, ...choiceParameters(choice)];
  const rows = await database.query<PlanRow>(PLAN, parameters);
  const [row] = rows as [PlanRow];
  const lost = row.lost === 0 ? [] : await database.query<LostRow>(LIST_LOST, parameters);
  const ways = await database.query<{ lane: LaneKey; writes: number; lost_at: Date }>(WAYS_LOST, parameters);
  return {
    lanes: row.lanes,
    waitingWrites: row.waiting,
    lostWrites: row.lost,
    lost: lost.map(({ operation_id: operationId, ...write }) => ({ ...write, operationId })),
    lostWaysBack: ways.map(({ lane, writes, lost_at: at }) => ({ lane, writes, sinceMs: at.getTime() })),
    forgottenWrites: row.forgotten,
    isForgettingAccepted: row.forgetting_accepted,
    largestShiftMs: row.shift_ms,
    sendMs: row.send_ms,
    openWrites: row.open,
  };
}

interface Beginning {
  readonly service: ServiceName;
  readonly choice: ReturnChoice;
  readonly by: ByPerson & { readonly acceptsLoss: boolean };
}

async function begin(session: Session, { service, choice, by }: Beginning): Promise<number | undefined> {
  const { person, reason, acceptsLoss } = by;
  const [begun] = await session.query<{ id: number }>(BEGIN, [
    service,
    JSON.stringify(choice),
    acceptsLoss,
    person,
    reason,
  ]);
  if (begun === undefined) return undefined;
  const lanes = await session.query(CHOOSE, [service, ...choiceParameters(choice), begun.id]);
  if (acceptsLoss) await session.query(ACCEPT_FORGETTING, [service, person, reason]);
  const details = { rollback: begun.id, choice, lanes: lanes.length, accepts_loss: acceptsLoss };
  await addAudit(session, { person, command: 'rollback', service, reason, details });
  return begun.id;
}

async function stop(session: Session, id: number, { person, reason }: ByPerson): Promise<boolean> {
  const [row] = await session.query<{ service: ServiceName }>(STOP, [id, person, reason]);
  if (row === undefined) return false;
  const details = { rollback: id };
  await addAudit(session, { person, command: 'rollback stop', service: row.service, reason, details });
  return true;
}
