import type { ReportDelivery, ReportFormat, ReportStore } from '../../engine/report/report-ports.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Database } from '../database.ts';
import { LEASE } from '../journal/journal-sql.ts';

/** A claim is valid while its replica is alive. */
function lives(claim: string): string {
  return `exists (select from replicas r where r.id = ${claim} and r.heartbeat_at > now() - ${LEASE})`;
}

/** Whether a finished report covers these services. */
function covers(services: string): string {
  return `reports.made_at is not null and (reports.services is null or reports.services @> ${services})`;
}

const CLAIM = `
insert into reports (day, claim_replica) values ($1, $2)
on conflict (day) do update set claim_replica = $2
where not (${covers('$3::text[]')})
  and (reports.claim_replica is null or reports.claim_replica = $2 or not ${lives('reports.claim_replica')})
returning day`;

const RELEASE = 'update reports set claim_replica = null where day = $1 and claim_replica = $2';

/** A report without services of other proxies is delivered a minute later, because these proxies are about to add them. */
const PUT = `
with made as (
  update reports set made_at = now(), claim_replica = null, failed_criteria = $3, html = $4, md = $5, json = $6,
    totals = $7::jsonb, services = $8::text[]
  where day = $1 and claim_replica = $2 returning day
), sent as (
  insert into report_deliveries (day, target, not_before)
  select day, target, now() + case when $9::boolean then interval '0' else interval '1 minute' end
  from made, unnest($10::text[]) as t(target)
  on conflict (day, target) do update set claim_replica = null, failures = 0, last_problem = null,
    delivered_at = null, given_up_at = null, not_before = excluded.not_before
)
select day from made`;

/** Services of live replicas that are not among these. */
const OTHERS = `
select distinct service from replicas r cross join lateral unnest(r.services) as t(service)
where r.heartbeat_at > now() - ${LEASE} and service <> all($1::text[]) order by service`;

/** A delivery that this replica claimed, but whose result it could not write, is repeated. A replica makes one delivery at a time. */
const CLAIM_DELIVERY = `
update report_deliveries set claim_replica = $1
where (day, target) = (
  select day, target from report_deliveries d
  where delivered_at is null and given_up_at is null and not_before <= now() and target = any($2::text[])
    and (d.claim_replica is null or d.claim_replica = $1 or not ${lives('d.claim_replica')})
  order by day, target limit 1 for update skip locked)
returning day, target, failures, claim_replica as replica`;

const FAILED = `
update report_deliveries set claim_replica = null, failures = failures + 1, last_problem = $4,
  not_before = now() + make_interval(secs => coalesce($5::float8, 0)), given_up_at = case when $5::float8 is null then now() end
where day = $1 and target = $2 and claim_replica = $3`;

const DELIVERED = `
update report_deliveries set delivered_at = now(), claim_replica = null
where day = $1 and target = $2 and claim_replica = $3`;

/** Daily reports in PostgreSQL. */
export function createReportStore(database: Database): ReportStore {
  const isChanged = async (sql: string, parameters: readonly unknown[]): Promise<boolean> =>
    (await database.query(sql, parameters)).length > 0;
  return {
    claim: (date, replica, services) => isChanged(CLAIM, [date, replica, services]),
    async release(date, replica) {
      await database.query(RELEASE, [date, replica]);
    },
    put({ date, failedCriteria, texts, totals, services, isWhole }, replica, targets) {
      const stored = [texts.html, texts.md, texts.json, JSON.stringify(totals), services, isWhole, targets];
      return isChanged(PUT, [date, replica, failedCriteria, ...stored]);
    },
    async servedElsewhere(services) {
      const rows = await database.query<{ service: ServiceName }>(OTHERS, [services]);
      return rows.map(({ service }) => service);
    },
    ...readsIn(database),
    ...deliveriesIn(database),
    async prune(firstKept) {
      await database.query('delete from reports where day < $1', [firstKept]);
    },
  };
}

function readsIn(database: Database): Pick<ReportStore, 'made' | 'list' | 'read' | 'totals'> {
  return {
    async made(dates, services) {
      const rows = await database.query<{ day: string }>(
        `select day from reports where day = any($1::text[]) and ${covers('$2::text[]')}`,
        [dates, services],
      );
      return new Set(rows.map(({ day }) => day));
    },
    async list(limit) {
      const rows = await database.query<{ day: string; made_at: Date; failed_criteria: number }>(
        'select day, made_at, failed_criteria from reports where made_at is not null order by day desc limit $1',
        [limit],
      );
      return rows.map(({ day, made_at, failed_criteria: failedCriteria }) => ({
        date: day,
        madeAtMs: made_at.getTime(),
        failedCriteria,
      }));
    },
    async read(date, format: ReportFormat) {
      const [row] = await database.query<{ text: string }>(
        `select ${format} as text from reports where day = $1 and made_at is not null`,
        [date],
      );
      return row?.text;
    },
    async totals(date) {
      const [row] = await database.query<{ totals: Record<string, number> }>(
        'select totals from reports where day = $1 and made_at is not null',
        [date],
      );
      return row?.totals;
    },
  };
}

function deliveriesIn(database: Database): Pick<ReportStore, 'claimDelivery' | 'delivered' | 'failed'> {
  return {
    async claimDelivery(replica, targets) {
      const [row] = await database.query<Omit<ReportDelivery, 'date'> & { day: string }>(CLAIM_DELIVERY, [
        replica,
        targets,
      ]);
      if (row === undefined) return undefined;
      const { day: date, ...delivery } = row;
      return { date, ...delivery };
    },
    async delivered({ date, target, replica }: ReportDelivery) {
      await database.query(DELIVERED, [date, target, replica]);
    },
    async failed({ date, target, replica }, problem, retryMs) {
      const seconds = retryMs === null ? null : retryMs / 1_000;
      await database.query(FAILED, [date, target, replica, problem, seconds]);
    },
  };
}
