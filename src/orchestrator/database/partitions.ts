import type { Database, Session } from '../../storage/database.ts';
import type { StorageSettings } from './storage-settings.ts';

// `create table x (…) /*hash column*/;` or `/*month column*/`: what a step says of a table that may be partitioned.
const PARTITIONABLE =
  /create table (?<table>\w+) \((?<body>(?:(?!create table)[\s\S])*?)\) \/\*(?<how>hash|month) (?<column>\w+)\*\/;/g;

/** A step of the schema for this installation: what may be partitioned is, or is a plain table. */
export function partitionedSchema(sql: string, settings: StorageSettings): string {
  if (!settings.partitioned) return sql;
  return sql.replaceAll(PARTITIONABLE, (...found) => {
    const { table, body, how, column } = found.at(-1) as Record<'table' | 'body' | 'how' | 'column', string>;
    const parent = (kind: string) => `create table ${table} (${body}) partition by ${kind} (${column});`;
    if (how === 'month')
      return `${parent('range')}\ncreate table ${table}_other partition of ${table} default;`;
    const children = Array.from(
      { length: settings.partitions },
      (_, remainder) =>
        `create table ${table}_${remainder} partition of ${table}
           for values with (modulus ${settings.partitions}, remainder ${remainder});`,
    );
    return [parent('hash'), ...children].join('\n');
  });
}

// So that a process that runs for long, or an owner who is on leave, does not fill the partition for everything else.
const MONTHS_AHEAD = 3;

const MONTHLY_TABLES = `
select c.relname as table from pg_partitioned_table p join pg_class c on c.oid = p.partrelid
where p.partstrat = 'r' and c.relnamespace = current_schema()::regnamespace`;

/** Makes the partitions of this month and the next ones, where they are not there yet. Needs the right to create tables. */
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

/** The same while the process runs, as the owner of the tables and not as the role that it acts as. */
export async function createMonthsAsOwner(database: Database, now: Date): Promise<void> {
  await database.transaction(async (session) => {
    await session.script('set local role none');
    await createMonths(session, now);
  });
}
