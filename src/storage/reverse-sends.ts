import type { ReplicaIdentity } from '../engine/ports/replica-ports.ts';
import type {
  HaltReason,
  ReverseEnd,
  ReverseEnding,
  ReverseSends,
  ReverseStart,
  StoredReverseSend,
} from '../engine/ports/reverse-ports.ts';
import type { Database } from './database.ts';
import { GroupCommit } from './journal/group-commit.ts';
import type { Seal } from './seal.ts';
import { bigints, texts, uuids } from './sessions/columns.ts';
import { prepared } from './sessions/session.ts';

/** The last sequence that legacy gets of a lane, `l`, or null while its service is open. A lane that was born later gives it nothing. */
export const LAST_FOR_LEGACY = `(
  select coalesce((select n.sequence from read_only_lanes n where n.lane_id = l.id), 0)
  from service_writes s where s.service = l.service and s.state <> 'open')`;

/** A lane, `l`, of a closed service: legacy has all that it gets. What had no effect is never sent. */
const OWES_NOTHING = `${LAST_FOR_LEGACY} is not null and not exists (
  select from writes w left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
  where w.lane_id = l.id and w.sequence > l.delivered_sequence and w.sequence <= ${LAST_FOR_LEGACY}
    and coalesce(o.outcome, 'unknown') in ('applied', 'unknown'))`;

/** The next attempt also ends a person's decision to send again. */
const BEGIN = prepared(`
insert into reverse_sends (lane_id, sequence, operation_id, action, epoch, attempts, tail, replica)
select asked.lane_id, asked.sequence, asked.operation_id, asked.action, asked.epoch, asked.attempt, nullif(asked.tail, ''), $8
from unnest($1::bigint[], $2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::text[])
  as asked(lane_id, sequence, operation_id, action, epoch, attempt, tail)
join lanes l on l.id = asked.lane_id
where l.claim_replica = $8 and l.primary_backend = 'orchestrator' and l.epoch = asked.epoch
  and not exists (select from lost_ways_back b where b.lane_id = asked.lane_id)
  and coalesce(asked.sequence <= ${LAST_FOR_LEGACY}, true)
  and not exists (select from restored_lanes older where older.key = l.key and older.decided_at is null)
  and not exists (select from reverse_sends other
    where other.lane_id = asked.lane_id and other.ended_at is null and other.sequence <> asked.sequence)
order by asked.lane_id
on conflict (lane_id, sequence) do update set
  replica = excluded.replica, epoch = excluded.epoch, attempts = excluded.attempts, tail = excluded.tail,
  started_at = clock_timestamp()
where reverse_sends.ended_at is null and (reverse_sends.halted_at is null or reverse_sends.decision = 'retry')
  and reverse_sends.attempts = excluded.attempts - 1
returning lane_id`);

const END = prepared(`
update reverse_sends r set ended_at = now(), ending = ended.ending, tail = null
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) as ended(lane_id, sequence, attempt, ending)
where r.lane_id = ended.lane_id and r.sequence = ended.sequence and r.attempts = ended.attempt and r.ended_at is null`);

const HALT = `
update reverse_sends set halted_at = now(), halted_because = $4,
  decision = null, decided_at = null, decided_by = null, decided_reason = null
where lane_id = $1 and sequence = $2 and attempts = $3 and ended_at is null`;

const FIND = `
select attempts, tail, ending, (extract(epoch from clock_timestamp() - started_at) * 1000)::float8 as age_ms,
  case when halted_at is not null and decision is null and ended_at is null then halted_because end as halted,
  coalesce(decision = 'retry' and decided_at >= started_at, false) as is_retried
from reverse_sends where lane_id = $1 and sequence = $2`;

const LAST = `
select (extract(epoch from now()) * 1000)::float8 as "nowMs",
  (extract(epoch from (select max(ended_at) from reverse_sends r join lanes l on l.id = r.lane_id
    where l.key = $1 and ending = 'applied')) * 1000)::float8 as "atMs",
  coalesce((select ending = 'forgotten' from reverse_sends r join lanes l on l.id = r.lane_id
    where l.key = $1 and ending in ('applied', 'forgotten') order by r.sequence desc limit 1), false) as "isForgotten",
  exists (select from lost_ways_back b join lanes l on l.id = b.lane_id where l.key = $1)
    or exists (select from lanes l where l.key = $1 and ${OWES_NOTHING}) as "isLost",
  exists (select from reverse_sends r join lanes l on l.id = r.lane_id
    where l.key = $1 and r.epoch = l.epoch and r.ending in ('skipped', 'forgotten')) as "lacksWrite"`;

