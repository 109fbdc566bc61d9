import pg from 'pg';

/** A table that is held against everybody. */
export interface TableLock {
  /** How many sessions wait for a lock in this database. */
  waiting(): Promise<number>;
  release(): Promise<void>;
}

/** Locks a table of the database at that url until it is released. */
export async function lockTable(url: string, table: string): Promise<TableLock> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`begin; lock table ${pg.escapeIdentifier(table)}`);
  return {
    async waiting() {
      const { rows } = await client.query<{ waiting: number }>(
        `select count(distinct pid)::int as waiting from pg_locks
         where not granted and pid in (select pid from pg_stat_activity where datname = current_database())`,
      );
      return rows[0]?.waiting ?? 0;
    },
    async release() {
      await client.query('commit');
      await client.end();
    },
  };
}
