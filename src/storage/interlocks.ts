import type { ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FullReads, InterlockStore, JournalFacts } from '../engine/guard/interlock-facts.ts';
import { NOTHING_FOUND } from '../engine/ports/finding.ts';
import { addAudit } from './audit.ts';
import type { Database } from './database.ts';
import { readObstacles } from './service-writes.ts';
import { readStoreFindings } from './runs/standing.ts';

/** A replica that is silent for longer is not counted. */
const SILENT_AFTER = "interval '5 seconds'";

const REPLICAS = `
select count(*) filter (where is_live) as replicas,
  count(*) filter (where is_live and (coverage ->> $1)::bigint = $2) as acting,
  count(distinct coalesce(versions ->> $1, '')) as versions
from replicas, lateral (select heartbeat_at > now() - ${SILENT_AFTER} as is_live) l
where services is null or $1 = any(services)`;

const LANES = `
select count(*) as lanes, count(*) filter (where seeded_coverage <> $2 and primary_backend = 'legacy') as unseeded,
  count(*) filter (where condition <> 'clean' or exceptions > 0) as unwell,
  count(*) filter (where primary_backend = 'orchestrator') as flipped
from lanes where service = $1`;

/** Reads only lanes that lag, and of each only the next write to deliver. Reading a whole hour's backlog took 5 s. */
const OLDEST_DELIVERY = `
select coalesce(extract(epoch from now() - min(next.accepted_at)), 0) as seconds from lanes l
cross join lateral (
  select w.accepted_at from writes w join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence and o.outcome = 'applied'
  where w.lane_id = l.id and w.sequence > l.delivered_sequence
  order by w.sequence limit 1) next
where l.service = $1 and l.condition = 'clean' and l.sequence > l.delivered_sequence and l.primary_backend = 'legacy'
  and not exists (select from dead_letters d where d.lane_id = l.id and d.resolved_at is null)`;

const LAST_DAY = `
select action, sum((counts ->> 'operations')::bigint) as operations,
  sum((counts ->> 'comparable')::bigint) as comparable, sum((counts ->> 'bothErrors')::bigint) as "bothErrors",
  sum(coalesce(counts ->> 'independent', counts ->> 'comparable')::bigint) as independent,
  sum(coalesce((counts ->> 'wholeLanes')::bigint, 0)) as "wholeLanes"
from guard_minutes where service = $1 and minute > now() - interval '24 hours' group by action`;

/** Time since the first use of the service in the last day. */
const IN_USE = `
select extract(epoch from now() - min(minute))::float8 as seconds
from guard_minutes where service = $1 and minute > now() - interval '24 hours'`;

const DAY_SECONDS = 86_400;
/** A shorter time is not representative of a day. */
const LEAST_SECONDS = 600;

/** Whether a backfill by a person has listed all owners since dual writes began. A store that could not be read does not count. */
const BACKFILL_RUN = `
select count(*) as runs from runs r join coverage c on c.service = $1 and c.ended_at is null
where r.kind = 'backfill' and r.state = 'finished' and r.survey ? $1 and not r.survey -> $1::text ? 'not_listed'
  and not r.request ? 'owner' and r.began_at >= c.began_at`;

/** A reconciliation of a single owner, or of changed lanes, is not a full one. */
const RECONCILED = `
select extract(epoch from now() - max(finished_at))::float8 as seconds from runs
where kind = 'reconcile' and state = 'finished' and survey ? $1 and not survey -> $1::text ? 'not_listed' and not request ? 'owner'
  and coalesce(request ->> 'scope', 'full') = 'full'`;

/** At most as many minutes as prove enough: each of an action has some comparisons. */
const FULL_READS = `
select extract(epoch from now() - g.at)::float8 as seconds, (
  select coalesce(sum(comparable), 0) from (
    select (m.counts ->> 'comparable')::bigint as comparable from guard_minutes m
    where m.service = $1 and m.minute >= greatest(g.at, now() - interval '7 days') order by m.minute desc limit 5000) newest)
  as comparable
from interlock_grants g where g.service = $1 and g.flag = 'read-cutover' and g.action = '' and g.percentage = 100`;

/** The action that counts unknown requests. */
const UNKNOWN_ACTION = 'other';

interface DayRow {
  readonly action: string;
  readonly operations: number;
  readonly comparable: number;
  readonly bothErrors: number;
  readonly independent: number;
  /** The whole lanes among these. */
  readonly wholeLanes: number;
}

