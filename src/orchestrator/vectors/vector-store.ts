import type { Selection } from '../memories/filter.ts';
import type { Part } from '../part.ts';

/** Vectors of one space can be compared with each other, and with no others. */
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
  /** The best so many. */
  readonly depth: number;
  /** Compare with every vector of the selection instead of asking an index. */
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
  /** The nearest first; equally near ones by id. */
  readonly neighbours: readonly Neighbour[];
  /** How many there are in all; unknown when an index was asked. */
  readonly total: number | undefined;
  /** Which store answered; not the one asked when that failed. */
  readonly store: StoreName;
  readonly exact: boolean;
}

/**
 * Where vectors are compared. They are kept in the table vector_embeddings whatever compares them; a store that holds copies
 * elsewhere is told of changes. Only memories that readers see are ever found.
 */
export interface VectorStore extends Part {
  readonly name: StoreName;
  /** @throws StorageError */
  nearest(query: NearestQuery): Promise<Nearest>;
  /** There are new vectors in the table. */
  stored(): void;
  /** These are no longer in the table. */
  removed(space: Space, memoryIds: readonly string[]): void;
}
