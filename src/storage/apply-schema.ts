import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from './database.ts';
import type { Session } from './sessions/session.ts';

// Any number that no other program on the same server is likely to lock.
const SCHEMA_LOCK = 727_436_110;

export interface SchemaOptions {
  /** What a step's text becomes before it runs. */
  readonly render?: (sql: string) => string;
  /** Runs behind the steps, in their transaction and under their lock. `applied` are the steps that were new. */
  readonly afterwards?: (session: Session, applied: readonly string[]) => Promise<void>;
}

/**
 * Applies the `*.sql` steps of a folder in name order, each once: in one transaction, under an advisory lock, recorded in `schema_steps`.
 * Safe when repeated and when two processes start at once. Steps are known by the part that owns the folder (`src/<part>/schema`).
 * @throws Error where a newer version has applied steps that this one does not know: what it would do to their tables nobody has tried
 */
export async function applySchema(
  database: Database,
  folder: URL,
  { render = (sql) => sql, afterwards }: SchemaOptions = {},
): Promise<void> {
  const path = fileURLToPath(folder).replace(/\/$/, '');
  const part = basename(dirname(path));
  const names = (await readdir(path)).filter((name) => name.endsWith('.sql')).sort();
  const steps = await Promise.all(
    names.map(async (name) => ({ name, sql: await readFile(join(path, name), 'utf8') })),
  );
  await database.transaction(async (session) => {
    if (database.kind === 'postgres') await session.script('set local statement_timeout = 0');
    await session.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
    await session.script(
      `create table if not exists schema_steps (
         part text not null, name text not null, applied_at timestamptz not null default now(), primary key (part, name))`,
    );
    const known = await session.query<{ name: string }>('select name from schema_steps where part = $1', [
      part,
    ]);
    const done = new Set(known.map(({ name }) => name));
    refuseUnknown(
      part,
      [...done].filter((name) => !names.includes(name)),
    );
    const missing = steps.filter(({ name }) => !done.has(name));
    for (const { name, sql } of missing) {
      await session.script(render(sql));
      await session.query('insert into schema_steps (part, name) values ($1, $2)', [part, name]);
    }
    await afterwards?.(
      session,
      missing.map(({ name }) => name),
    );
  });
}

function refuseUnknown(part: string, unknown: readonly string[]): void {
  if (unknown.length === 0) return;
  throw new Error(
    `The database was used by a newer version: its tables (${part}) are at ${unknown.toSorted().join(', ')}, which this version does not know. Start the newer version, or restore a backup from before it`,
  );
}
