import { keepOn, rest } from '../embeddings/keep-on.ts';
import type { Database } from '../../storage/database.ts';
import type { Part } from '../part.ts';
import { createUncopiedVectors } from './uncopied-vectors.ts';
import type { Space } from './vector-store.ts';
import type { VertexClient } from './vertex-client.ts';

export interface VertexParts {
  readonly database: Database;
  /** The space of the index. */
  readonly space: Space;
  readonly client: VertexClient;
  /** The message never contains content. */
  readonly onFailure: (message: string) => void;
}

/** Copies the vectors of the table to the index in the background, and continues after a crash or an outage. */
export interface VertexCopies extends Part {
  wake(): void;
  /** True if the index has all vectors of the start. New vectors follow within moments. */
  isComplete(): boolean;
  /** Removes ids from the index that the table no longer has. */
  forgetStrangers(memoryIds: readonly string[]): Promise<void>;
}

const LOOK_EVERY_MS = 5_000;

export function createVertexCopies({ database, space, client, onFailure }: VertexParts): VertexCopies {
  const uncopied = createUncopiedVectors(database, space, client);
  const ending = new AbortController();
  let isBegun = false;
  let isComplete = false;
  let wake = (): void => {};
  let running: Promise<void> = Promise.resolve();

  async function copy(): Promise<void> {
    if (!isBegun) await uncopied.begin();
    isBegun = true;
    if (await uncopied.copySome()) return;
    isComplete = true;
    const woken = new Promise<void>((resolve) => (wake = resolve));
    await Promise.race([woken, rest(LOOK_EVERY_MS, ending.signal)]);
  }

  function failed(message: string): void {
    isComplete = false;
    onFailure(message);
  }

  return {
    wake: () => wake(),
    isComplete: () => isComplete,
    async forgetStrangers(memoryIds) {
      const strangers = await uncopied.strangersIn(memoryIds);
      if (strangers.length > 0) await client.remove(strangers);
    },
    async start() {
      running = keepOn(copy, ending.signal, failed);
    },
    async stop() {
      ending.abort();
      wake();
      await running;
    },
  };
}
