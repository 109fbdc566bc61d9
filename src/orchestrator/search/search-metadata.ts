import type { NoMeaningReason } from '../embeddings/meaning.ts';
import type { NoVectorReason } from '../embeddings/query-vectors.ts';
import type { StoreName } from '../vectors/vector-store.ts';

export type SearchType = 'semantic' | 'keyword' | 'hybrid';

/** Why a search was answered by keywords although meaning was asked for. */
export type FallbackReason = NoMeaningReason | NoVectorReason;

/** How a search by meaning was carried out. */
export interface MeaningUsed {
  readonly model: string;
  readonly dimension: number;
  readonly store: StoreName;
  /** Every vector was compared. */
  readonly exact: boolean;
  /** Of the memories that the filters let through, how many have no vector of their present text yet. */
  readonly waiting: number;
  /** There were too many to count: `waiting` is of all that this process wrote. */
  readonly isWaitingEstimated: boolean;
  /** There are more results than `total_count` says. */
  readonly isTotalLowerBound: boolean;
}

export interface SearchFacts {
  readonly requested: SearchType;
  readonly used: SearchType;
  readonly minSimilarityApplied: boolean;
  readonly meaning?: MeaningUsed;
  readonly fallback?: FallbackReason;
}

/** `search_metadata` on the wire: what was really done. */
export function renderMetadata({
  requested,
  used,
  minSimilarityApplied,
  meaning,
  fallback,
}: SearchFacts): object {
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
