import type { Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import {
  addTallies,
  EMPTY_TALLY,
  hexadecimal,
  type Page,
  type Run,
  RUN_KINDS,
  type RunKind,
  type RunProgress,
  type RunRequest,
  type RunState,
  type Tally,
} from '../../engine/ports/run.ts';
import type { ReplicaIdentity } from '../../engine/ports/replica-ports.ts';
import type { RunFigures, RunStore, StandingLanes, StateChange } from '../../engine/runs/run-ports.ts';
import type { ListedLane } from '../../engine/runs/run-work.ts';
import type { Database, Session } from '../database.ts';
import { LEASE } from '../journal/journal-sql.ts';
import { ON_LEGACY, UNRESOLVED } from './standing.ts';

interface RunRow {
  readonly id: number;
  readonly kind: RunKind;
  readonly request: RunRequest;
  readonly state: RunState;
  readonly reason: string;
  readonly began_at: Date;
  readonly finished_at: Date | null;
  readonly survey: Readonly<Record<string, object>>;
  readonly report: object | null;
}

type FigureRow = Omit<RunFigures['kinds'][number], 'finishedAtMs'> & { readonly finished_at: Date | null };

interface CounterRow {
  readonly service: string;
  readonly lanes: number;
  readonly lanesDone: number;
  readonly counts: Readonly<Record<string, number>>;
  /** A whole number, decimal. */
  readonly digest: string;
}

interface ResultRow {
  readonly page: number;
  readonly service: string;
  readonly result: Tally;
}

function runOf({ began_at, finished_at, ...row }: RunRow): Run {
  return { ...row, beganAtMs: began_at.getTime(), finishedAtMs: finished_at?.getTime() ?? null };
}

/** Runs in PostgreSQL. */
export class PostgresRunStore implements RunStore {
  readonly #database: Database;
  /** The services whose pages this replica claims. Null: all. */
  readonly #services: ReplicaIdentity['services'] | null;

  constructor(database: Database, services?: ReplicaIdentity['services']) {
    this.#database = database;
    this.#services = services ?? null;
  }

  async create(kind: RunKind, request: RunRequest): Promise<Run | undefined> {
    return this.#database.transaction(async (session) => {
      await session.query(ONE_BY_ONE);
      const [row] = await session.query<RunRow>(CREATE, [kind, JSON.stringify(request)]);
      return row && runOf(row);
    });
  }

  async takeUp(id: number, to: RunState): Promise<boolean> {
    return this.#database.transaction(async (session) => {
      await session.query(ONE_BY_ONE);
      return (await session.query(TAKE_UP, [id, to])).length > 0;
    });
  }

  async get(id: number): Promise<Run | undefined> {
    const [row] = await this.#database.query<RunRow>(GET, [id]);
    return row && runOf(row);
  }

  async recent(kind: RunKind | undefined, limit: number): Promise<readonly Run[]> {
    return (await this.#database.query<RunRow>(RECENT, [kind ?? null, limit])).map(runOf);
  }

  async open(): Promise<readonly Run[]> {
    return (await this.#database.query<RunRow>(OPEN)).map(runOf);
  }

  async progress(id: number): Promise<RunProgress> {
    const rows = await this.#database.query<CounterRow>(COUNTERS, [id]);
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
    return {
      lanes: sum(rows.map(({ lanes }) => lanes)),
      lanesDone: sum(rows.map(({ lanesDone }) => lanesDone)),
      services: Object.fromEntries(
        rows
          .filter(({ lanesDone }) => lanesDone > 0)
          .map(({ service, counts, digest }) => [service, { counts, digest: hexadecimal(BigInt(digest)) }]),
      ),
    };
  }

  async standing(ids: readonly number[]): Promise<ReadonlyMap<number, StandingLanes>> {
    const rows = await this.#database.query<StandingLanes & { run: number }>(STANDING_OF, [ids]);
    return new Map(rows.map(({ run, ...standing }) => [run, standing]));
  }

  async tallies(id: number): Promise<Readonly<Record<string, Tally>>> {
    const tallies: Record<string, Tally> = {};
    let rows: readonly ResultRow[] = [];
    do {
      rows = await this.#database.query<ResultRow>(RESULTS, [id, rows.at(-1)?.page ?? 0]);
      for (const { service, result } of rows)
        tallies[service] = addTallies(tallies[service] ?? EMPTY_TALLY, result);
    } while (rows.length === RESULTS_PER_QUERY);
    return tallies;
  }

  async claimListing(id: number, replica: ReplicaId): Promise<boolean> {
    return this.#database.transaction(async (session) => {
      const claimed = await session.query(CLAIM_LISTING, [id, replica]);
      if (claimed.length === 0) return false;
      await session.query(FORGET_PAGES, [id]);
      return true;
    });
  }

  async addLanes(id: number, service: ServiceName, lanes: readonly ListedLane[]): Promise<void> {
    const owners = lanes.map(({ owner }) => owner);
    const newest = lanes.map(({ newestAtMs }) => newestAtMs ?? null);
    if (owners.length > 0) await this.#database.query(ADD_LANES, [id, service, owners, newest]);
  }

  async cutPages(id: number, service: ServiceName, lanesPerPage: number): Promise<number> {
    const [row] = await this.#database.query<{ lanes: number }>(CUT_PAGES, [id, service, lanesPerPage]);
    return row?.lanes ?? 0;
  }

  async surveyed(id: number, service: string, survey: object): Promise<void> {
    await this.#database.query(SURVEYED, [id, service, JSON.stringify(survey)]);
  }

  async change(id: number, { from, to, reason = '' }: StateChange): Promise<boolean> {
    return (await this.#database.query(CHANGE, [id, from, to, reason])).length > 0;
  }

  async claimPage(id: number, replica: ReplicaId, underWay: readonly number[]): Promise<Page | undefined> {
    const [row] = await this.#database.query<Omit<Page, 'run'>>(CLAIM_PAGE, [
      id,
      replica,
      underWay,
      this.#services,
    ]);
    return row && { run: id, ...row };
  }

  async finishPage(
    { run, page, owners, service }: Page,
    tally: Tally,
    elsewhere: ReadonlyMap<ReplicaId, readonly Owner[]>,
  ): Promise<void> {
    const left = new Set([...elsewhere.values()].flat());
    const digest = BigInt(`0x${tally.digest}`).toString();
    const done = owners.filter((owner) => !left.has(owner));
    await this.#database.transaction(async (session: Session) => {
      const counted = await session.query(FINISH_PAGE, [run, page, JSON.stringify(tally), done, digest]);
      if (counted.length === 0) return;
      for (const [home, theirs] of elsewhere) await session.query(ADD_PAGE_OF, [run, service, theirs, home]);
    });
  }

  async releasePage({ run, page }: Page, delayMs: number): Promise<void> {
    await this.#database.query(RELEASE_PAGE, [run, page, delayMs / 1_000]);
  }

  async pagesLeft(id: number): Promise<number> {
    const [row] = await this.#database.query<{ pages: number }>(PAGES_LEFT, [id]);
    return row?.pages ?? 0;
  }

  async figures(): Promise<RunFigures> {
    const kinds = await this.#database.query<FigureRow>(FIGURES, [RUN_KINDS]);
    const services = await this.#database.query<RunFigures['services'][number]>(FOUND_BY_SERVICE);
    return {
      kinds: kinds.map(({ finished_at, ...row }) => ({
        ...row,
        finishedAtMs: finished_at?.getTime() ?? null,
      })),
      services,
    };
  }

  async report(id: number, report: object): Promise<void> {
    await this.#database.query(REPORT, [id, JSON.stringify(report)]);
  }
}

