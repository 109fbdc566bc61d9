import type { Session } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/prepared.ts';

/** What a session holds at this moment, in a word. */
export interface SessionVersion {
  readonly version: string;
  /** Clock of the database, milliseconds. */
  readonly nowMs: number;
}

// One look into an index: cheap beside reading a history, and always right, whoever wrote, from whatever process.
const VERSION = prepared(`
select version::text as version, extract(epoch from now())::float8 * 1000 as "nowMs" from session_versions where session_id = $1`);

const EXPIRY = prepared(`
select extract(epoch from min(expires_at))::float8 * 1000 as "expiresAtMs" from memory_entries
where session_id = $1 and expires_at > now()`);

/** Undefined for a session that was never written to. */
export async function versionOf(session: Session, sessionId: string): Promise<SessionVersion | undefined> {
  const [row] = await session.query<SessionVersion>(VERSION, [sessionId]);
  return row;
}

/** Until when a version stays what it is without anybody's doing, by the clock of the database; null: for ever. */
export async function expiryOf(session: Session, sessionId: string): Promise<number | null> {
  const [row] = await session.query<{ expiresAtMs: number | null }>(EXPIRY, [sessionId]);
  return row?.expiresAtMs ?? null;
}
