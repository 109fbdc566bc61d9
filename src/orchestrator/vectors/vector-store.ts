import type { Selection } from '../memories/filter.ts';
import type { Part } from '../part.ts';

/** Only vectors of the same space can be compared. */
export interface Space {
  readonly model: string;
  readonly dimension: number;
}

export type Vector = Float32Array | readonly number[];

export function isSameSpace(one: Space, other: Space): boolean {
  return one.model === other.model && one.dimension === other.dimension;
}

export interface NearestQuery {
  readonly space: Space;
  readonly vector: Vector;
  readonly selection: Selection;
  /** Number of results. */
  readonly depth: number;
  /** Compare every vector of the selection instead of using an index. */
  readonly exact: boolean;
  /** Cosine similarity. */
  readonly minSimilarity: number | undefined;
}

export interface Neighbour {
  readonly memoryId: string;
  /** Cosine similarity, at most 1. */
  readonly similarity: number;
}

export type StoreName = 'pgvector' | 'in_process' | 'vertex';

export interface Nearest {
  /** Nearest first; equal distances are ordered by id. */
  readonly neighbours: readonly Neighbour[];
  /** Total number; undefined if an index was used. */
  readonly total: number | undefined;
  /** The store that answered. It differs from the configured one if that failed. */
  readonly store: StoreName;
  readonly exact: boolean;
}

/**
 * Compares vectors. The table vector_embeddings always has all vectors; a store with copies elsewhere is notified of changes. Only visible
 * memories are found.
 */
export interface VectorStore extends Part {
  readonly name: StoreName;
  /** @throws StorageError */
  nearest(query: NearestQuery): Promise<Nearest>;
  /** Call it after new vectors are in the table. */
  stored(): void;
  /** Call it after vectors were removed from the table. */
  removed(space: Space, memoryIds: readonly string[]): void;
}
