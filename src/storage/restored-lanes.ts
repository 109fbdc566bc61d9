import type { Backend } from '../domain/backend.ts';
import { type LaneKey, parseLaneKey, type ServiceName } from '../domain/ids.ts';
import type {
  Older,
  JournalPosition,
  Position,
  RestoredLane,
  RestoredStore,
  RestoredVersion,
  SettledLane,
} from '../engine/ports/restored-ports.ts';
import type { ByPerson } from '../engine/ports/decision-ports.ts';
import { addAudit } from './audit.ts';
import type { Database, Session } from './database.ts';

/** Lanes per page. */
const PAGE = 1_000;
const REDELIVERED_AT_ONCE = 100;
/** A mark is moved on after this time, so that an active lane does not cost a row every minute. */
const MARK_AGE = "interval '1 hour'";

const POSITIONS = `
select l.key, l.epoch, l.generation, l.sequence, l.primary_backend, m.epoch as mark_epoch, m.generation as mark_generation,
  m.sequence as mark_sequence,
  coalesce((
    select w.sequence from writes w join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence and o.outcome = 'applied'
    where w.lane_id = l.id and w.sequence > coalesce(m.journal_sequence, 0) and (f.at is null or o.at >= f.at)
    order by w.sequence desc limit 1), 0) as applied
from lanes l left join orchestrator_marks m on m.lane_id = l.id and m.under_epoch = l.epoch
left join flips f on f.lane_id = l.id and f.epoch = l.epoch`;

const MOVED = `${POSITIONS} where l.primary_backend = 'orchestrator' and l.key > $1 order by l.key limit ${PAGE}`;
const OF_KEYS = `${POSITIONS} where l.key = any($1::text[])`;

const MARK = `
insert into orchestrator_marks as m (lane_id, under_epoch, journal_sequence, epoch, generation, sequence)
select l.id, l.epoch, 0, seen.epoch, seen.generation, seen.sequence
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as seen(key, epoch, generation, sequence)
join lanes l on l.key = seen.key and l.primary_backend = 'orchestrator' order by l.key
on conflict (lane_id) do update set
  under_epoch = excluded.under_epoch, epoch = excluded.epoch, generation = excluded.generation, sequence = excluded.sequence, at = now()
where m.under_epoch < excluded.under_epoch
  or ((m.generation, m.sequence) < (excluded.generation, excluded.sequence) and (m.sequence = 0 or m.at < now() - ${MARK_AGE}))`;

const FOUND = `
insert into restored_lanes (key, service, older, journal, orchestrator)
select * from unnest($1::text[], $2::text[], $3::text[], $4::jsonb[], $5::jsonb[])
on conflict (key) where decided_at is null do nothing returning key`;

const VERSION = `
select coalesce((select max(id) from restored_lanes), 0) || '/' || (select count(*) from restored_lanes where decided_at is null) as list,
  pg_postmaster_start_time()::text || '/' || 'lanes'::regclass::oid as database`;

const OPEN = `select key from restored_lanes where decided_at is null`;

const TO_REDELIVER = `
select key from restored_lanes where decided_at is null and older = 'orchestrator' and redelivered is null
order by id limit ${REDELIVERED_AT_ONCE}`;

const REDELIVERED = `
update restored_lanes set redelivered = coalesce(redelivered, 0) + $2, incomplete = $3
where key = $1 and older = 'orchestrator' and decided_at is null`;

const LIST = `
select id, key, service, older, journal, orchestrator, found_at, redelivered, incomplete, decided_at, decided_by, decided_reason
from restored_lanes where ($1::text is null or service = $1) and ($2::boolean is null or (decided_at is null) = $2)
order by id desc limit $3`;

const DECIDE = `
update restored_lanes set decided_at = now(), decided_by = $3, decided_reason = $4
where service = $1 and key = any($2::text[]) and decided_at is null and (older = 'journal' or redelivered is not null)
returning key, older`;

