import type { Database, Session } from '../../storage/database.ts';
import type { StorageSettings } from './storage-settings.ts';

// `create table x (…) with (…) /*hash column*/;` or `/*month column*/`: the comment says how the table may be partitioned.
const PARTITIONABLE =
  /create table (?<table>\w+) \((?<body>(?:(?!create table)[\s\S])*?)\)(?<options> with \([^)]*\))? \/\*(?<how>hash|month) (?<column>\w+)\*\/;/g;

type Partitionable = Readonly<Record<'table' | 'body' | 'how' | 'column', string>> & {
  readonly options?: string;
};

/** A step of the schema for this installation: a table that may be partitioned is, or is a plain table. */
export function partitionedSchema(sql: string, settings: StorageSettings): string {
  if (!settings.partitioned) return sql;
  return sql.replaceAll(PARTITIONABLE, (...found) => {
    const { table, body, options = '', how, column } = found.at(-1) as Partitionable;
    const parent = (kind: string) => `create table ${table} (${body}) partition by ${kind} (${column});`;
    // PostgreSQL takes storage options of partitions only.
    const child = (name: string, bound: string) =>
      `create table ${table}_${name} partition of ${table} ${bound}${options};`;
    if (how === 'month') return [parent('range'), child('other', 'default')].join('\n');
    const children = Array.from({ length: settings.partitions }, (_, remainder) =>
      child(`${remainder}`, `for values with (modulus ${settings.partitions}, remainder ${remainder})`),
    );
    return [parent('hash'), ...children].join('\n');
  });
}

// Created in advance, so that rows do not go to the default partition if the creation fails for some time.
const MONTHS_AHEAD = 3;

const MONTHLY_TABLES = `
select c.relname as table from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
where p.partstrat = 'r' and c.relnamespace = current_schema()::regnamespace`;

/** Creates the missing partitions of this month and the next ones. Needs the right to create tables. */
export async function createMonths(session: Session, now: Date): Promise<void> {
  const tables = await session.query<{ table: string }>(MONTHLY_TABLES);
  for (const { table } of tables)
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead += 1) await session.script(monthOf(table, now, ahead));
}

function monthOf(table: string, now: Date, ahead: number): string {
  const first = (months: number) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + months));
  const from = first(ahead).toISOString();
  const name = `${table}_${from.slice(0, 7).replace('-', '_')}`;
  return `create table if not exists ${name} partition of ${table}
    for values from ('${from}') to ('${first(ahead + 1).toISOString()}')`;
}

/** The same in a running process, as the owner of the tables instead of the application role. */
export async function createMonthsAsOwner(database: Database, now: Date): Promise<void> {
  await database.transaction(async (session) => {
    await session.script('set local role none');
    await createMonths(session, now);
  });
}
