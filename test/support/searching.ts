import { expect } from 'vitest';
import { eventually } from './eventually.ts';
import type { Answer, OrchestratorClient } from './orchestrator.ts';

export interface Found {
  readonly texts: readonly string[];
  readonly ids: readonly string[];
  readonly total: number;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly results: readonly Record<string, unknown>[];
}

/** One session, searched and written to. */
export interface SearchedSession {
  readonly create: (memories: readonly object[]) => Promise<string[]>;
  readonly search: (payload: object) => Promise<Found>;
  readonly ask: (action: string, payload: object) => Promise<Answer>;
  /** Resolves when every memory of the session has the vector of its present text. */
  readonly embedded: () => Promise<void>;
}

/** A memory of this text. */
export const saying = (text: string, more: object = {}) => ({ content: { text }, ...more });

export function searchedSession(client: OrchestratorClient, session_id: string): SearchedSession {
  const ask = (action: string, payload: object) => client.ask(action, payload, { session_id });

  async function search(payload: object): Promise<Found> {
    const { data, error } = await ask('search', payload);
    expect(error).toBeUndefined();
    return {
      texts: data.results.map(({ content }) => (content as { text: string }).text),
      ids: data.results.map(({ memory_id }) => String(memory_id)),
      total: data['total_count'] as number,
      metadata: data['search_metadata'] as Record<string, unknown>,
      results: data.results,
    };
  }

  return {
    ask,
    search,
    async create(memories) {
      const operations = memories.map((memory, position) => ({
        action: 'create',
        payload: { memory_type: 'context', position, create_session: true, ...memory },
      }));
      const { data, error } = await ask('batch_write', { operations });
      expect(error).toBeUndefined();
      return (data['results'] as { memory_id: string }[]).map(({ memory_id }) => memory_id);
    },
    async embedded() {
      const isEmbedded = async (): Promise<boolean> => {
        const { metadata } = await search({ query: 'anything', search_type: 'semantic' });
        return metadata['waiting_for_embedding'] === 0;
      };
      // Long enough for a model to be loaded.
      await eventually('every memory has its vector', isEmbedded, 90_000);
    },
  };
}
