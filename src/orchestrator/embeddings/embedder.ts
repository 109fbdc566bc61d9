import { messageOf } from '../../domain/errors.ts';
import type { Part } from '../part.ts';
import type { Space } from '../vectors/vector-store.ts';
import { keepOn, rest } from './keep-on.ts';
import { type EmbedderParts, forEachLine, renewIds } from './renew.ts';
import type { Line } from './lines.ts';

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
 * whenever the first loop may have missed memories. That is after a start, after an overflow of the queue, and for a model that is being
 * filled.
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

/** Ids of written memories that may need a vector, oldest first, without duplicates. */
interface WaitingIds {
  /** False if the queue is full. Only a sweep of the tables finds the dropped ids. */
  add(memoryIds: readonly string[]): boolean;
  take(count: number): string[];
  readonly length: number;
  /** Milliseconds that the oldest id has waited. */
  oldestMs(): number;
}

function createWaitingIds(room: number): WaitingIds {
  // A map keeps the order of insertion.
  const since = new Map<string, number>();
  return {
    add(memoryIds) {
      for (const id of memoryIds) {
        if (since.has(id)) continue;
        if (since.size >= room) return false;
        since.set(id, performance.now());
      }
      return true;
    },
    take(count) {
      const taken: string[] = [];
      for (const id of since.keys()) {
        if (taken.length === count) break;
        taken.push(id);
        since.delete(id);
      }
      return taken;
    },
    get length() {
      return since.size;
    },
    oldestMs() {
      const [oldest] = since.values();
      return oldest === undefined ? 0 : performance.now() - oldest;
    },
  };
}

const PAGE = 500;
// After a crash other processes wait this long. A batch that takes longer may be made twice.
const LEASE_MS = 10_000;
const LOOK_EVERY_MS = 2_000;

/** Searches the tables for missing vectors. */
interface Sweeps {
  /** Checks for work and does all of it. Takes at least two seconds. */
  look(): Promise<void>;
  /** Makes the next look sweep all memories. */
  hurry(): void;
  /** Number of memories that the current or failed sweep has checked for this model; undefined without a sweep. */
  lookedAt(space: Space): number | undefined;
}

function createSweeps(parts: EmbedderParts, signal: AbortSignal): Sweeps {
  const { lines, settings } = parts;
  const progress = new Map<string, number>();
  let sweepAt = 0;

  async function sweepAll(): Promise<void> {
    const isDue = performance.now() >= sweepAt;
    if (isDue) sweepAt = performance.now() + settings.sweepEverySeconds * 1_000;
    const filling = lines.filling();
    try {
      await forEachLine([isDue ? lines.serving() : undefined, filling], (line) =>
        sweep(parts, line, { progress, signal }),
      );
    } catch (error) {
      sweepAt = 0;
      throw error;
    }
    progress.clear();
    await lines.refresh();
    // Sweep again, to find memories that were written during the filling and missed.
    if (filling !== undefined && lines.filling() === undefined) sweepAt = 0;
  }

  return {
    hurry() {
      sweepAt = 0;
    },
    lookedAt: (space) => progress.get(keyOf(space)),
    async look() {
      await lines.refresh();
      await sweepAll();
      await dropRetired(parts, signal);
      await rest(LOOK_EVERY_MS, signal);
    },
  };
}

interface SweepRun {
  readonly progress: Map<string, number>;
  readonly signal: AbortSignal;
}

function keyOf({ model, dimension }: Space): string {
  return `${dimension} ${model}`;
}

/** Sweeps all memories for one model. Does nothing if another process already does so. */
async function sweep(parts: EmbedderParts, line: Line, { progress, signal }: SweepRun): Promise<void> {
  const { models, memories } = parts;
  const isFilling = line.state === 'filling';
  let { cursor, lookedAt } = isFilling ? line : { cursor: '', lookedAt: 0 };
  while (!signal.aborted) {
    if (!(await models.lease(line.space, LEASE_MS))) return;
    const page = await memories.stalePage(line.space, cursor, PAGE);
    if (page.last === undefined) {
      if (isFilling) await models.serve(line.space);
      return;
    }
    const ids = page.stale.map(({ memoryId }) => memoryId);
    // Memories that need no vector count at once; a page of the others may take minutes.
    const passed = page.lookedAt - ids.length;
    const renewed = (count: number): unknown => progress.set(keyOf(line.space), lookedAt + passed + count);
    renewed(0);
    if (!(await renewUnderLease(parts, line, { ids, renewed, signal }))) return;
    cursor = page.last;
    lookedAt += page.lookedAt;
    progress.set(keyOf(line.space), lookedAt);
    await models.saveProgress(line.space, cursor, lookedAt);
  }
}

interface Renewal {
  readonly ids: readonly string[];
  /** Reports finished memories. */
  readonly renewed: (count: number) => void;
  readonly signal: AbortSignal;
}

/** False if it was stopped, or another process took over. */
async function renewUnderLease(
  parts: EmbedderParts,
  line: Line,
  { ids, renewed, signal }: Renewal,
): Promise<boolean> {
  const size = parts.settings.batchSize * parts.settings.concurrency;
  for (let at = 0; at < ids.length; at += size) {
    if (signal.aborted || !(await parts.models.lease(line.space, LEASE_MS))) return false;
    // They are read again, because the other loop may have embedded them in the meantime.
    await renewIds(parts, line, ids.slice(at, at + size));
    renewed(Math.min(at + size, ids.length));
  }
  return true;
}

async function dropRetired(
  { lines, models, vectors, settings }: EmbedderParts,
  signal: AbortSignal,
): Promise<void> {
  for (const model of lines.retired()) {
    // Other processes check every two seconds, and search these vectors until then.
    if (model.ageMs < settings.keepRetiredSeconds * 1_000) continue;
    while (!signal.aborted && (await vectors.removeSome(model, PAGE)));
    if (!signal.aborted) await models.forget(model);
  }
}
