import { messageOf } from '../../domain/errors.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';

/** PostgreSQL counts the changes of each table itself, and tells them once a second at most. */
const LOOK_EVERY_MS = 2_000;
/** A table is looked after when so many rows changed, and this part of all. */
const LEAST_CHANGES = 50;
const CHANGED_PART = 0.2;
/** 300 rows of a table are read for each: 3,000 at most, within 20 ms, since nobody else gets a turn meanwhile. */
const STATISTICS_TARGET = 10;
/**
 * New texts wait outside the order of the index for words, and every search looks through those that wait. Autovacuum clears them away;
 * here the write does that fills so much: some 200 texts, 20 ms. At PostgreSQL's 4 MB a search among 5,000 texts took six times as long.
 */
const PENDING_KB = 64;

interface Table {
  readonly name: string;
  readonly columns: string;
  /** Since PostgreSQL began to count. */
  readonly changes: number;
  /** Rows that nobody can see any more and whose space is still taken. */
  readonly dead: number;
  /** As the planner knows it. */
  readonly rows: number;
}

// Of a table in partitions, the whole. Naming the columns leaves out the expressions of indexes. Of contents and vectors the planner
// is never asked: those of 6,000 vectors take 380 ms, all else of their table 8. For that, PostgreSQL does not begin to count anew.
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
 * What autovacuum does for a server, and nobody for the embedded database: it would plan for empty tables for ever, and never use the
 * space of a row again. To be started as the owner of the tables, before a role is taken on that may only maintain them.
 */
export function createUpkeep(database: Database, onError: (message: string) => void): Part {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let running: Promise<void> = Promise.resolve();

  const changesAtLast = new Map<string, number>();

  function isOutgrown({ name, changes, rows }: Table): boolean {
    return isMuch(changes - (changesAtLast.get(name) ?? 0), rows);
  }

  /** A statement for each table, so that callers get their turn in between. */
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

/** As autovacuum has it. */
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
