import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from './database.ts';
import type { Session } from './sessions/session.ts';

// An arbitrary number that no other program on the same server is likely to lock.
const SCHEMA_LOCK = 727_436_110;

export interface SchemaOptions {
  /** Transforms a step's text before it runs. */
  readonly render?: (sql: string) => string;
  /** Runs after the steps, in their transaction and under their lock. `applied` are the new steps. */
  readonly afterwards?: (session: Session, applied: readonly string[]) => Promise<void>;
}

/**
 * Applies the `*.sql` steps of a folder in name order, each once: in one transaction, under an advisory lock, recorded in `schema_steps`.
 * Safe to repeat, and for two processes that start at once. Steps belong to the part that owns the folder (`src/<part>/schema`).
 * @throws Error if a newer version has applied steps that this one does not know, because this combination is untested
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
    `The database was used by a newer version: its schema (${part}) has the steps ${unknown.toSorted().join(', ')}, which this version does not know. Start the newer version, or restore a backup from before the upgrade`,
  );
}
