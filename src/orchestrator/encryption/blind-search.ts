import type { Vault } from './vault.ts';

/** SQL over `memory_entries m`. */
export interface Matching {
  readonly condition: string;
  /** 0 to 1. */
  readonly rank: string;
}

type Bind = (value: unknown) => string;

/** The condition of a keyword search (words, "phrases", or, -not) on clear and sealed rows. */
export function matching(vault: Vault, search: string, bind: Bind): Matching {
  const queryOf = (text: string): string => `websearch_to_tsquery('simple', ${bind(text)})`;
  // 32 maps the rank to 0..1. It is a subquery, because otherwise a prepared plan parses the text for every row, 5 µs each.
  const rankOf = (query: string): string => `ts_rank(m.search, (select ${query}), 32)`;
  const clear = queryOf(search);
  const sealed = vault
    .queries(search)
    .map(({ keyId, query }) => ({ key: bind(keyId), query: queryOf(query) }));
  if (sealed.length === 0) return { condition: `m.search @@ ${clear}`, rank: rankOf(clear) };
  const conditions = [
    `m.content_key is null and m.search @@ ${clear}`,
    ...sealed.map(({ key, query }) => `m.content_key = ${key} and m.search @@ ${query}`),
  ];
  const ranks = sealed.map(({ key, query }) => `when m.content_key = ${key} then ${rankOf(query)}`);
  return {
    condition: `(${conditions.join(' or ')})`,
    rank: `case ${ranks.join(' ')} else ${rankOf(clear)} end`,
  };
}

/** The condition that sealed rows have all pairs of the metadata; false if nothing is sealed. */
export function markedWith(vault: Vault, metadata: string, bind: Bind): string {
  const conditions = vault
    .marks(metadata)
    .map(
      ({ keyId, query }) =>
        `m.content_key = ${bind(keyId)} and coalesce(m.content -> '$metadata', '[]') @> ${bind(JSON.stringify(query))}::jsonb`,
    );
  return conditions.length === 0 ? 'false' : `(${conditions.join(' or ')})`;
}
