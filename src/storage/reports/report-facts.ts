import type { ServiceName } from '../../domain/ids.ts';
import type {
  DaySpan,
  EndedRun,
  HourCounts,
  ReportFactStore,
  ServiceDay,
} from '../../engine/report/report-ports.ts';
import { createArmStore } from '../arms.ts';
import type { Database } from '../database.ts';
import { countsOf, type SumRow, SUMS } from '../summed-minutes.ts';
import { UNRESOLVED } from '../runs/standing.ts';
import { OF_SERVICE } from '../audit.ts';

interface Asked {
  readonly database: Database;
  /** The service, and the start and end of the day. */
  readonly of: readonly [service: ServiceName, from: string, to: string];
}

/** Reads the facts of daily reports from the journal's database. */
export function createReportFactStore(database: Database): ReportFactStore {
  const arms = createArmStore(database);
  return {
    async of(service, span: DaySpan) {
      const day = await readDay({ database, of: [service, ...endsOf(span)] });
      return { ...day, arms: await arms.ofDay(service, span) };
    },
    async hasRecords(span) {
      const [row] = await database.query<{ hasRecords: boolean }>(HAS_RECORDS, endsOf(span));
      return row?.hasRecords === true;
    },
    async installedAtMs() {
      const [row] = await database.query<{ at: Date }>(
        `select coalesce(min(applied_at), now()) as at from schema_steps where part = 'storage'`,
      );
      return row?.at.getTime() ?? 0;
    },
  };
}

function endsOf({ fromMs, toMs }: DaySpan): [from: string, to: string] {
  return [new Date(fromMs).toISOString(), new Date(toMs).toISOString()];
}

async function readDay({ database, of }: Asked): Promise<Omit<ServiceDay, 'arms'>> {
  const [service] = of;
  const one = async <Row extends object>(text: string, parameters: readonly unknown[] = of): Promise<Row> => {
    const [row] = await database.query<Row>(text, parameters);
    if (row === undefined) throw new Error('the query for sums returned no row');
    return row;
  };
  const [lastFull] = await database.query<RunRow>(LAST_FULL, [service]);
  return {
    hours: (await database.query<HourRow>(HOURS, of)).map(hourOf),
    letters: await one<ServiceDay['letters']>(LETTERS),
    unknown: await one<ServiceDay['unknown']>(UNKNOWN),
    signatures: await one<ServiceDay['signatures']>(SIGNATURES),
    backlog: await one<ServiceDay['backlog']>(BACKLOG, [service]),
    unwell: await database.query<ServiceDay['unwell'][number]>(UNWELL, [service]),
    ...(await one<Pick<ServiceDay, 'lanesOnOrchestrator'>>(ON_ORCHESTRATOR, [service])),
    coverage: coverageOf(await one<CoverageRow>(COVERAGE)),
    lastFull: lastFull === undefined ? null : runOf(lastFull),
    runs: (await database.query<RunRow>(RUNS, of)).map(runOf),
    divergences: await one<ServiceDay['divergences']>(DIVERGENCES),
    lost: await one<ServiceDay['lost']>(LOST),
    repairs: await one<ServiceDay['repairs']>(REPAIRS),
    trips: (await database.query<TripRow>(TRIPS, of)).map(tripOf),
    audited: await database.query<ServiceDay['audited'][number]>(AUDITED, of),
    events: (await database.query<EventRow>(EVENTS, of)).map(({ at, ...event }) => ({
      ...event,
      atMs: at.getTime(),
    })),
    differing: await database.query<ServiceDay['differing'][number]>(DIFFERING, [service]),
  };
}

type HourRow = SumRow & { readonly action: string; readonly hour: number };

function hourOf(row: HourRow): HourCounts {
  return { action: row.action, hour: row.hour, counts: countsOf(row) };
}

interface CoverageRow {
  readonly began_at: Date | null;
  readonly ended: number;
}

function coverageOf({ began_at, ended }: CoverageRow): ServiceDay['coverage'] {
  return { beganAtMs: began_at?.getTime() ?? null, endedInDay: ended };
}

interface RunRow extends Pick<EndedRun, 'id' | 'kind' | 'scope'> {
  readonly finished_at: Date;
  /** A run's document of the service: counts and other members. */
  readonly document: Readonly<Record<string, unknown>> | null;
}

function runOf({ id, kind, scope, finished_at, document }: RunRow): EndedRun {
  const counts = Object.entries(document ?? {}).filter(
    (entry): entry is [string, number] => typeof entry[1] === 'number',
  );
  return { id, kind, scope, finishedAtMs: finished_at.getTime(), counts: Object.fromEntries(counts) };
}

type EventRow = Omit<ServiceDay['events'][number], 'atMs'> & { readonly at: Date };

interface TripRow {
  readonly latch: number;
  readonly trigger: string;
  readonly action: string | null;
  readonly tripped_at: Date;
  readonly released_at: Date | null;
}

function tripOf({ tripped_at, released_at, ...trip }: TripRow): ServiceDay['trips'][number] {
  return { ...trip, trippedAtMs: tripped_at.getTime(), releasedAtMs: released_at?.getTime() ?? null };
}

/** Restricts a query to a day, from $2 up to but excluding $3. The service is $1. */
const inDay = (column: string): string => `${column} >= $2 and ${column} < $3`;

const HOURS = `
select action, floor(extract(epoch from minute - $2::timestamptz) / 3600)::int as hour, ${SUMS}
from guard_minutes where service = $1 and ${inDay('minute')} group by 1, 2 order by 2, 1`;

