import type { LaneKey, Owner, ServiceName } from '../domain/ids.ts';
import type { WritesState } from '../domain/stage.ts';
import type { ByPerson } from '../engine/ports/decision-ports.ts';
import {
  type Approval,
  APPROVAL_HOURS,
  APPROVERS,
  type CensusResult,
  type ForeignChange,
  type ReadOnlyObstacles,
  type ScratchInstance,
  type ServiceWrites,
  type ServiceWritesStore,
  type VerifiedBackup,
} from '../engine/ports/service-writes-ports.ts';
import { addAudit } from './audit.ts';
import type { Database, Session } from './database.ts';

const ALL = `
select service, state, since, person, reason, settled_at, clock_began_at, clock_restarts, completed_at, census
from service_writes where state <> 'open'`;

/** The lanes, `l`, of the service $1 that have not moved. $2: keys that are given up. */
const NOT_FLIPPED = `from lanes l where l.service = $1 and l.primary_backend = 'legacy' and l.key <> all($2::text[])`;

/** A write to legacy that is older is overdue, in seconds. */
const OVERDUE_SECONDS = 5;

/** Writes, `w`, of flipped lanes that took effect and that legacy lacks. */
const OWED = `
from lanes l join writes w on w.lane_id = l.id and w.sequence > l.delivered_sequence
left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.service = $1 and l.primary_backend = 'orchestrator' and coalesce(o.outcome, 'unknown') in ('applied', 'unknown')`;

const OVERDUE = `${OWED} and w.accepted_at < now() - make_interval(secs => ${OVERDUE_SECONDS})`;

/** A writer that bypasses the proxy is found by a reconciliation, or by a census of a read-only service. */
const BYPASSED_AT = `
select max(found_at) from (
  select found_at from divergences
  where service = $1 and jsonb_path_exists(findings, '$[*] ? (@.side == "legacy" && @.kind != "lost")')
  union all
  select found_at from foreign_changes where service = $1 and kind = 'writer') found`;

const OBSTACLES = `
select (select count(*) ${NOT_FLIPPED})::int as not_flipped,
  array(select l.key ${NOT_FLIPPED} order by l.key limit 20) as examples,
  (select count(*) ${OVERDUE})::int as overdue,
  extract(epoch from now() - (${BYPASSED_AT}))::float8 as bypassed_ago`;

const BEGIN = `
with begun as (
  insert into service_writes as s (service, state, person, reason)
  select $1, 'read_only', $3, $4
  where not exists (select ${NOT_FLIPPED}) and not exists (select ${OVERDUE})
  on conflict (service) do update set state = 'read_only', since = now(), person = excluded.person, reason = excluded.reason,
    settled_at = null, clock_began_at = null, clock_restarts = 0, census_at = null, census = null
  where s.state = 'open'
  returning service
), forgotten as (
  delete from completion_approvals a using begun where a.service = begun.service
), noted as (
  insert into read_only_lanes (lane_id, service, sequence, given_up_by, given_up_reason)
  select l.id, l.service, l.sequence, case when l.primary_backend = 'legacy' then $3 end,
    case when l.primary_backend = 'legacy' then $4 end
  from lanes l join begun using (service)
  on conflict (lane_id) do update set sequence = excluded.sequence,
    given_up_by = excluded.given_up_by, given_up_reason = excluded.given_up_reason
)
select service from begun`;

/** A lane without a note was born later. If legacy is its primary, the commit that inserted it did not see the record. */
const SETTLE = `
update service_writes s set settled_at = now()
where service = $1 and state = 'read_only' and settled_at is null and since <= now() - make_interval(secs => $2)
  and not exists (
    select from lanes l left join read_only_lanes n on n.lane_id = l.id
    where l.service = $1 and l.primary_backend = 'legacy' and n.given_up_by is null)
  and not exists (select ${OWED} and w.sequence <= (select n.sequence from read_only_lanes n where n.lane_id = l.id))
  and not exists (
    select from lanes l join writes w on w.lane_id = l.id and w.sequence > greatest(l.delivered_sequence, l.settled_sequence)
    where l.service = $1 and l.primary_backend = 'legacy'
      and not exists (select from outcomes o where o.lane_id = w.lane_id and o.sequence = w.sequence))
returning service`;

const BACKED_UP = `
insert into service_backups (service, folder, made_at, manifest_sha256, lanes, items, scratch_instance)
values ($1, $2, $3, $4, $5, $6, $7)`;

const BEGIN_CLOCK = `
update service_writes set clock_began_at = now()
where service = $1 and state = 'read_only' and clock_began_at is null and settled_at < $2`;

const NEWEST_BACKUP = `
select folder, made_at, manifest_sha256, lanes, items, restored_at, scratch_instance from service_backups
where service = $1 order by made_at desc limit 1`;