/**
 * The journal continues after what the orchestrator holds. An epoch of an even number has legacy as its primary, because the first epoch
 * is 0 and each flip adds 1. Such a lane is copied. Otherwise the journal does not know which of the writes legacy has, so it sends none
 * of them again.
 */
const CATCH_UP = `
insert into lanes as l (key, service, owner, epoch, generation, sequence, obeyed_sequence, primary_backend, delivered_sequence, settled_sequence, seeded_coverage)
select key, service, owner, epoch, generation, sequence, sequence, primary_backend, sequence, sequence,
  case when primary_backend = 'legacy' then 0 else coalesce((
    select c.number from coverage c where c.service = held.service and c.ended_at is null), 0) end
from (
  select *, case when epoch % 2 = 1 then 'orchestrator' else 'legacy' end as primary_backend
  from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) as t(key, service, owner, epoch, generation, sequence)
) held order by key
on conflict (key) do update set
  epoch = greatest(l.epoch, excluded.epoch),
  primary_backend = case when excluded.epoch > l.epoch then excluded.primary_backend else l.primary_backend end,
  generation = greatest(l.generation, excluded.generation),
  sequence = greatest(l.sequence, excluded.sequence),
  obeyed_sequence = greatest(l.sequence, excluded.sequence),
  delivered_sequence = greatest(l.delivered_sequence, excluded.sequence),
  settled_sequence = greatest(l.settled_sequence, excluded.sequence),
  seeded_coverage = excluded.seeded_coverage,
  condition = 'clean', reason = ''`;

/** From now on, only a position below this one shows that the orchestrator was restored. */
const MARK_AGAIN = `
insert into orchestrator_marks (lane_id, under_epoch, journal_sequence, epoch, generation, sequence)
select l.id, l.epoch, l.sequence, held.epoch, held.generation, held.sequence
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) as held(key, epoch, generation, sequence)
join lanes l on l.key = held.key order by l.key
on conflict (lane_id) do update set under_epoch = excluded.under_epoch, journal_sequence = excluded.journal_sequence,
  epoch = excluded.epoch, generation = excluded.generation, sequence = excluded.sequence, at = now()`;

const COUNTS = `select service, count(*) as lanes from restored_lanes where decided_at is null group by service`;

const BACKED_UP = `insert into orchestrator_backups (until, person, reason) values ($1, $2, $3)`;

interface PositionRow extends Position {
  readonly key: LaneKey;
  readonly primary_backend: Backend;
  readonly mark_epoch: number | null;
  readonly mark_generation: number;
  readonly mark_sequence: number;
  readonly applied: number;
}

function positionOf(row: PositionRow): JournalPosition {
  const { key: lane, primary_backend: primary, epoch, generation, sequence, applied } = row;
  const place = { lane, primary, epoch, generation, sequence, applied };
  if (row.mark_epoch === null) return place;
  const mark = { epoch: row.mark_epoch, generation: row.mark_generation, sequence: row.mark_sequence };
  return { ...place, mark };
}

interface RestoredRow {
  readonly key: LaneKey;
  readonly service: ServiceName;
  readonly older: Older;
  readonly journal: Position;
  readonly orchestrator: Position;
  readonly found_at: Date;
  readonly redelivered: number | null;
  readonly incomplete: boolean;
  readonly decided_at: Date | null;
  readonly decided_by: string | null;
  readonly decided_reason: string | null;
}

function restoredOf(row: RestoredRow): RestoredLane {
  const { key: lane, service, older, journal, orchestrator, redelivered, incomplete } = row;
  return {
    lane,
    service,
    older,
    journal,
    orchestrator,
    foundAtMs: row.found_at.getTime(),
    isIncomplete: incomplete,
    ...(redelivered !== null && { redelivered }),
    ...(row.decided_at !== null && {
      decidedAtMs: row.decided_at.getTime(),
      decidedBy: { person: row.decided_by ?? '', reason: row.decided_reason ?? '' },
    }),
  };
}

