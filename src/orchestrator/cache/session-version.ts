import type { Session } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/prepared.ts';

/** The current version of a session's content. */
export interface SessionVersion {
  readonly version: string;
  /** Clock of the database, milliseconds. */
  readonly nowMs: number;
}

// One index lookup. It is cheap compared with reading a history, and correct for writes from every process.
const VERSION = prepared(`
select version::text as version, extract(epoch from now())::float8 * 1000 as "nowMs" from session_versions where session_id = $1`);

const EXPIRY = prepared(`
select extract(epoch from min(expires_at))::float8 * 1000 as "expiresAtMs" from memory_entries
where session_id = $1 and expires_at > now()`);

/** Undefined for a session without writes. */
export async function versionOf(session: Session, sessionId: string): Promise<SessionVersion | undefined> {
  const [row] = await session.query<SessionVersion>(VERSION, [sessionId]);
  return row;
}

/** The time, by the clock of the database, at which the next memory of the session expires; null: never. */
export async function expiryOf(session: Session, sessionId: string): Promise<number | null> {
  const [row] = await session.query<{ expiresAtMs: number | null }>(EXPIRY, [sessionId]);
  return row?.expiresAtMs ?? null;
}