const LAST_FOR_LEGACY = `
select l.owner, n.sequence, n.given_up_by is not null as is_given_up from read_only_lanes n join lanes l on l.id = n.lane_id
where n.service = $1`;

const CLAIM_CENSUS = `
update service_writes set census_at = now()
where service = $1 and state = 'read_only' and settled_at is not null
  and coalesce(census_at <= now() - make_interval(secs => $2), true)
returning service`;

const FINISH_CENSUS = `update service_writes set census = $2::jsonb where service = $1 and state = 'read_only'`;

const FOUND_FOREIGN = `
with found as (
  insert into foreign_changes as f (service, owner, kind, digest, changes, writers)
  select $1, owner, kind, digest, changes, writers
  from jsonb_to_recordset($2::jsonb) as t(owner text, kind text, digest text, changes jsonb, writers text[])
  on conflict (service, owner, digest) do update set seen_at = now()
  returning owner, kind, digest, xmax = 0 as is_new
), restarted as (
  update service_writes set clock_restarts = clock_restarts + 1,
    clock_began_at = case when clock_began_at is not null then now() end
  where service = $1 and state = 'read_only' and exists (select from found where kind = 'writer' and is_new)
)
select owner, digest from found where is_new`;

const APPROVE = `
insert into completion_approvals (service, person, facts, reason) values ($1, $2, $3, $4)
on conflict (service, person) do update set facts = excluded.facts, reason = excluded.reason, at = now()`;

const VALID = `at > now() - make_interval(hours => ${APPROVAL_HOURS})`;

const APPROVALS = `
select person, facts, reason, at from completion_approvals where service = $1 and ${VALID} order by at`;

/** Legacy never gets what the journal kept for it, so that the journal may prune it. */
const COMPLETE = `
with done as (
update service_writes s set state = 'complete', completed_at = now(), statement = $4
where service = $1 and state = 'read_only' and clock_began_at <= now() - make_interval(secs => $3)
  and (select count(distinct lower(person)) from completion_approvals
    where service = $1 and facts = $2 and ${VALID}) >= ${APPROVERS}
  and exists (select from service_backups b where b.service = $1 and b.made_at >= s.clock_began_at)
returning service
), released as (
  update lanes l set delivered_sequence = l.sequence from done
  where l.service = done.service and l.primary_backend = 'orchestrator'
    and exists (select from outcomes o where o.lane_id = l.id and o.sequence = l.sequence)
)
select service from done`;

/** Of an open service, a lane's note is the last sequence that the journal kept for legacy while it was read-only. */
const REOPEN = `
with reopened as (
  update service_writes set state = 'open' where service = $1 and state = 'read_only' returning service
), kept as (
  insert into read_only_lanes (lane_id, service, sequence)
  select l.id, l.service, l.sequence from lanes l join reopened using (service) where l.primary_backend = 'orchestrator'
  on conflict (lane_id) do update set sequence = excluded.sequence
)
select service from reopened`;

interface Row {
  readonly service: ServiceName;
  readonly state: WritesState;
  readonly since: Date;
  readonly person: string;
  readonly reason: string;
  readonly settled_at: Date | null;
  readonly clock_began_at: Date | null;
  readonly clock_restarts: number;
  readonly completed_at: Date | null;
  readonly census: CensusResult | null;
}

function printed(row: Row): ServiceWrites {
  const { service, state, person, reason, clock_restarts: clockRestarts } = row;
  return {
    service,
    state,
    person,
    reason,
    clockRestarts,
    sinceMs: row.since.getTime(),
    ...(row.settled_at !== null && { settledAtMs: row.settled_at.getTime() }),
    ...(row.clock_began_at !== null && { clockBeganAtMs: row.clock_began_at.getTime() }),
    ...(row.census !== null && { census: row.census }),
    ...(row.completed_at !== null && { completedAtMs: row.completed_at.getTime() }),
  };
}

interface BackupRow {
  readonly folder: string;
  readonly made_at: Date;
  readonly manifest_sha256: string;
  readonly lanes: number;
  readonly items: number;
  readonly restored_at: Date;
  readonly scratch_instance: ScratchInstance;
}

/** The states of services, in PostgreSQL. */
export function createServiceWritesStore(database: Database): ServiceWritesStore {
  return { ...readsOf(database), ...decisionsOf(database), ...findingsOf(database) };
}

/** Why a service cannot become read-only on legacy. */
export async function readObstacles(
  database: Database,
  service: ServiceName,
  givenUp: readonly LaneKey[],
): Promise<ReadOnlyObstacles> {
  const [row] = await database.query<ObstacleRow>(OBSTACLES, [service, givenUp]);
  return {
    notFlipped: row?.not_flipped ?? 0,
    examples: row?.examples ?? [],
    overdue: row?.overdue ?? 0,
    bypassedAgoSeconds: row?.bypassed_ago ?? null,
  };
}