/** The facts for interlocks, and the granted percentages, in PostgreSQL. */
export function createInterlockStore(database: Database): InterlockStore {
  return {
    facts: (service, coverage) => readFacts(database, service, coverage),
    async fullReads(service) {
      return (await database.query<FullReads>(FULL_READS, [service]))[0];
    },
    async grants(service) {
      return database.query<{ flag: ServiceFlag; action: string; percentage: number }>(
        'select flag, action, percentage from interlock_grants where service = $1',
        [service],
      );
    },
    async grant(service, rows) {
      await database.query(
        `insert into interlock_grants (service, flag, action, percentage)
         select $1, flag, action, percentage from unnest($2::text[], $3::text[], $4::int[]) as t(flag, action, percentage)
         on conflict (service, flag, action) do update set percentage = excluded.percentage, at = now()`,
        [
          service,
          rows.map(({ flag }) => flag),
          rows.map(({ action }) => action),
          rows.map(({ percentage }) => Math.floor(percentage)),
        ],
      );
    },
    async accepted(service) {
      const rows = await database.query<{ subject: string }>(
        'select subject from interlock_acceptances where service = $1',
        [service],
      );
      return new Set(rows.map(({ subject }) => subject));
    },
    accept: ({ service, subject, person, reason }) =>
      database.transaction(async (session) => {
        await session.query(
          `insert into interlock_acceptances (service, subject, person, reason) values ($1, $2, $3, $4)
           on conflict (service, subject) do update set person = excluded.person, reason = excluded.reason, at = now()`,
          [service, subject, person, reason],
        );
        await addAudit(session, { person, command: 'guard accept', service, reason, details: { subject } });
      }),
  };
}

type CountedLanes = Pick<JournalFacts, 'lanes' | 'unseeded' | 'unwell' | 'flipped'>;

const NO_LANES: CountedLanes = { lanes: 0, unseeded: 0, unwell: 0, flipped: 0 };

async function readFacts(database: Database, service: ServiceName, coverage: number): Promise<JournalFacts> {
  const one = async <Row extends object>(
    sql: string,
    parameters: readonly unknown[],
  ): Promise<Partial<Row>> => (await database.query<Row>(sql, parameters))[0] ?? {};
  const counted = await one<Pick<JournalFacts, 'replicas' | 'acting' | 'versions'>>(REPLICAS, [
    service,
    coverage,
  ]);
  const { replicas = 0, acting = 0, versions = 0 } = counted;
  const lanes = await one<CountedLanes>(LANES, [service, coverage]);
  const { seconds = 0 } = await one<{ seconds: number }>(OLDEST_DELIVERY, [service]);
  const day = await database.query<DayRow>(LAST_DAY, [service]);
  const share = await shareOfDay(database, service);
  return {
    replicas,
    acting,
    versions,
    ...NO_LANES,
    ...lanes,
    oldestDeliverySeconds: seconds,
    unclassified: day.find(({ action }) => action === UNKNOWN_ACTION)?.operations ?? 0,
    ...(await readRuns(database, service)),
    ends: await readEnds(database, service),
    stores: (await readStoreFindings(database, service)).get(service) ?? NOTHING_FOUND,
    traffic: new Map(day.map((row) => [row.action, ownTraffic(row, share)])),
    lanesPerDay: day.reduce((sum, { wholeLanes }) => sum + wholeLanes, 0) / share,
  };
}

async function readEnds(database: Database, service: ServiceName): Promise<JournalFacts['ends']> {
  const { notFlipped, overdue, bypassedAgoSeconds } = await readObstacles(database, service, []);
  return { lanesNotFlipped: notFlipped, reverseBacklog: overdue, bypassedAgoSeconds };
}

/** The share of the last day in which the service was in use, 0–1. */
async function shareOfDay(database: Database, service: ServiceName): Promise<number> {
  const [row] = await database.query<{ seconds: number | null }>(IN_USE, [service]);
  return Math.min(DAY_SECONDS, Math.max(LEAST_SECONDS, row?.seconds ?? 0)) / DAY_SECONDS;
}

/**
 * Traffic of an action's own answers, because comparisons of whole lanes count for all actions.
 * @param share of a day that the service was in use. The traffic of one hour of use is a 24th of a day's traffic
 */
function ownTraffic({ comparable, bothErrors, independent, wholeLanes }: DayRow, share: number) {
  const own = independent - wholeLanes;
  const notErrors = Math.min(own, comparable - wholeLanes - bothErrors);
  return { comparablePerDay: own / share, notErrorsPerDay: notErrors / share };
}

async function readRuns(
  database: Database,
  service: ServiceName,
): Promise<Pick<JournalFacts, 'reconciledAgoSeconds' | 'isBackfillRun'>> {
  const [reconciled] = await database.query<{ seconds: number | null }>(RECONCILED, [service]);
  const [backfill] = await database.query<{ runs: number }>(BACKFILL_RUN, [service]);
  return { reconciledAgoSeconds: reconciled?.seconds ?? null, isBackfillRun: (backfill?.runs ?? 0) > 0 };
}
