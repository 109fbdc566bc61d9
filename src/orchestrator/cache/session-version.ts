import type { Session } from '../../storage/database.ts';

/** What a session holds at this moment, in a word, and until when that stays so without anybody's doing. */
export interface SessionVersion {
  readonly version: string;
  /** Clock of the database, milliseconds. */
  readonly nowMs: number;
  readonly expiresAtMs: number | null;
}

// Two looks into an index: cheap beside reading a history, and always right, whoever wrote, from whatever process.
const VERSION = `
select v.version::text as version, extract(epoch from now())::float8 * 1000 as "nowMs",
  (select extract(epoch from min(m.expires_at))::float8 * 1000 from memory_entries m
   where m.session_id = $1 and m.expires_at > now()) as "expiresAtMs"
from session_versions v where v.session_id = $1`;

/** Undefined for a session that was never written to. */
export async function versionOf(session: Session, sessionId: string): Promise<SessionVersion | undefined> {
  const [row] = await session.query<SessionVersion>(VERSION, [sessionId]);
  return row;
}
