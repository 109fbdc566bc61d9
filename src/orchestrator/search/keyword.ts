import { matching } from '../encryption/blind-search.ts';
import type { VaultSession } from '../encryption/vault-session.ts';
import { conditionOf, Parameters, planned, type Selection, VISIBLE } from '../memories/filter.ts';
import { LIMITS } from '../wire/limits.ts';
import {
  MEMORY_COLUMNS,
  type MemoryRow,
  PAGE_BYTES,
  renderMemory,
  requireFitting,
} from '../memories/read-memories.ts';

interface FoundRow extends MemoryRow {
  /** Null in the row that has only the total, if nothing was found. */
  readonly memory_id: string | null;
  readonly total: number;
  readonly page_bytes: number;
}

interface KeywordQuery {
  readonly query: string;
  readonly selection: Selection;
  readonly limit: number;
  readonly offset: number;
}

/** Searches `content.text` for words, "phrases", or, -not. Returns one page and the total number. */
export async function searchByKeyword(
  session: VaultSession,
  { query, selection, limit, offset }: KeywordQuery,
): Promise<{ results: object[]; total: number }> {
  const parameters = new Parameters();
  const { condition, rank } = found(session, { query, selection }, parameters);
  // Reads only the page's contents. The limit prevents the planner from reading all memories.
  const rows = await session.query<FoundRow>(
    planned(
      `with matches as materialized (
         select m.memory_id, m.position, ${rank} as similarity_score from memory_entries m where ${condition}
       ), best as (
         select * from matches order by similarity_score desc, position, memory_id
         limit ${parameters.bind(limit)} offset ${parameters.bind(offset)}
       ), page as materialized (
         select found.*, best.similarity_score, best.position as place from best join lateral
           (select ${MEMORY_COLUMNS} from memory_entries m where m.memory_id = best.memory_id limit 1) found on true
       ), weight as (${PAGE_BYTES})
       select (select count(*) from matches) as total, page_bytes, page.*
       from weight left join page on page_bytes <= ${LIMITS.pageBytes}
       order by similarity_score desc, place, memory_id`,
      selection,
    ),
    parameters.values,
  );
  requireFitting(rows[0]);
  const results = rows
    .filter((row) => row.memory_id !== null)
    .map(({ total: _total, page_bytes: _bytes, place: _place, ...row }) => renderMemory(row));
  return { results, total: rows[0]?.total ?? 0 };
}

/** The ids of the best matches with any of the words, because one memory rarely has all words of a whole question. */
export async function rankByKeyword(
  session: VaultSession,
  { query, selection, depth }: Pick<KeywordQuery, 'query' | 'selection'> & { readonly depth: number },
): Promise<string[]> {
  const parameters = new Parameters();
  const { condition, rank } = found(session, { query: anyWord(query), selection }, parameters);
  const rows = await session.query<{ memory_id: string }>(
    planned(
      `select m.memory_id from memory_entries m where ${condition}
       order by ${rank} desc, m.position, m.memory_id limit ${parameters.bind(depth)}`,
      selection,
    ),
    parameters.values,
  );
  return rows.map(({ memory_id }) => memory_id);
}

function found(
  { vault }: VaultSession,
  { query, selection }: Pick<KeywordQuery, 'query' | 'selection'>,
  parameters: Parameters,
): { condition: string; rank: string } {
  const { condition, rank } = matching(vault, query, (value) => parameters.bind(value));
  const filtered = conditionOf(selection, parameters);
  return { condition: [filtered, VISIBLE, condition].filter((part) => part !== '').join(' and '), rank };
}

// A phrase, with the minus before it, or one word.
const TERM = /-?"[^"]*"|\S+/g;

/** A query in web search syntax, with "or" between its terms. A query with exclusions stays unchanged. */
export function anyWord(query: string): string {
  const terms = query.match(TERM) ?? [];
  if (terms.some((term) => term.startsWith('-'))) return query;
  return terms.filter((term) => term.toLowerCase() !== 'or').join(' or ');
}