/** Keys and positions as array parameters. */
function columnsOf(
  lanes: readonly (Position & { readonly lane: LaneKey })[],
): [LaneKey[], number[], number[], number[]] {
  return [
    lanes.map(({ lane }) => lane),
    lanes.map(({ epoch }) => epoch),
    lanes.map(({ generation }) => generation),
    lanes.map(({ sequence }) => sequence),
  ];
}

/** Positions of lanes, and lanes of restored databases, in PostgreSQL. */
export function createRestoredStore(database: Database): RestoredStore {
  const keys = async (sql: string): Promise<readonly LaneKey[]> =>
    (await database.query<{ key: LaneKey }>(sql)).map(({ key }) => key);
  return {
    moved: async (after) => (await database.query<PositionRow>(MOVED, [after])).map(positionOf),
    positions: async (lanes) => (await database.query<PositionRow>(OF_KEYS, [lanes])).map(positionOf),
    async mark(seen) {
      await database.query(MARK, columnsOf(seen));
    },
    async found(lanes) {
      const rows = await database.query<{ key: LaneKey }>(FOUND, [
        lanes.map(({ lane }) => lane),
        lanes.map(({ lane }) => parseLaneKey(lane).service),
        lanes.map(({ older }) => older),
        lanes.map(({ journal }) => JSON.stringify(plain(journal))),
        lanes.map(({ orchestrator }) => JSON.stringify(plain(orchestrator))),
      ]);
      return rows.map(({ key }) => key);
    },
    async version() {
      const [row] = await database.query<RestoredVersion>(VERSION);
      return row ?? { list: '', database: '' };
    },
    open: () => keys(OPEN),
    toRedeliver: () => keys(TO_REDELIVER),
    async redelivered(lane, { writes, isComplete }) {
      await database.query(REDELIVERED, [lane, writes, !isComplete]);
    },
    async list({ service, isOpen, limit }) {
      const rows = await database.query<RestoredRow>(LIST, [service ?? null, isOpen ?? null, limit]);
      return rows.map(restoredOf);
    },
    accept: (service, lanes, by) =>
      database.transaction((session) => accept(session, { service, lanes, by })),
    async counts() {
      const rows = await database.query<{ service: ServiceName; lanes: number }>(COUNTS);
      return new Map(rows.map(({ service, lanes }) => [service, lanes]));
    },
    backedUp: (untilMs, { person, reason }) =>
      database.transaction(async (session) => {
        const until = new Date(untilMs);
        await session.query(BACKED_UP, [until, person, reason]);
        const entry = { person, reason, command: 'restored backed-up', service: '' };
        await addAudit(session, { ...entry, details: { until: until.toISOString() } });
      }),
  };
}

function plain({ epoch, generation, sequence }: Position): Position {
  return { epoch, generation, sequence };
}

interface Acceptance {
  readonly service: ServiceName;
  readonly lanes: readonly SettledLane[];
  readonly by: ByPerson;
}

async function accept(session: Session, { service, lanes, by }: Acceptance): Promise<readonly LaneKey[]> {
  const { person, reason } = by;
  const asked = lanes.map(({ lane }) => lane);
  const decided = await session.query<{ key: LaneKey; older: Older }>(DECIDE, [
    service,
    asked,
    person,
    reason,
  ]);
  const older = new Map(decided.map((row) => [row.key, row.older]));
  const held = lanes.flatMap(({ lane, orchestrator }) =>
    older.has(lane) ? [{ lane, ...orchestrator }] : [],
  );
  const known = held.filter(({ lane }) => older.get(lane) === 'journal');
  const [keys, ...positions] = columnsOf(known);
  const owners = keys.map((key) => parseLaneKey(key).owner);
  await session.query(CATCH_UP, [keys, keys.map(() => service), owners, ...positions]);
  await session.query(MARK_AGAIN, columnsOf(held));
  for (const { lane } of held)
    await addAudit(session, {
      person,
      reason,
      command: 'restored accept',
      service,
      details: { lane, older: older.get(lane) },
    });
  return held.map(({ lane }) => lane);
}
