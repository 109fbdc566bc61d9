import type { Session } from '../../storage/database.ts';
import type { Request } from '../wire/request.ts';
import { Parameters, VISIBLE } from './filter.ts';

/** A fingerprint of a session's memories in the order of positions. */
export interface Fingerprint {
  readonly count: number;
  /** 32 hexadecimal digits. */
  readonly fingerprint: string;
}

interface FingerprintRow extends Fingerprint {
  readonly session_id: string;
}

const OF_NOTHING: Fingerprint = { count: 0, fingerprint: '0'.repeat(32) };

/**
 * PostgreSQL generates content_hash from the content, so every change by any program changes it. The tags, the escape mark and the original
 * spelling count as well. The hash of fixed length comes first, and a list of tags marks its own end, so two different lists of memories
 * never give the same bytes.
 */
const HASHED = `
string_agg(m.content_hash, ''::bytea order by m.position, m.memory_id)
  || convert_to(string_agg(m.tags::text || case when m.escaped then '!' else '' end
       || case when m.content_text is null then '' else encode(sha256(convert_to(m.content_text, 'UTF8')), 'hex') end,
     E'\\n' order by m.position, m.memory_id), 'UTF8')`;

/**
 * Fingerprints of the memories of a digest. A fingerprint changes if and only if the memories change, whichever program changes them. It reads
 * a few bytes of every row, and none of them leaves the database.
 */
export async function fingerprintsOf(
  session: Session,
  sessions: readonly string[],
  {
    memory_types: types,
    exclude_tags: tags,
  }: Pick<Request<'digest'>['payload'], 'memory_types' | 'exclude_tags'>,
): Promise<Map<string, Fingerprint>> {
  const parameters = new Parameters();
  const conditions = digestedRows(parameters, { sessions, types, tags });
  const rows = await session.query<FingerprintRow>(
    `select m.session_id, count(*)::int as count, encode(substr(sha256(${HASHED}), 1, 16), 'hex') as fingerprint
     from memory_entries m where ${conditions.join(' and ')} group by m.session_id`,
    parameters.values,
  );
  const held = new Map(rows.map(({ session_id: id, ...one }) => [id, one]));
  return new Map(sessions.map((id) => [id, held.get(id) ?? OF_NOTHING]));
}

export interface DigestedSessions {
  readonly sessions: readonly string[];
  readonly types: readonly string[] | undefined;
  /** Memories with one of these tags are excluded. */
  readonly tags: readonly string[] | undefined;
}

/** The conditions on `memory_entries m` for the rows of a digest. */
export function digestedRows(parameters: Parameters, { sessions, types, tags }: DigestedSessions): string[] {
  const conditions = [`m.session_id = any(${parameters.bind(sessions)}::text[])`, VISIBLE];
  if (types !== undefined) conditions.push(`m.memory_type = any(${parameters.bind(types)}::text[])`);
  if (tags !== undefined) conditions.push(`not m.tags && ${parameters.bind(tags)}::text[]`);
  return conditions;
}
