import type { Session } from '../storage/database.ts';
import { conditionOf, Parameters, VISIBLE } from './filter.ts';
import { LIMITS } from './limits.ts';
import { MEMORY_COLUMNS, type MemoryRow, renderMemory } from './read-memories.ts';
import type { Request } from './request.ts';

interface FoundRow extends MemoryRow {
  /** Null in the one row that only carries the total, when nothing was found. */
  readonly memory_id: string | null;
  readonly total: number;
}

/**
 * Full-text search over `content.text`: words, "phrases", or, -not. Whatever type was asked for, the answer is by keywords and
 * says so in `search_metadata`; a keyword score is no similarity, so `min_similarity` is not applied to it.
 */
export async function search(session: Session, request: Request<'search'>): Promise<object> {
  const { payload, raw, sessionId } = request;
  const { filters = {} } = payload;
  const limit = filters.limit ?? LIMITS.pageDefault;
  const parameters = new Parameters();
  const query = `websearch_to_tsquery('simple', ${parameters.bind(payload.query)})`;
  const filtered = conditionOf({ sessionId, filter: filters, rawFilter: raw['filters'] }, parameters);
  const condition = [filtered, VISIBLE, `m.search @@ ${query}`].filter((part) => part !== '').join(' and ');
  // 32 maps the rank to 0..1.
  const rows = await session.query<FoundRow>(
    `with page as (
       select ${MEMORY_COLUMNS}, ts_rank(m.search, ${query}, 32) as similarity_score from memory_entries m where ${condition}
       order by similarity_score desc, m.position, m.memory_id
       limit ${parameters.bind(limit)} offset ${parameters.bind(filters.offset ?? 0)})
     select (select count(*) from memory_entries m where ${condition}) as total, page.* from (values (1)) one
     left join page on true order by page.similarity_score desc, page.position, page.memory_id`,
    parameters.values,
  );
  const results = rows
    .filter((row) => row.memory_id !== null)
    .map(({ total: _total, ...row }) => renderMemory(row));
  return {
    results,
    total_count: rows[0]?.total ?? 0,
    search_metadata: {
      search_type: 'keyword',
      requested: payload.search_type ?? 'keyword',
      embedding_model: null,
      query_embedding_dimension: null,
      min_similarity_applied: false,
    },
  };
}