/** The services whose scheduled reconciliation of that time was already started by any replica. */
export async function scheduledServices(
  database: Database,
  { scope, scheduled }: Pick<RunRequest, 'scope' | 'scheduled'>,
): Promise<ReadonlySet<string>> {
  const rows = await database.query<{ service: string }>(
    `select distinct jsonb_array_elements_text(request -> 'services') as service from runs
     where kind = 'reconcile' and request ->> 'scope' = $1 and request ->> 'scheduled' = $2`,
    [scope, scheduled],
  );
  return new Set(rows.map(({ service }) => service));
}

const COLUMNS = 'id, kind, request, state, reason, began_at, finished_at, survey, report';

/** Whether the claim belongs to a live replica. */
function lives(claim: string): string {
  return `exists (select from replicas r where r.id = ${claim} and r.heartbeat_at > now() - ${LEASE})`;
}

/** Only one run of a kind may be active, so replicas that start or resume a run wait for each other here. */
const ONE_BY_ONE = 'lock table runs in share row exclusive mode';

const underWay = (kind: string): string =>
  `exists (select from runs o where o.kind = ${kind} and o.state in ('listing', 'running'))`;

/** A database sequence can skip up to 32 numbers after a crash, as if runs were missing. The locked table gives the next number instead. */
const CREATE = `
insert into runs (id, kind, request) overriding system value
select (select coalesce(max(id), 0) + 1 from runs), $1, $2::jsonb where not ${underWay('$1')}
on conflict do nothing returning ${COLUMNS}`;

