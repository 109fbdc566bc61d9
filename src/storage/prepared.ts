/** Statements that PostgreSQL plans once for each connection, by text. Their names mean nothing to another process. */
const names = new Map<string, string>();

/**
 * Marks a statement whose planning costs about as much as its execution, and which runs with every write. Only for texts that are
 * fixed: each is kept by every connection for as long as it lives.
 */
export function prepared(sql: string): string {
  if (!names.has(sql)) names.set(sql, `crossfade_${names.size + 1}`);
  return sql;
}

export function nameOfPrepared(sql: string): string | undefined {
  return names.get(sql);
}
