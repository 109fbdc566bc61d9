import { ValidationError } from '../../domain/errors.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { Call } from '../call.ts';
import { checkedVector } from '../embeddings/supplied-vectors.ts';
import type { NoMeaningReason, Searchable } from '../embeddings/meaning.ts';
import type { VaultSession } from '../encryption/vault-session.ts';
import { type Selection, VISIBLE } from '../memories/filter.ts';
import { LIMITS } from '../wire/limits.ts';
import {
  MEMORY_COLUMNS,
  type MemoryRow,
  PAGE_BYTES,
  renderMemory,
  requireFitting,
} from '../memories/read-memories.ts';
import type { Request } from '../wire/request.ts';
import type { Nearest, StoreName, Vector } from '../vectors/vector-store.ts';
import type { NoVectorReason } from '../embeddings/query-vectors.ts';
import { rankByKeyword, searchByKeyword } from './keyword.ts';

/** A validated search. */
interface Plan {
  readonly requested: SearchType;
  readonly query: string;
  readonly queryVector: readonly number[] | undefined;
  readonly selection: Selection;
  readonly limit: number;
  readonly offset: number;
  readonly minSimilarity: number | undefined;
  readonly wantsExact: boolean;
}

/** One result before its memory is read. */
interface Hit {
  readonly memoryId: string;
  readonly scores: { readonly similarity_score: number; readonly [name: string]: number };
}

interface Found {
  readonly hits: readonly Hit[];
  readonly total: number;
  readonly facts: Omit<SearchFacts, 'requested'>;
}

/**
 * All pages of one fused ranking must come from the same two lists. Nearly all pages end within the first depth; the last depth is
 * pgvector's limit. The first ten results of two lists of 1,000 were compared with those of shorter lists. Lists of 200 give 88 % of them,
 * of 100 83 %, of 40 76 %. That was the worst case: 5,000 memories with unrelated words and vectors. On the embedded database a list of 100
 * takes 2.5 ms, of 200 5 ms, of 1,000 25 ms.
 */
export const FUSED_DEPTHS = [100, 1_000] as const;

/**
 * Semantic, keyword or hybrid search. If semantic search is not available, the answer is a keyword search, with the reason in
 * `search_metadata`. `min_similarity` does not apply to keyword scores, because they are not similarities.
 */
export async function search({ parts, request }: Call<'search'>): Promise<object> {
  const { database, meaning } = parts;
  const plan = planOf(request, database);
  if (plan.requested === 'keyword') return byKeyword(database, plan);
  const searchable = meaning?.searchable() ?? 'embedding_off';
  if (typeof searchable === 'string') return byKeyword(database, plan, searchable);
  const asked = await vectorOf(plan, searchable);
  if ('reason' in asked) return byKeyword(database, plan, asked.reason);
  const near = await findNearest(database, plan, { searchable, vector: asked.vector });
  const found = plan.requested === 'semantic' ? near.found : await withKeywords(database, plan, near);
  return {
    results: await readHits(database, found.hits),
    total_count: found.total,
    search_metadata: renderMetadata({ requested: plan.requested, ...found.facts }),
  };
}

/** @throws ValidationError */
function planOf({ payload, raw, sessionId }: Request<'search'>, { vault }: VaultSession): Plan {
  const { filters = {}, query = '', exact = false, query_vector: queryVector } = payload;
  const { limit = LIMITS.pageDefault, offset = 0, min_similarity: minSimilarity } = filters;
  const requested = payload.search_type ?? (queryVector === undefined ? 'keyword' : 'semantic');
  const canDoWithout = requested === 'semantic' && queryVector !== undefined;
  if (!canDoWithout) requireQuery(query);
  return {
    requested,
    query,
    queryVector,
    selection: { sessionId, filter: filters, rawFilter: raw['filters'], vault },
    limit,
    offset,
    minSimilarity,
    wantsExact: exact,
  };
}

function requireQuery(query: string): void {
  if (query === '') throw new ValidationError('query is required', { details: { field: 'query' } });
}

async function byKeyword(session: VaultSession, plan: Plan, fallback?: FallbackReason): Promise<object> {
  const { results, total } = await searchByKeyword(session, plan);
  const facts = { requested: plan.requested, used: 'keyword', minSimilarityApplied: false } as const;
  return {
    results,
    total_count: total,
    search_metadata: renderMetadata(fallback === undefined ? facts : { ...facts, fallback }),
  };
}

async function vectorOf(
  { query, queryVector }: Plan,
  { line, queries }: Searchable,
): Promise<{ vector: Vector } | { reason: FallbackReason }> {
  if (queryVector === undefined) return queries.of(query, line);
  checkedVector(queryVector, 'query_vector', line.space);
  return { vector: queryVector };
}

interface Near {
  readonly found: Found;
  readonly nearest: Nearest;
}

async function findNearest(
  session: VaultSession,
  plan: Plan,
  { searchable, vector }: { searchable: Searchable; vector: Vector },
): Promise<Near> {
  const { selection, minSimilarity, limit, offset } = plan;
  const { store, census, line } = searchable;
  const { space } = line;
  const waiting = await census.waiting(session, { selection, space });
  const end = offset + limit;
  const depth = plan.requested === 'hybrid' ? fusedDepth(end) : end;
  // Comparing a few hundred vectors is faster than an index scan with filters, and misses nothing.
  const exact = plan.wantsExact || waiting !== undefined;
  const nearest = await store.nearest({ space, vector, selection, depth, exact, minSimilarity });
  const total = nearest.total ?? nearest.neighbours.length;
  const facts = {
    used: plan.requested,
    minSimilarityApplied: minSimilarity !== undefined,
    meaning: {
      ...space,
      store: nearest.store,
      exact: nearest.exact,
      // If there were too many to count, the number that this process knows.
      waiting: waiting ?? searchable.waiting(),
      isWaitingEstimated: waiting === undefined,
      isTotalLowerBound: nearest.total === undefined,
    },
  };
  const hits = nearest.neighbours
    .slice(offset, end)
    .map(({ memoryId, similarity }) => ({ memoryId, scores: { similarity_score: similarity } }));
  return { found: { hits, total, facts }, nearest };
}

