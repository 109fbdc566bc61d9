/** Statements that PostgreSQL plans once for each connection, by text. Their names mean nothing to another process. */
const names = new Map<string, string>();

/** Every connection keeps each of them for as long as it lives. */
const MOST = 256;

/**
 * Marks a statement whose planning costs about as much as its execution, and which runs often. For texts that are fixed, or put
 * together from a few parts; beyond 256 of them the others are planned each time.
 */
export function prepared(sql: string): string {
  if (!names.has(sql) && names.size < MOST) names.set(sql, `crossfade_${names.size + 1}`);
  return sql;
}

export function nameOfPrepared(sql: string): string | undefined {
  return names.get(sql);
}
