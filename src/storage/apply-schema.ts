import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Database } from './database.ts';
import type { Session } from './sessions/session.ts';

// An arbitrary number that no other program on the same server is likely to lock.
const SCHEMA_LOCK = 727_436_110;

// The steps of development versions were replaced before the first release. Every database that such a version made holds the first one.
const FIRST_DEVELOPMENT_STEP: Readonly<Record<string, string>> = {
  storage: '001_journal.sql',
  orchestrator: '001-memory.sql',
};

export interface SchemaOptions {
  /** Changes a step's text before it runs. */
  readonly render?: (sql: string) => string;
  /** Runs after the steps, in their transaction and under their lock. */
  readonly afterwards?: (session: Session) => Promise<void>;
}

/**
 * Applies the `*.sql` steps of a folder in name order, each once: in one transaction, under an advisory lock, recorded in `schema_steps`.
 * Safe when repeated and when two processes start at once. Steps are known by the part that owns the folder (`src/<part>/schema`).
 * @throws Error if the database holds other steps. Those of a development version cannot be converted. Those of a newer version
 * are refused, because no test has tried this version on their tables
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
    const unknown = [...done].filter((name) => !names.includes(name));
    if (unknown.length > 0) throw new Error(refusal({ part, unknown, kind: database.kind }));
    const missing = steps.filter(({ name }) => !done.has(name));
    for (const { name, sql } of missing) {
      await session.script(render(sql));
      await session.query('insert into schema_steps (part, name) values ($1, $2)', [part, name]);
    }
    await afterwards?.(session);
  });
}

interface UnknownSteps {
  readonly part: string;
  readonly unknown: readonly string[];
  readonly kind: Database['kind'];
}

/** Why the database cannot be used, and what to do. */
function refusal({ part, unknown, kind }: UnknownSteps): string {
  const steps = unknown.toSorted().join(', ');
  const first = FIRST_DEVELOPMENT_STEP[part];
  if (first === undefined || !unknown.includes(first))
    return `The database was used by a newer version: its schema (${part}) has the steps ${steps}, which this version does not know. Start the newer version, or restore a backup from before the upgrade`;
  const empty = kind === 'pglite' ? 'an empty folder for the embedded database' : 'an empty database';
  return `The database was made by a development version from before the first release: its schema (${part}) has the step ${first}. There is no way to convert it. Use ${empty}, or start the version that made it`;
}
