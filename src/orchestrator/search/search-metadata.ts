import type { NoMeaningReason } from '../embeddings/meaning.ts';
import type { NoVectorReason } from '../embeddings/query-vectors.ts';
import type { StoreName } from '../vectors/vector-store.ts';

export type SearchType = 'semantic' | 'keyword' | 'hybrid';

/** Why a keyword search replaced a semantic one. */
export type FallbackReason = NoMeaningReason | NoVectorReason;

/** How a semantic search was executed. */
export interface MeaningUsed {
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

export interface SearchFacts {
  readonly requested: SearchType;
  readonly used: SearchType;
  readonly minSimilarityApplied: boolean;
  readonly meaning?: MeaningUsed;
  readonly fallback?: FallbackReason;
}

/** `search_metadata` of the answer: how the search was executed. */
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
