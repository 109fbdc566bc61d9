/** Statements that PostgreSQL plans once per connection, by text. Their names are valid only in this process. */
const names = new Map<string, string>();

/** Limit, because every connection keeps each of them for its whole life. */
const MOST = 256;

/**
 * Marks a frequent statement whose planning costs about as much as its execution. Use it for fixed texts, or texts built from a few parts:
 * beyond 256 texts, further ones are planned each time.
 */
export function prepared(sql: string): string {
  if (!names.has(sql) && names.size < MOST) names.set(sql, `crossfade_${names.size + 1}`);
  return sql;
}

export function nameOfPrepared(sql: string): string | undefined {
  return names.get(sql);
}
