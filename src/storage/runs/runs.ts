import type { Owner, ReplicaId, ServiceName } from '../../domain/ids.ts';
import {
  addTallies,
  EMPTY_TALLY,
  hexadecimal,
  RUN_KINDS,
  type Page,
  type Run,
  type RunKind,
  type RunProgress,
  type RunRequest,
  type RunState,
  type Tally,
} from '../../engine/ports/run.ts';
import type { ReplicaIdentity } from '../../engine/ports/replica-identity.ts';
import type { RunFigures, RunStore, StandingLanes, StateChange } from '../../engine/runs/run-ports.ts';
import type { ListedLane } from '../../engine/runs/run-work.ts';
import type { Database, Session } from '../database.ts';
import * as sql from './run-sql.ts';

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
      await session.query(sql.ONE_BY_ONE);
      const [row] = await session.query<RunRow>(sql.CREATE, [kind, JSON.stringify(request)]);
      return row && runOf(row);
    });
  }

  async takeUp(id: number, to: RunState): Promise<boolean> {
    return this.#database.transaction(async (session) => {
      await session.query(sql.ONE_BY_ONE);
      return (await session.query(sql.TAKE_UP, [id, to])).length > 0;
    });
  }

  async get(id: number): Promise<Run | undefined> {
    const [row] = await this.#database.query<RunRow>(sql.GET, [id]);
    return row && runOf(row);
  }

  async recent(kind: RunKind | undefined, limit: number): Promise<readonly Run[]> {
    return (await this.#database.query<RunRow>(sql.RECENT, [kind ?? null, limit])).map(runOf);
  }

  async open(): Promise<readonly Run[]> {
    return (await this.#database.query<RunRow>(sql.OPEN)).map(runOf);
  }

  async progress(id: number): Promise<RunProgress> {
    const rows = await this.#database.query<CounterRow>(sql.COUNTERS, [id]);
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
    const rows = await this.#database.query<StandingLanes & { run: number }>(sql.STANDING_OF, [ids]);
    return new Map(rows.map(({ run, ...standing }) => [run, standing]));
  }

  async tallies(id: number): Promise<Readonly<Record<string, Tally>>> {
    const tallies: Record<string, Tally> = {};
    let rows: readonly ResultRow[] = [];
    do {
      rows = await this.#database.query<ResultRow>(sql.RESULTS, [id, rows.at(-1)?.page ?? 0]);
      for (const { service, result } of rows)
        tallies[service] = addTallies(tallies[service] ?? EMPTY_TALLY, result);
    } while (rows.length === sql.RESULTS_PER_QUERY);
    return tallies;
  }

  async claimListing(id: number, replica: ReplicaId): Promise<boolean> {
    return this.#database.transaction(async (session) => {
      const claimed = await session.query(sql.CLAIM_LISTING, [id, replica]);
      if (claimed.length === 0) return false;
      await session.query(sql.FORGET_PAGES, [id]);
      return true;
    });
  }

  async addLanes(id: number, service: ServiceName, lanes: readonly ListedLane[]): Promise<void> {
    const owners = lanes.map(({ owner }) => owner);
    const newest = lanes.map(({ newestAtMs }) => newestAtMs ?? null);
    if (owners.length > 0) await this.#database.query(sql.ADD_LANES, [id, service, owners, newest]);
  }

  async cutPages(id: number, service: ServiceName, lanesPerPage: number): Promise<number> {
    const [row] = await this.#database.query<{ lanes: number }>(sql.CUT_PAGES, [id, service, lanesPerPage]);
    return row?.lanes ?? 0;
  }

  async surveyed(id: number, service: string, survey: object): Promise<void> {
    await this.#database.query(sql.SURVEYED, [id, service, JSON.stringify(survey)]);
  }

  async change(id: number, { from, to, reason = '' }: StateChange): Promise<boolean> {
    return (await this.#database.query(sql.CHANGE, [id, from, to, reason])).length > 0;
  }

  async claimPage(id: number, replica: ReplicaId, underWay: readonly number[]): Promise<Page | undefined> {
    const [row] = await this.#database.query<Omit<Page, 'run'>>(sql.CLAIM_PAGE, [
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
      const counted = await session.query(sql.FINISH_PAGE, [run, page, JSON.stringify(tally), done, digest]);
      if (counted.length === 0) return;
      for (const [home, theirs] of elsewhere)
        await session.query(sql.ADD_PAGE_OF, [run, service, theirs, home]);
    });
  }

  async releasePage({ run, page }: Page, delayMs: number): Promise<void> {
    await this.#database.query(sql.RELEASE_PAGE, [run, page, delayMs / 1_000]);
  }

  async pagesLeft(id: number): Promise<number> {
    const [row] = await this.#database.query<{ pages: number }>(sql.PAGES_LEFT, [id]);
    return row?.pages ?? 0;
  }

  async figures(): Promise<RunFigures> {
    const kinds = await this.#database.query<FigureRow>(sql.FIGURES, [RUN_KINDS]);
    const services = await this.#database.query<RunFigures['services'][number]>(sql.FOUND_BY_SERVICE);
    return {
      kinds: kinds.map(({ finished_at, ...row }) => ({
        ...row,
        finishedAtMs: finished_at?.getTime() ?? null,
      })),
      services,
    };
  }

  async report(id: number, report: object): Promise<void> {
    await this.#database.query(sql.REPORT, [id, JSON.stringify(report)]);
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
