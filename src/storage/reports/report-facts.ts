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
import { countsOf, type SumRow } from '../summed-minutes.ts';
import * as sql from './report-sql.ts';

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
      const [row] = await database.query<{ hasRecords: boolean }>(sql.HAS_RECORDS, endsOf(span));
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
  const [lastFull] = await database.query<RunRow>(sql.LAST_FULL, [service]);
  return {
    hours: (await database.query<HourRow>(sql.HOURS, of)).map(hourOf),
    letters: await one<ServiceDay['letters']>(sql.LETTERS),
    unknown: await one<ServiceDay['unknown']>(sql.UNKNOWN),
    signatures: await one<ServiceDay['signatures']>(sql.SIGNATURES),
    backlog: await one<ServiceDay['backlog']>(sql.BACKLOG, [service]),
    unwell: await database.query<ServiceDay['unwell'][number]>(sql.UNWELL, [service]),
    ...(await one<Pick<ServiceDay, 'lanesOnOrchestrator'>>(sql.ON_ORCHESTRATOR, [service])),
    coverage: coverageOf(await one<CoverageRow>(sql.COVERAGE)),
    lastFull: lastFull === undefined ? null : runOf(lastFull),
    runs: (await database.query<RunRow>(sql.RUNS, of)).map(runOf),
    divergences: await one<ServiceDay['divergences']>(sql.DIVERGENCES),
    lost: await one<ServiceDay['lost']>(sql.LOST),
    repairs: await one<ServiceDay['repairs']>(sql.REPAIRS),
    trips: (await database.query<TripRow>(sql.TRIPS, of)).map(tripOf),
    audited: await database.query<ServiceDay['audited'][number]>(sql.AUDITED, of),
    events: (await database.query<EventRow>(sql.EVENTS, of)).map(({ at, ...event }) => ({
      ...event,
      atMs: at.getTime(),
    })),
    differing: await database.query<ServiceDay['differing'][number]>(sql.DIFFERING, [service]),
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
