import { messageOf } from '../../domain/errors.ts';
import type { Part } from '../part.ts';
import type { Space } from '../vectors/vector-store.ts';
import { keepOn, rest } from './keep-on.ts';
import { type EmbedderParts, forEachLine, renewIds } from './renew-lines.ts';
import { createSweeps } from './sweeps.ts';
import { createWaitingIds } from './waiting-ids.ts';

// An id has 64 characters, so the queue takes at most a few megabytes. Further memories are found in the tables.
const WAITING_ROOM = 20_000;
// Memories written within this time are read by one statement and embedded together.
const GATHER_MS = 20;

/** Makes vectors in the background. */
export interface Embedder extends Part {
  /** Queues written memories. */
  note(memoryIds: readonly string[]): void;
  /** Memories that this process wrote and has not embedded yet. */
  backlog(): { readonly length: number; readonly oldestMs: number };
  /** Number of memories that the current sweep has checked for this model; undefined without a sweep. */
  lookedAt(space: Space): number | undefined;
}

/**
 * Two loops. One embeds the memories that this process has written, as soon as possible. The other sweeps the tables from time to time, and
 * whenever the first loop may have missed memories: after a start, after an overflow of the queue, and for a model that is being filled.
 */
export function createEmbedder(parts: EmbedderParts): Embedder {
  const { lines, settings, tally, models, onFailure } = parts;
  const waiting = createWaitingIds(WAITING_ROOM);
  const ending = new AbortController();
  const sweeps = createSweeps(parts, ending.signal);
  let inWork = 0;
  let wake = (): void => {};
  let running: Promise<unknown> = Promise.resolve();

  async function embedWaiting(): Promise<void> {
    if (waiting.length === 0) return new Promise<void>((resolve) => (wake = resolve));
    await rest(GATHER_MS, ending.signal);
    const ids = waiting.take(settings.batchSize * settings.concurrency);
    inWork = ids.length;
    try {
      await forEachLine([lines.serving(), lines.filling()], (line) => renewIds(parts, line, ids));
      tally.worked();
    } catch (error) {
      note(ids);
      throw error;
    } finally {
      inWork = 0;
    }
  }

  function note(memoryIds: readonly string[]): void {
    if (!waiting.add(memoryIds)) sweeps.hurry();
    wake();
  }

  return {
    note,
    backlog: () => ({ length: waiting.length + inWork, oldestMs: waiting.oldestMs() }),
    lookedAt: (space) => sweeps.lookedAt(space),
    async start() {
      await lines.announce();
      await lines.refresh();
      const loops = [embedWaiting, () => sweeps.look()];
      running = Promise.all(loops.map((loop) => keepOn(loop, ending.signal, onFailure)));
    },
    async stop() {
      ending.abort();
      wake();
      await running;
      await models.release().catch((error: unknown) => onFailure(messageOf(error)));
      await lines.stop();
    },
  };
}