const TAKE_UP = `
update runs set state = $2, reason = '', finished_at = null
where id = $1 and state in ('stopped', 'failed') and not ${underWay('runs.kind')} returning id`;

const GET = `select ${COLUMNS} from runs where id = $1`;

const RECENT = `
select ${COLUMNS} from runs where $1::text is null or kind = $1 order by id desc limit $2`;

/** A later finding resolves the open finding of its lane at the same moment. */
const STANDING_OF = `
select one.run_id as run, count(*) filter (where one.state in ${UNRESOLVED}) as unresolved, count(later.owner) as superseded,
  count(*) filter (where one.state = 'undone') as undone, count(*) filter (where one.state = 'lost') as lost,
  count(*) filter (where one.state = ${ON_LEGACY}) as flipped
from divergences one left join (select distinct service, owner, found_at, run_id from divergences) later
  on one.state = 'gone' and later.service = one.service and later.owner = one.owner and later.found_at = one.resolved_at
  and later.run_id > one.run_id
where one.run_id = any($1::bigint[]) group by one.run_id`;

const OPEN = `select ${COLUMNS} from runs where state in ('listing', 'running') order by id`;

const COUNTERS = `
select service, lanes, lanes_done as "lanesDone", counts, digest::text as digest from run_counters where run_id = $1 order by service`;

/** Limits the rows of one query, because the result of a page may be long. */
const RESULTS_PER_QUERY = 500;

const RESULTS = `
select page, service, result from run_pages where run_id = $1 and done_at is not null and page > $2
order by page limit ${RESULTS_PER_QUERY}`;

const CLAIM_LISTING = `
update runs set lister = $2
where id = $1 and state = 'listing' and (lister is null or lister = $2 or not ${lives('lister')})
returning id`;

/** Deletes an incomplete list, so that it is made again. */
const FORGET_PAGES = `
with listed as (delete from run_listings where run_id = $1), counted as (delete from run_counters where run_id = $1)
delete from run_pages where run_id = $1`;

const ADD_LANES = `
insert into run_listings (run_id, service, owners, newest_at_ms) values ($1, $2, $3::text[], $4::float8[])`;

/** Sorted by activity, otherwise in listing order. The database sorts, because the list may not fit into a replica's memory. */
const CUT_PAGES = `
with listed as (delete from run_listings where run_id = $1 and service = $2 returning id, owners, newest_at_ms),
each as (
  select e.owner, e.newest_at_ms, row_number() over (order by l.id, e.number) as place
  from listed l cross join unnest(l.owners, l.newest_at_ms) with ordinality as e(owner, newest_at_ms, number)),
lane as (select owner, max(newest_at_ms) as newest_at_ms, min(place) as place from each group by owner),
turn as (select owner, row_number() over (order by newest_at_ms desc nulls last, place) - 1 as turn from lane),
cut as (
  insert into run_pages (run_id, page, service, owners)
  select $1, (select coalesce(max(page), 0) from run_pages where run_id = $1) + 1 + turn / $3, $2, array_agg(owner order by turn)
  from turn group by turn / $3 returning cardinality(owners) as lanes)
insert into run_counters as c (run_id, service, lanes) select $1, $2, coalesce(sum(lanes), 0) from cut
on conflict (run_id, service) do update set lanes = c.lanes + excluded.lanes
returning lanes`;

