import type { Space } from '../vectors/vector-store.ts';
import { rest } from './keep-on.ts';
import type { Line } from './lines.ts';
import { type EmbedderParts, forEachLine, renewIds } from './renew-lines.ts';

const PAGE = 500;
// After a crash other processes wait this long. A batch that takes longer may be made twice.
const LEASE_MS = 10_000;
const LOOK_EVERY_MS = 2_000;

/** Searches the tables for missing vectors. */
export interface Sweeps {
  /** Checks for work and does all of it. Takes at least two seconds. */
  look(): Promise<void>;
  /** Makes the next look sweep all memories. */
  hurry(): void;
  /** Number of memories that the current or failed sweep has checked for this model; undefined without a sweep. */
  lookedAt(space: Space): number | undefined;
}

export function createSweeps(parts: EmbedderParts, signal: AbortSignal): Sweeps {
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
