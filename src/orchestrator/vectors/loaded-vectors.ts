import { LRUCache } from 'lru-cache';
import type { Database } from '../../storage/database.ts';
import { lengthOf } from './dot-product.ts';
import type { Space } from './vector-store.ts';

/** Identifies one version of a memory's vector. Another time means another vector. */
export interface VectorMark {
  readonly memory_id: string;
  readonly made: string;
}

export interface LoadedVector {
  readonly made: string;
  readonly vector: Float32Array;
  readonly length: number;
}

/** Vectors of the table, cached in this process. */
export interface LoadedVectors {
  of(space: Space, marks: readonly VectorMark[]): Promise<Map<string, LoadedVector>>;
  clear(): void;
}

// A row of 512 numbers has 5 kB as text.
const LOADED_AT_ONCE = 500;

export function createLoadedVectors(database: Database, maxVectors: number): LoadedVectors {
  const kept = new LRUCache<string, LoadedVector>({ max: maxVectors });
  const keyOf = ({ model, dimension }: Space, memoryId: string) => `${memoryId} ${dimension} ${model}`;

  async function load(space: Space, ids: readonly string[]): Promise<Map<string, LoadedVector>> {
    const loaded = new Map<string, LoadedVector>();
    for (let at = 0; at < ids.length; at += LOADED_AT_ONCE) {
      const rows = await database.query<VectorMark & { numbers: string }>(
        `select memory_id, created_at::text as made, embedding::real[]::text as numbers from vector_embeddings
         where memory_id = any($1::text[]) and embedding_model = $2 and dimension = $3 and embedding is not null`,
        [ids.slice(at, at + LOADED_AT_ONCE), space.model, space.dimension],
      );
      for (const { memory_id, made, numbers } of rows) {
        const vector = Float32Array.from(numbers.slice(1, -1).split(','), Number);
        loaded.set(memory_id, { made, vector, length: lengthOf(vector) });
      }
    }
    for (const [id, vector] of loaded) kept.set(keyOf(space, id), vector);
    return loaded;
  }

  return {
    clear: () => kept.clear(),
    async of(space, marks) {
      const found = new Map<string, LoadedVector>();
      const missing: string[] = [];
      for (const { memory_id, made } of marks) {
        const known = kept.get(keyOf(space, memory_id));
        if (known?.made === made) found.set(memory_id, known);
        else missing.push(memory_id);
      }
      for (const [id, vector] of await load(space, missing)) found.set(id, vector);
      return found;
    },
  };
}