function fusedDepth(end: number): number {
  return FUSED_DEPTHS.find((depth) => end <= depth) ?? end;
}

async function withKeywords(session: VaultSession, plan: Plan, { found, nearest }: Near): Promise<Found> {
  const { query, selection, offset, limit } = plan;
  const depth = fusedDepth(offset + limit);
  const byWords = await rankByKeyword(session, { query, selection, depth });
  const byMeaning = nearest.neighbours.map(({ memoryId }) => memoryId);
  const similarities = new Map(nearest.neighbours.map(({ memoryId, similarity }) => [memoryId, similarity]));
  const fused = fuse([byMeaning, byWords]);
  const hits = fused.slice(offset, offset + limit).map(({ memoryId, score }): Hit => {
    const similarity = similarities.get(memoryId);
    return {
      memoryId,
      scores: {
        similarity_score: score,
        ...(similarity === undefined ? {} : { semantic_similarity: similarity }),
      },
    };
  });
  const isCut = byWords.length === depth || found.total > nearest.neighbours.length;
  const { meaning } = found.facts;
  return {
    hits,
    total: fused.length,
    facts:
      meaning === undefined
        ? found.facts
        : { ...found.facts, meaning: { ...meaning, isTotalLowerBound: meaning.isTotalLowerBound || isCut } },
  };
}

const READ_HITS = prepared(
  `with page as materialized (
     select ${MEMORY_COLUMNS} from memory_entries m where m.memory_id = any($1::text[]) and ${VISIBLE}
   ), weight as (${PAGE_BYTES})
   select page_bytes, page.* from weight left join page on page_bytes <= ${LIMITS.pageBytes}`,
);

interface HitRow extends MemoryRow {
  readonly page_bytes: number;
}

/** Omits memories that were deleted after they were found. */
async function readHits(session: VaultSession, hits: readonly Hit[]): Promise<object[]> {
  if (hits.length === 0) return [];
  const rows = await session.query<HitRow>(READ_HITS, [hits.map(({ memoryId }) => memoryId)]);
  requireFitting(rows[0]);
  const memories = new Map(rows.map(({ page_bytes: _bytes, ...row }) => [row['memory_id'], row]));
  return hits.flatMap(({ memoryId, scores }) => {
    const row = memories.get(memoryId);
    return row === undefined ? [] : [renderMemory({ ...row, ...scores })];
  });
}

/** The constant of reciprocal rank fusion, as measured by its authors. Higher values reduce the weight of the first ranks. */
const DAMPING = 60;

interface Fused {
  readonly memoryId: string;
  /** 1 if first in both lists. */
  readonly score: number;
}

/** Reciprocal rank fusion. Only ranks count, because scores of different kinds cannot be compared. Equal scores are ordered by id. */
export function fuse(rankings: readonly (readonly string[])[]): Fused[] {
  const scores = new Map<string, number>();
  for (const ranking of rankings)
    ranking.forEach((memoryId, index) =>
      scores.set(memoryId, (scores.get(memoryId) ?? 0) + 1 / (DAMPING + 1 + index)),
    );
  const best = rankings.length / (DAMPING + 1);
  return [...scores]
    .map(([memoryId, score]) => ({ memoryId, score: score / best }))
    .toSorted((one, other) => other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1));
}

type SearchType = 'semantic' | 'keyword' | 'hybrid';

/** Why a keyword search replaced a semantic one. */
type FallbackReason = NoMeaningReason | NoVectorReason;

/** How a semantic search was executed. */
interface MeaningUsed {
  readonly model: string;
  readonly dimension: number;
  readonly store: StoreName;
  /** Every vector was compared. */
  readonly exact: boolean;
  /** Number of selected memories without a vector of their current text. */
  readonly waiting: number;
  /** There were too many to count, so `waiting` counts the memories that this process wrote. */
  readonly isWaitingEstimated: boolean;
  /** There are more results than `total_count`. */
  readonly isTotalLowerBound: boolean;
}

interface SearchFacts {
  readonly requested: SearchType;
  readonly used: SearchType;
  readonly minSimilarityApplied: boolean;
  readonly meaning?: MeaningUsed;
  readonly fallback?: FallbackReason;
}

/** `search_metadata` of the answer: how the search was executed. */
function renderMetadata({ requested, used, minSimilarityApplied, meaning, fallback }: SearchFacts): object {
  return {
    search_type: used,
    requested,
    embedding_model: meaning?.model ?? null,
    query_embedding_dimension: meaning?.dimension ?? null,
    min_similarity_applied: minSimilarityApplied,
    vector_store: meaning?.store,
    exact: meaning?.exact,
    waiting_for_embedding: meaning?.waiting,
    waiting_is_estimate: meaning?.isWaitingEstimated,
    total_is_lower_bound: meaning?.isTotalLowerBound,
    fallback,
  };
}
