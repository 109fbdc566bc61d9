import { LRUCache } from 'lru-cache';
import { messageOf } from '../../domain/errors.ts';
import { within } from '../../shared/within.ts';
import type { Vector } from '../vectors/vector-store.ts';
import type { EmbeddingSettings } from '../settings.ts';
import type { Line } from './lines.ts';
import { clipped } from './provider.ts';
import type { Tally } from './tally.ts';

/** Why a query has no vector. */
export type NoVectorReason = 'query_embedding_timeout' | 'query_embedding_failed';

type QueryVector = { readonly vector: Vector } | { readonly reason: NoVectorReason };

/** Embeds the queries of searches, within a deadline. */
export interface QueryVectors {
  of(query: string, line: Line): Promise<QueryVector>;
}

// Paging repeats the same query.
const KEPT_QUERIES = 256;

export function createQueryVectors(
  { queryTimeoutMs, maxTextCharacters }: EmbeddingSettings,
  tally: Tally,
): QueryVectors {
  const kept = new LRUCache<string, Vector>({ max: KEPT_QUERIES });

  async function embed(query: string, { provider, space }: Line): Promise<Vector> {
    const key = `${space.dimension} ${space.model}\n${query}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    // A vector that is too late for this search is cached for the next one.
    const text = clipped(query, maxTextCharacters);
    const [vector] = (await provider?.embed([text], AbortSignal.timeout(2 * queryTimeoutMs))) ?? [];
    if (vector === undefined) throw new Error('No embedding provider is configured for queries');
    kept.set(key, vector);
    return vector;
  }

  return {
    async of(query, line) {
      const embedded = embed(query, line).then(
        (vector) => {
          tally.worked();
          return { vector };
        },
        (error: unknown): QueryVector => {
          tally.failed(messageOf(error));
          return { reason: 'query_embedding_failed' };
        },
      );
      const tooLate = (): QueryVector => ({ reason: 'query_embedding_timeout' });
      const result = await within(embedded, queryTimeoutMs, { what: 'the embedding' }).catch(tooLate);
      tally.query('vector' in result);
      return result;
    },
  };
}
