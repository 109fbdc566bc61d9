import type { LaneKey, Owner, ServiceName } from '../domain/ids.ts';
import type { ByPerson } from '../engine/ports/decision-ports.ts';
import type {
  Accepted,
  EndFacts,
  EndFactStore,
  LastEqual,
  StoredForeignChange,
} from '../engine/ports/service-writes-ports.ts';
import { addAudit } from './audit.ts';
import type { Database } from './database.ts';

const LANES = `
select l.key as lane, n.sequence, coalesce(b.items, 0) as items, b.digest, b.at, n.given_up_by is not null as is_given_up
from read_only_lanes n join lanes l on l.id = n.lane_id left join lane_baselines b on b.lane_id = n.lane_id
where n.service = $1 order by l.key`;

const COUNTS = `
select
  (select count(*) from lanes l where l.service = $1)::int as lanes,
  (select count(*) from lanes l where l.service = $1
    and exists (select from service_writes s where s.service = $1 and s.state <> 'open')
    and not exists (select from read_only_lanes n where n.lane_id = l.id))::int as born_since,
  (select count(*) from lanes l where l.service = $1 and l.primary_backend = 'legacy' and l.seeded_coverage is distinct from
    (select c.number from coverage c where c.service = $1 and c.ended_at is null))::int as not_copied,
  (select count(*) from divergences where service = $1 and state in ('open', 'lost'))::int
    + (select count(*) from lost_items where service = $1 and decision is null)::int as open_differences,
  (select count(*) from writes w join lanes l on l.id = w.lane_id
    where l.service = $1 and w.accepted_at > now() - interval '1 day')::int as kept_writes,
  (select coalesce(sum(pg_column_size(w.*)), 0) from writes w join lanes l on l.id = w.lane_id
    where l.service = $1 and w.accepted_at > now() - interval '1 day')::bigint as kept_bytes,
  coalesce((select version from orchestrator_releases order by number desc limit 1), 'unknown') as orchestrator_version`;

const FOREIGN = `
select owner, kind, digest, changes, writers, found_at, seen_at from foreign_changes
where service = $1 order by found_at desc limit 100`;

const REQUESTS = `
select action, sum((counts ->> 'operations')::bigint) as operations,
  sum(coalesce((counts ->> 'relayed')::bigint, 0)) as relayed
from guard_minutes where service = $1 and minute >= $2 group by action`;

/** Subjects of a completion. The interlocks have others. */
const PREFIX = 'end:';

const ACCEPTED = `
select substr(subject, ${PREFIX.length + 1}) as subject, person, reason, at from interlock_acceptances
where service = $1 and starts_with(subject, '${PREFIX}') order by subject`;

const ACCEPT = `
insert into interlock_acceptances (service, subject, person, reason) values ($1, '${PREFIX}' || $2::text, $3, $4)
on conflict (service, subject) do update set person = excluded.person, reason = excluded.reason, at = now()`;

const CERTIFICATE = `select statement, certificate from service_writes where service = $1 and state = 'complete'`;

const KEEP_CERTIFICATE = `update service_writes set certificate = $2 where service = $1 and state = 'complete'`;

type LaneRow = Omit<LastEqual, 'atMs' | 'isGivenUp'> & {
  readonly lane: LaneKey;
  readonly at: Date | null;
  readonly is_given_up: boolean;
};

type ForeignRow = Omit<StoredForeignChange, 'foundAtMs' | 'seenAtMs'> & {
  readonly owner: Owner;
  readonly found_at: Date;
  readonly seen_at: Date;
};

interface CountRow {
  readonly lanes: number;
  readonly born_since: number;
  readonly not_copied: number;
  readonly open_differences: number;
  readonly kept_writes: number;
  readonly kept_bytes: number;
  readonly orchestrator_version: string;
}

/** The query always has a row. */
const NO_COUNTS: CountRow = {
  lanes: 0,
  born_since: 0,
  not_copied: 0,
  open_differences: 0,
  kept_writes: 0,
  kept_bytes: 0,
  orchestrator_version: 'unknown',
};

/** What people decide a completion by, in PostgreSQL. */
export function createEndFactStore(database: Database): EndFactStore {
  return {
    facts: (service, sinceMs) => readFacts(database, service, sinceMs),
    accept: (service, subject, { person, reason }) =>
      database.transaction(async (session) => {
        await session.query(ACCEPT, [service, subject, person, reason]);
        const details = { subject };
        await addAudit(session, { person, command: 'complete accept', service, reason, details });
      }),
    async certificate(service) {
      const [row] = await database.query<{ statement: string; certificate: string | null }>(CERTIFICATE, [
        service,
      ]);
      return row && { statement: row.statement, signed: row.certificate ?? undefined };
    },
    keepCertificate: (service, certificate, { person, reason }: ByPerson) =>
      database.transaction(async (session) => {
        await session.query(KEEP_CERTIFICATE, [service, certificate]);
        await addAudit(session, { person, command: 'certificate issue', service, reason, details: {} });
      }),
  };
}

async function readFacts(database: Database, service: ServiceName, sinceMs: number): Promise<EndFacts> {
  const lanes = await database.query<LaneRow>(LANES, [service]);
  const [counts = NO_COUNTS] = await database.query<CountRow>(COUNTS, [service]);
  const foreign = await database.query<ForeignRow>(FOREIGN, [service]);
  const requests = await database.query<{ action: string; operations: number; relayed: number }>(REQUESTS, [
    service,
    new Date(sinceMs),
  ]);
  const accepted = await database.query<Omit<Accepted, 'atMs'> & { readonly at: Date }>(ACCEPTED, [service]);
  return {
    lanes: lanes.map(({ at, is_given_up: isGivenUp, ...lane }) => ({
      ...lane,
      isGivenUp,
      atMs: at === null ? null : at.getTime(),
    })),
    owners: counts.lanes,
    bornSince: counts.born_since,
    notCopied: counts.not_copied,
    openDifferences: counts.open_differences,
    foreign: foreign.map(({ found_at: found, seen_at: seen, ...change }) => ({
      ...change,
      foundAtMs: found.getTime(),
      seenAtMs: seen.getTime(),
    })),
    requests: new Map(requests.map(({ action, operations }) => [action, operations])),
    relayed: new Map(requests.map(({ action, relayed }) => [action, relayed])),
    accepted: accepted.map(({ at, ...one }) => ({ ...one, atMs: at.getTime() })),
    orchestratorVersion: counts.orchestrator_version,
    keptPerDay: { writes: counts.kept_writes, bytes: counts.kept_bytes },
  };
}
