import { LRUCache } from 'lru-cache';
import type { Database } from '../../storage/database.ts';
import { Parameters } from '../memories/filter.ts';
import { fromSelected, nearestFirst } from './pgvector.ts';
import type { Neighbour, Space, Vector, VectorStore } from './vector-store.ts';

/**
 * Compares every vector of the selection in this process, for development, and for a PostgreSQL without pgvector. The database returns the
 * selected memories and the times of their vectors; missing vectors are loaded.
 */
export function createInProcessStore(database: Database, maxVectors: number): VectorStore {
  const loaded = createLoadedVectors(database, maxVectors);
  return {
    name: 'in_process',
    async nearest({ space, selection, vector, depth, minSimilarity = -2 }) {
      const parameters = new Parameters();
      const marks = await database.query<VectorMark>(
        `select e.memory_id, e.created_at::text as made ${fromSelected(space, selection, parameters)}`,
        parameters.values,
      );
      const length = lengthOf(vector);
      const found: Neighbour[] = [];
      for (const [memoryId, candidate] of await loaded.of(space, marks)) {
        const similarity = dot(vector, candidate.vector) / (length * candidate.length);
        if (similarity >= minSimilarity) found.push({ memoryId, similarity });
      }
      const neighbours = found.toSorted(nearestFirst).slice(0, depth);
      return { neighbours, total: found.length, store: 'in_process', exact: true };
    },
    stored: () => {},
    removed: () => {},
    start: async () => {},
    stop: async () => loaded.clear(),
  };
}

/** Identifies one version of a memory's vector. Another time means another vector. */
interface VectorMark {
  readonly memory_id: string;
  readonly made: string;
}

interface LoadedVector {
  readonly made: string;
  readonly vector: Float32Array;
  readonly length: number;
}

/** Vectors of the table, cached in this process. */
interface LoadedVectors {
  of(space: Space, marks: readonly VectorMark[]): Promise<Map<string, LoadedVector>>;
  clear(): void;
}

// A row of 512 numbers has 5 kB as text.
const LOADED_AT_ONCE = 500;

function createLoadedVectors(database: Database, maxVectors: number): LoadedVectors {
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

function dot(one: Vector, other: Vector): number {
  let sum = 0;
  for (let index = 0; index < one.length; index += 1) sum += (one[index] ?? 0) * (other[index] ?? 0);
  return sum;
}

function lengthOf(vector: Vector): number {
  return Math.sqrt(dot(vector, vector));
}