interface ObstacleRow {
  readonly not_flipped: number;
  readonly examples: readonly LaneKey[];
  readonly overdue: number;
  readonly bypassed_ago: number | null;
}

type Reads = Pick<ServiceWritesStore, 'all' | 'obstacles' | 'newestBackup' | 'approvals' | 'lastForLegacy'>;

function readsOf(database: Database): Reads {
  return {
    async all() {
      return (await database.query<Row>(ALL)).map(printed);
    },
    obstacles: (service, givenUp) => readObstacles(database, service, givenUp),
    async lastForLegacy(service) {
      const rows = await database.query<{ owner: Owner; sequence: number; is_given_up: boolean }>(
        LAST_FOR_LEGACY,
        [service],
      );
      return new Map(
        rows.map(({ owner, sequence, is_given_up: isGivenUp }) => [owner, { sequence, isGivenUp }]),
      );
    },
    async newestBackup(service) {
      const [row] = await database.query<BackupRow>(NEWEST_BACKUP, [service]);
      return (
        row && {
          folder: row.folder,
          madeAtMs: row.made_at.getTime(),
          manifestSha256: row.manifest_sha256,
          lanes: row.lanes,
          items: row.items,
          restoredAtMs: row.restored_at.getTime(),
          scratchInstance: row.scratch_instance,
        }
      );
    },
    async approvals(service) {
      const rows = await database.query<Omit<Approval, 'atMs'> & { readonly at: Date }>(APPROVALS, [service]);
      return rows.map(({ at, ...approval }) => ({ ...approval, atMs: at.getTime() }));
    },
  };
}

interface AuditedChange extends ByPerson {
  readonly service: ServiceName;
  readonly command: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** A change that has no effect is not audited. */
function audited(
  database: Database,
  { details = {}, ...entry }: AuditedChange,
  change: (session: Session) => Promise<boolean>,
): Promise<boolean> {
  return database.transaction(async (session) => {
    if (!(await change(session))) return false;
    await addAudit(session, { ...entry, details });
    return true;
  });
}

async function hasRow(session: Session, sql: string, parameters: readonly unknown[]): Promise<boolean> {
  return (await session.query(sql, parameters)).length > 0;
}

type Decisions = Pick<ServiceWritesStore, 'beginReadOnly' | 'backedUp' | 'approve' | 'complete' | 'reopen'>;

/** What persons decide. */
function decisionsOf(database: Database): Decisions {
  return {
    beginReadOnly: (service, { givenUp, ...by }) =>
      audited(database, { ...by, service, command: 'read-only', details: { given_up: givenUp } }, (session) =>
        hasRow(session, BEGIN, [service, givenUp, by.person, by.reason]),
      ),
    async backedUp(service, backup, by) {
      const { folder } = backup;
      await audited(
        database,
        { ...by, service, command: 'read-only backup', details: { folder } },
        (session) => storeBackup(session, service, backup),
      );
    },
    async approve(service, { facts, ...by }) {
      await audited(
        database,
        { ...by, service, command: 'complete approve', details: { facts } },
        async (session) => {
          await session.query(APPROVE, [service, by.person, facts, by.reason]);
          return true;
        },
      );
    },
    complete: (service, { facts, requiredSeconds, statement }, by) =>
      audited(database, { ...by, service, command: 'complete', details: { facts } }, (session) =>
        hasRow(session, COMPLETE, [service, facts, requiredSeconds, statement]),
      ),
    reopen: (service, by) =>
      audited(database, { ...by, service, command: 'read-only end' }, (session) =>
        hasRow(session, REOPEN, [service]),
      ),
  };
}

/** What replicas find. */
function findingsOf(database: Database): Omit<ServiceWritesStore, keyof Reads | keyof Decisions> {
  return {
    settle: (service, afterMs) => hasRow(database, SETTLE, [service, afterMs / 1_000]),
    claimCensus: (service, everySeconds) => hasRow(database, CLAIM_CENSUS, [service, everySeconds]),
    async finishCensus(service, result) {
      await database.query(FINISH_CENSUS, [service, JSON.stringify(result)]);
    },
    async foundForeign(service, found) {
      const rows = await database.query<Pick<ForeignChange, 'owner' | 'digest'>>(FOUND_FOREIGN, [
        service,
        JSON.stringify(found),
      ]);
      return found.filter((one) =>
        rows.some(({ owner, digest }) => owner === one.owner && digest === one.digest),
      );
    },
  };
}

async function storeBackup(
  session: Session,
  service: ServiceName,
  { folder, madeAtMs, manifestSha256, lanes, items, scratchInstance }: VerifiedBackup,
): Promise<boolean> {
  const madeAt = new Date(madeAtMs);
  const facts = [folder, madeAt, manifestSha256, lanes, items, scratchInstance];
  await session.query(BACKED_UP, [service, ...facts]);
  await session.query(BEGIN_CLOCK, [service, madeAt]);
  return true;
}
