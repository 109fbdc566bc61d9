import type { Database } from '../../storage/database.ts';
import { Parameters } from '../memories/filter.ts';
import { dot, lengthOf } from './dot-product.ts';
import { createLoadedVectors, type VectorMark } from './loaded-vectors.ts';
import { nearestFirst } from './pgvector.ts';
import { fromSelected } from './selected-vectors.ts';
import type { Neighbour, VectorStore } from './vector-store.ts';

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
