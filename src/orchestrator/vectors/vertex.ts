import { circuitBreaker, ConsecutiveBreaker, handleAll } from 'cockatiel';
import { messageOf } from '../../domain/errors.ts';
import type { Selection } from '../memories/filter.ts';
import { compareAll, createPgvectorStore } from './pgvector.ts';
import {
  isSameSpace,
  type Nearest,
  type NearestQuery,
  type Space,
  type VectorStore,
} from './vector-store.ts';
import type { Restrictions } from './vertex-client.ts';
import { createVertexCopies, type VertexParts } from './vertex-copies.ts';

// Filters that the index does not support are applied to its results, so more results are requested.
const SURPLUS = 3;
const MOST_NEIGHBOURS = 1_000;
const FAILURES = 3;
const REST_MS = 10_000;

/**
 * Vertex AI Vector Search finds candidates; PostgreSQL checks visibility and filters, and computes the similarity. All vectors stay in
 * pgvector, which answers if the index fails, is incomplete, or finds too few.
 */
export function createVertexStore(parts: VertexParts): VectorStore {
  const { database, space, client, onFailure } = parts;
  const pgvector = createPgvectorStore(database);
  const copies = createVertexCopies(parts);
  const breaker = circuitBreaker(handleAll, {
    halfOpenAfter: REST_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
  const failed = (error: unknown): void => onFailure(messageOf(error));

  async function askIndex(query: NearestQuery): Promise<Nearest | undefined> {
    const { selection, depth, vector } = query;
    const count = Math.min(MOST_NEIGHBOURS, depth * SURPLUS);
    const ids = await client.neighbours({ vector, count, restrictions: restrictionsOf(selection) });
    const filter = { ...selection.filter, memory_ids: ids };
    const found = await compareAll(database, { ...query, selection: { ...selection, filter } });
    // Ids that are no longer in the table would always take the places of others.
    copies.forgetStrangers(ids).catch(failed);
    // Further candidates may pass the filters.
    if (found.neighbours.length < depth && ids.length >= count) return undefined;
    return { ...found, store: 'vertex', exact: false, total: undefined };
  }

  return {
    name: 'vertex',
    async nearest(query) {
      if (!copies.isComplete() || !isForIndex(query, space)) return pgvector.nearest(query);
      try {
        return (await breaker.execute(() => askIndex(query))) ?? (await pgvector.nearest(query));
      } catch (error) {
        failed(error);
        return pgvector.nearest(query);
      }
    },
    stored: () => copies.wake(),
    removed(ofSpace, memoryIds) {
      // A vector that could not be removed is recognised when it is found.
      if (isSameSpace(ofSpace, space)) client.remove(memoryIds).catch(failed);
    },
    start: () => copies.start(),
    async stop() {
      await copies.stop();
      await client.close();
    },
  };
}

// Exact searches, and searches among given memories, need all vectors, so PostgreSQL answers them.
function isForIndex(query: NearestQuery, space: Space): boolean {
  const isNamed = query.selection.filter.memory_ids !== undefined;
  return isSameSpace(query.space, space) && !isNamed && !query.exact && query.depth <= MOST_NEIGHBOURS;
}

function restrictionsOf({ sessionId, filter }: Selection): Partial<Restrictions> {
  const types = filter.memory_type === undefined ? filter.memory_types : [filter.memory_type];
  return {
    ...(sessionId === '' ? {} : { session_id: [sessionId] }),
    ...(types === undefined ? {} : { memory_type: types }),
  };
}