/** While legacy is read-only, writes wait on purpose. After that, legacy first gets what the journal kept for it. */
const LOSE_WAY_BACK = `
insert into lost_ways_back as b (lane_id)
select l.id from lanes l where l.key = $1 and l.primary_backend = 'orchestrator' and ${LAST_FOR_LEGACY} is null
  and not exists (select from read_only_lanes n where n.lane_id = l.id and n.sequence > l.delivered_sequence)
on conflict (lane_id) do update set lost_at = b.lost_at returning lane_id`;

interface Row {
  readonly attempts: number;
  readonly tail: string | null;
  readonly ending: ReverseEnding | null;
  readonly age_ms: number;
  readonly halted: HaltReason | null;
  readonly is_retried: boolean;
}

interface LastRow {
  readonly nowMs: number;
  readonly atMs: number | null;
  readonly isForgotten: boolean;
  readonly isLost: boolean;
  readonly lacksWrite: boolean;
}

interface ReverseSendParts {
  readonly database: Database;
  readonly replica: Pick<ReplicaIdentity, 'id'>;
  readonly seal: Seal;
}

/** A start and an end that may wait share their commits with those of other lanes. The next one that may not wait takes them along. */
const COMMITS = {
  isUrgent: ({ mayWait = false }: { readonly mayWait?: boolean }) => !mayWait,
  lingerMs: 10,
} as const;

/** Reverse sends in PostgreSQL. Many lanes share a commit. */
export function createReverseSends(parts: ReverseSendParts): ReverseSends {
  const { database, seal } = parts;
  const begins = new GroupCommit<ReverseStart, boolean>({
    ...COMMITS,
    keyOf: ({ ref }) => ref.lane,
    flush: (starts) => beginAll(starts, parts),
  });
  const ends = new GroupCommit<ReverseEnd, undefined>({
    ...COMMITS,
    keyOf: ({ ref }) => ref.lane,
    flush: (ended) => endAll(ended, parts),
  });
  return {
    begin: (start) => begins.add(start),
    async find({ laneId, sequence }) {
      const [row] = await database.query<Row>(FIND, [laneId, sequence]);
      return row && storedOf(row, seal);
    },
    async end(ended) {
      await ends.add(ended);
    },
    async halt({ laneId, sequence }, attempt, reason) {
      await database.query(HALT, [laneId, sequence, attempt, reason]);
    },
    async last(lane) {
      const rows = await database.query<LastRow>(LAST, [lane]);
      const [{ atMs, ...last }] = rows as [LastRow];
      return { ...last, ...(atMs !== null && { atMs }) };
    },
    async loseWayBack(lane) {
      return (await database.query(LOSE_WAY_BACK, [lane])).length > 0;
    },
  };
}

async function beginAll(
  starts: readonly ReverseStart[],
  { database, replica, seal }: ReverseSendParts,
): Promise<boolean[]> {
  const rows = await database.query<{ lane_id: number }>(BEGIN, [
    bigints(starts.map(({ ref }) => ref.laneId)),
    bigints(starts.map(({ ref }) => ref.sequence)),
    uuids(starts.map(({ operationId }) => operationId)),
    texts(starts.map(({ action }) => action)),
    bigints(starts.map(({ epoch }) => epoch)),
    bigints(starts.map(({ attempt }) => attempt)),
    texts(starts.map(({ tail }) => (tail === undefined ? '' : seal.seal(tail)))),
    replica.id,
  ]);
  const begun = new Set(rows.map(({ lane_id: id }) => id));
  return starts.map(({ ref }) => begun.has(ref.laneId));
}

async function endAll(ended: readonly ReverseEnd[], { database }: ReverseSendParts): Promise<undefined[]> {
  await database.query(END, [
    bigints(ended.map(({ ref }) => ref.laneId)),
    bigints(ended.map(({ ref }) => ref.sequence)),
    bigints(ended.map(({ attempt }) => attempt)),
    texts(ended.map(({ ending }) => ending)),
  ]);
  return [];
}

function storedOf(
  { attempts, tail, ending, age_ms, halted, is_retried }: Row,
  seal: Seal,
): StoredReverseSend {
  return {
    attempt: attempts,
    ageMs: age_ms,
    ...(tail !== null && { tail: seal.open(tail) }),
    ...(halted !== null && { halted }),
    isRetried: is_retried,
    ...(ending !== null && { ending }),
  };
}