/** Of all services, so the day is from $1 up to but excluding $2. */
const HAS_RECORDS = `
select exists(select from guard_minutes where minute >= $1 and minute < $2)
  or exists(select from audit where at >= $1 and at < $2)
  or exists(select from runs where finished_at >= $1 and finished_at < $2) as "hasRecords"`;

const LETTERS = `
select count(*) filter (where d.resolved_at is null) as open,
  count(distinct d.lane_id) filter (where d.resolved_at is null) as lanes,
  count(*) filter (where ${inDay('d.at')}) as added,
  count(*) filter (where d.resolution = 'redriven' and ${inDay('d.resolved_at')}) as redriven,
  count(*) filter (where d.resolution = 'skipped' and ${inDay('d.resolved_at')}) as skipped,
  count(*) filter (where d.resolution = 'copied' and ${inDay('d.resolved_at')}) as copied
from dead_letters d join lanes l on l.id = d.lane_id where l.service = $1`;

const UNKNOWN = `
select count(*) filter (where closed_at is null and ended_at is null) as open,
  count(*) filter (where ${inDay('found_at')}) as found,
  count(*) filter (where ${inDay('closed_at')}) as closed
from unknown_outcomes where service = $1`;

const SIGNATURES = `
select count(*) as known, count(*) filter (where ${inDay('first_at')}) as fresh from difference_signatures where service = $1`;

/** The backlog, as for the interlocks. Lanes that are not clean, or wait for a dead letter, are counted separately. */
const BACKLOG = `
select count(*) as writes, coalesce(extract(epoch from now() - min(w.accepted_at)), 0)::float8 as "oldestSeconds"
from lanes l
join writes w on w.lane_id = l.id and w.sequence > l.delivered_sequence
join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
where l.service = $1 and l.condition = 'clean' and l.sequence > l.delivered_sequence and o.outcome = 'applied'
  and not exists (select from dead_letters d where d.lane_id = l.id and d.resolved_at is null)`;

const UNWELL = `
select case when l.condition = 'clean' then 'differs' else l.condition end as condition, l.reason, count(*) as lanes
from lanes l left join divergences d on d.service = l.service and d.owner = l.owner and d.state in ${UNRESOLVED}
where l.service = $1 and (l.condition <> 'clean' or d.id is not null) group by 1, 2 order by 3 desc, 1, 2 limit 10`;

const ON_ORCHESTRATOR = `
select count(*) filter (where primary_backend = 'orchestrator') as "lanesOnOrchestrator" from lanes where service = $1`;

const COVERAGE = `
select max(began_at) filter (where ended_at is null) as began_at, count(*) filter (where ${inDay('ended_at')}) as ended
from coverage where service = $1`;

const ENDED_RUN = `id, kind, coalesce(request ->> 'scope', 'full') as scope, finished_at, report -> 'services' -> $1::text as document
from runs where state = 'finished' and request -> 'services' ? $1`;

/** A reconciliation of a single owner, or one that could not list the service, is not a full one. */
const LAST_FULL = `
select ${ENDED_RUN} and kind = 'reconcile' and not request ? 'owner' and coalesce(request ->> 'scope', 'full') = 'full'
  and not coalesce(survey -> $1::text ? 'not_listed', false)
order by finished_at desc limit 1`;

const RUNS = `
select ${ENDED_RUN} and ${inDay('finished_at')} order by finished_at, id limit 50`;

/** If a lane is found different again, its earlier open finding is resolved at the same moment. It counts neither as equal nor as new. */
const DIVERGENCES = `
with resolved as (
  select service, owner, resolved_at from divergences where service = $1 and state = 'gone'),
lanes as (
  select *, exists (select from divergences later where later.service = one.service and later.owner = one.owner
      and later.found_at = one.resolved_at) as found_again,
    exists (select from resolved where resolved.owner = one.owner and resolved.resolved_at = one.found_at) as was_open
  from divergences one where service = $1)
select count(*) filter (where state in ${UNRESOLVED}) as open, max(run_id) filter (where state in ${UNRESOLVED}) as run,
  count(*) filter (where ${inDay('found_at')} and not was_open) as found,
  count(*) filter (where ${inDay('found_at')} and state = 'lost') as "foundLost",
  count(*) filter (where ${inDay('resolved_at')} and state = 'repaired') as repaired,
  count(*) filter (where ${inDay('resolved_at')} and state = 'gone' and not found_again) as gone,
  count(*) filter (where ${inDay('resolved_at')} and state = 'undone') as undone
from lanes`;

const LOST = `
select count(*) filter (where decision is null) as open, count(*) filter (where ${inDay('found_at')}) as found,
  count(*) filter (where ${inDay('decided_at')}) as decided
from lost_items where service = $1`;

const REPAIRS = `
select count(*) filter (where ${inDay('at')}) as lanes, count(*) filter (where ${inDay('undone_at')}) as undone
from repair_steps where service = $1`;

/** Trips of the day, trips released in it, and the open one. */
const TRIPS = `
select id as latch, finding ->> 'trigger' as trigger, finding ->> 'action' as action, tripped_at, released_at
from latches where service = $1 and (${inDay('tripped_at')} or ${inDay('released_at')} or released_at is null)
order by id desc limit 20`;

const AUDITED = `
select command, count(*) as count from audit where ${OF_SERVICE('$1')} and ${inDay('at')} group by command order by 2 desc, 1`;

const EVENTS = `
select at, person, command, reason, details from audit
where ${OF_SERVICE('$1')} and ${inDay('at')} order by at, id limit 50`;

const DIFFERING = `
select owner, run_id as run, state from divergences
where service = $1 and state in ${UNRESOLVED} order by found_at desc, id desc limit 20`;
