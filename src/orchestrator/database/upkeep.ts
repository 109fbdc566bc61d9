import { messageOf } from '../../domain/errors.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';

/** PostgreSQL counts the changes of each table itself, and reports them at most once a second. */
const LOOK_EVERY_MS = 2_000;
/** A table is maintained after this many changed rows, and this share of all rows. */
const LEAST_CHANGES = 50;
const CHANGED_PART = 0.2;
/** Each unit reads 300 rows, so at most 3,000 rows within 20 ms, because no other request is served in that time. */
const STATISTICS_TARGET = 10;
/**
 * New texts first go to the pending list of the word index, which every search scans. On a server, autovacuum empties it. Here the write
 * that fills it empties it, after some 200 texts, in 20 ms. With PostgreSQL's default of 4 MB a search among 5,000 texts took six times as
 * long.
 */
const PENDING_KB = 64;

interface Table {
  readonly name: string;
  readonly columns: string;
  /** Number of changes since PostgreSQL began to count. */
  readonly changes: number;
  /** Dead rows, which still take space. */
  readonly dead: number;
  /** The planner's estimate. */
  readonly rows: number;
}

// For a partitioned table, the whole table. Listing the columns excludes the expressions of indexes. Contents and vectors are excluded,
// because the planner never needs them: 6,000 vectors take 380 ms, all other columns 8 ms. PostgreSQL then does not reset its counter.
const TABLES = `
select t.id::regclass::text as name, t.changes, t.dead, t.rows, (
  select string_agg(format('%I', attname), ', ') from pg_attribute
  where attrelid = t.id and attnum > 0 and not attisdropped
    and atttypid not in (select oid from pg_type where typname in ('jsonb', 'vector'))) as columns
from (
  select coalesce(pg_partition_root(s.relid), s.relid) as id,
    sum(s.n_mod_since_analyze) as changes, sum(s.n_dead_tup) as dead, sum(greatest(c.reltuples, 0)) as rows
  from pg_stat_user_tables s join pg_class c on c.oid = s.relid and c.relkind = 'r'
  where s.schemaname = current_schema() group by 1) t`;

/**
 * Does for the embedded database what autovacuum does for a server. Without it the planner would assume empty tables forever, and the
 * space of rows would never be reused. Start it as the owner of the tables, before switching to a role that may only maintain them.
 */
export function createUpkeep(database: Database, onError: (message: string) => void): Part {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  const changesAtLast = new Map<string, number>();

  function isOutgrown({ name, changes, rows }: Table): boolean {
    return isMuch(changes - (changesAtLast.get(name) ?? 0), rows);
  }

  /** One statement per table, so that requests are served in between. */
  async function renew(isMeant: (table: Table) => boolean): Promise<void> {
    const tables = await database.query<Table>(TABLES);
    for (const table of tables) {
      if (stopped) return;
      if (isMuch(table.dead, table.rows)) await database.script(`vacuum ${table.name}`);
      if (!isMeant(table)) continue;
      await analyze(database, table);
      changesAtLast.set(table.name, table.changes);
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      running = renew(isOutgrown)
        .catch((error: unknown) => onError(messageOf(error)))
        .then(() => {
          if (!stopped) schedule();
        });
    }, LOOK_EVERY_MS);
    timer.unref();
  }

  return {
    async start() {
      await database.script('vacuum');
      await database.script(`set gin_pending_list_limit = ${PENDING_KB}`);
      await renew(() => true);
      schedule();
    },
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Same thresholds as autovacuum. */
function isMuch(changed: number, rows: number): boolean {
  return changed > LEAST_CHANGES + CHANGED_PART * rows;
}

function analyze(database: Database, { name, columns }: Table): Promise<void> {
  return database.transaction((session) =>
    session.script(
      `set local default_statistics_target = ${STATISTICS_TARGET};
       analyze ${name} (${columns})`,
    ),
  );
}
