import type {
  ReportDelivery,
  ReportFormat,
  ReportStore,
  ReportTarget,
} from '../../migration/report/report-ports.ts';
import type { Database } from '../database.ts';
import { LEASE } from '../journal/journal-sql.ts';

/** A claim lasts as long as the replica that made it. */
function lives(claim: string): string {
  return `exists (select from replicas r where r.id = ${claim} and r.heartbeat_at > now() - ${LEASE})`;
}

const CLAIM = `
insert into reports (day, claim_replica) values ($1, $2)
on conflict (day) do update set claim_replica = $2
where reports.made_at is null
  and (reports.claim_replica is null or reports.claim_replica = $2 or not ${lives('reports.claim_replica')})
returning day`;

const RELEASE =
  'update reports set claim_replica = null where day = $1 and claim_replica = $2 and made_at is null';

const PUT = `
with made as (
  update reports set made_at = now(), failed_criteria = $3, html = $4, md = $5, json = $6, totals = $7::jsonb
  where day = $1 and claim_replica = $2 and made_at is null returning day
), sent as (
  insert into report_deliveries (day, target) select day, target from made, unnest($8::text[]) as t(target)
)
select day from made`;

/** What this replica has claimed before it could not write down what came of it is tried again: a replica delivers one after the other. */
const CLAIM_DELIVERY = `
update report_deliveries set claim_replica = $1
where (day, target) = (
  select day, target from report_deliveries d
  where delivered_at is null and given_up_at is null and not_before <= now() and target = any($2::text[])
    and (d.claim_replica is null or d.claim_replica = $1 or not ${lives('d.claim_replica')})
  order by day, target limit 1 for update skip locked)
returning day, target, failures`;

const FAILED = `
update report_deliveries set claim_replica = null, failures = failures + 1, last_problem = $3,
  not_before = now() + make_interval(secs => coalesce($4::float8, 0)), given_up_at = case when $4::float8 is null then now() end
where day = $1 and target = $2`;

/** Daily reports in PostgreSQL. */
export function createReportStore(database: Database): ReportStore {
  const isChanged = async (sql: string, parameters: readonly unknown[]): Promise<boolean> =>
    (await database.query(sql, parameters)).length > 0;
  return {
    claim: (date, replica) => isChanged(CLAIM, [date, replica]),
    async release(date, replica) {
      await database.query(RELEASE, [date, replica]);
    },
    put({ date, failedCriteria, texts, totals }, replica, targets) {
      const stored = [texts.html, texts.md, texts.json, JSON.stringify(totals), targets];
      return isChanged(PUT, [date, replica, failedCriteria, ...stored]);
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
    async made(dates) {
      const rows = await database.query<{ day: string }>(
        'select day from reports where day = any($1::text[]) and made_at is not null',
        [dates],
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
      const [row] = await database.query<{ day: string; target: ReportTarget; failures: number }>(
        CLAIM_DELIVERY,
        [replica, targets],
      );
      return row === undefined ? undefined : { date: row.day, target: row.target, failures: row.failures };
    },
    async delivered({ date, target }: ReportDelivery) {
      await database.query(
        'update report_deliveries set delivered_at = now(), claim_replica = null where day = $1 and target = $2',
        [date, target],
      );
    },
    async failed({ date, target }, problem, retryMs) {
      const seconds = retryMs === null ? null : retryMs / 1_000;
      await database.query(FAILED, [date, target, problem, seconds]);
    },
  };
}