/** Lanes whose home is another replica. That replica processes them. */
const ADD_PAGE_OF = `
insert into run_pages (run_id, page, service, owners, home)
select $1, max(page) + 1, $2, $3::text[], $4::uuid from run_pages where run_id = $1`;

/** Skips a service whose list is incomplete. */
const SURVEYED = `
with listed as (delete from run_listings where run_id = $1 and service = $2)
update runs set survey = survey || jsonb_build_object($2::text, $3::jsonb) where id = $1`;

const CHANGE = `
update runs set state = $3, reason = $4,
  finished_at = case when $3 in ('finished', 'failed') then now() else null end
where id = $1 and state = any($2::text[]) returning id`;

/**
 * Locks pages in order, and skips a page that another replica is locking. If this replica could not release a page because the database
 * was away, it claims the page again. The statement skips only the pages on which this replica currently works. Pages of a stopped run
 * are never claimed, even if the replica does not know about the stop. Pages of services that it does not serve are left to other
 * replicas.
 */
const CLAIM_PAGE = `
update run_pages set claim_replica = $2, attempts = attempts + 1
where run_id = $1 and page = (
  select page from run_pages p
  where p.run_id = $1 and p.done_at is null and p.not_before <= now()
    and p.page <> all($3::int[])
    and ($4::text[] is null or p.service = any($4))
    and exists (select from runs r where r.id = $1 and r.state = 'running')
    and (p.home is null or p.home = $2 or not ${lives('p.home')})
    and (p.claim_replica is null or p.claim_replica = $2 or not ${lives('p.claim_replica')})
  order by page limit 1 for update skip locked)
returning page, service, owners, attempts`;

/** A page counts once. Lanes that moved to another replica's page count there. */
const FINISH_PAGE = `
with done as (
  update run_pages set done_at = now(), result = $3::jsonb, owners = $4::text[], claim_replica = null
  where run_id = $1 and page = $2 and done_at is null returning service)
insert into run_counters as c (run_id, service, lanes_done, counts, digest)
select $1, service, cardinality($4::text[]), $3::jsonb -> 'counts', $5::numeric from done
on conflict (run_id, service) do update set
  lanes_done = c.lanes_done + excluded.lanes_done,
  counts = (
    select coalesce(jsonb_object_agg(name, total), '{}') from (
      select name, sum(number::numeric) as total from (
        select * from jsonb_each_text(c.counts) union all select * from jsonb_each_text(excluded.counts)) as each(name, number)
      group by name) as totals),
  digest = mod(c.digest + excluded.digest, 340282366920938463463374607431768211456)
returning c.run_id`;

const RELEASE_PAGE = `
update run_pages set claim_replica = null, not_before = now() + make_interval(secs => $3)
where run_id = $1 and page = $2`;

const PAGES_LEFT = 'select count(*) as pages from run_pages where run_id = $1 and done_at is null';

const FIGURES = `
select k.kind, count(distinct r.id) as open,
  coalesce(sum(c.lanes), 0) as lanes, coalesce(sum(c.lanes_done), 0) as "lanesDone",
  (select max(f.finished_at) from runs f where f.kind = k.kind and f.state = 'finished') as finished_at
from unnest($1::text[]) as k(kind)
left join runs r on r.kind = k.kind and r.state in ('listing', 'running')
left join run_counters c on c.run_id = r.id
group by k.kind`;

const FOUND_BY_SERVICE = `
select service, sum(divergent) as "divergentLanes", sum(lost) as "lostItems" from (
  select service, 1 as divergent, 0 as lost from divergences where state in ${UNRESOLVED}
  union all select service, 0, 1 from lost_items where decision is null) as found
group by service`;

const REPORT = 'update runs set report = $2::jsonb where id = $1';
