export interface Counts {
  readonly embedded: number;
  readonly embeddingMs: number;
  readonly refused: number;
  readonly failures: number;
  readonly queries: number;
  readonly query_fallbacks: number;
  readonly lastError: string | undefined;
}

/** Statistics of embedding since the start. */
export interface Tally {
  embedded(count: number, durationMs: number): void;
  /** Counts texts that the model refuses. */
  refused(count: number): void;
  /** The message never contains a text. */
  failed(message: string): void;
  worked(): void;
  query(answered: boolean): void;
  counts(): Counts;
}

export function createTally(): Tally {
  const counts = { embedded: 0, embeddingMs: 0, refused: 0, failures: 0, queries: 0, query_fallbacks: 0 };
  let lastError: string | undefined;
  return {
    embedded(count, durationMs) {
      counts.embedded += count;
      counts.embeddingMs += durationMs;
    },
    refused(count) {
      counts.refused += count;
    },
    failed(message) {
      counts.failures += 1;
      lastError = message;
    },
    worked() {
      lastError = undefined;
    },
    query(answered) {
      counts.queries += 1;
      if (!answered) counts.query_fallbacks += 1;
    },
    counts: () => ({ ...counts, lastError }),
  };
}
