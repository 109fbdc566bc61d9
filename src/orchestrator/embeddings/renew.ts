import type { Vector, VectorStore } from '../vectors/vector-store.ts';
import type { EmbeddingSettings } from '../settings.ts';
import type { Line, Lines } from './lines.ts';
import { TextRefusedError } from './provider.ts';
import type { StaleMemories, StaleMemory } from './stale-memories.ts';
import type { StoredVectors } from './stored-vectors.ts';
import type { Tally } from './tally.ts';
import type { KeptModels } from './kept-models.ts';

interface RenewParts {
  readonly memories: StaleMemories;
  readonly vectors: StoredVectors;
  readonly store: VectorStore;
  readonly tally: Tally;
  readonly settings: EmbeddingSettings;
}

/** Updates the vectors of these memories in one space. @throws ProviderError, StorageError */
async function renew(parts: RenewParts, line: Line, stale: readonly StaleMemory[]): Promise<void> {
  const { vectors, store } = parts;
  const { batchSize } = parts.settings;
  const { space, provider } = line;
  const isKept = ({ isWanted, isUnchanged }: StaleMemory) => isWanted && isUnchanged;
  const unchanged = stale.filter(isKept);
  const changed = stale.filter((memory) => memory.isWanted && !memory.isUnchanged);
  const gone = stale.filter(({ isWanted, hasVector }) => !isWanted && hasVector);
  // Without a provider a changed text gets no new vector, so the old vector is removed.
  if (provider === undefined) gone.push(...changed.filter(({ hasVector }) => hasVector));
  if (unchanged.length > 0) await vectors.confirm(space, unchanged);
  if (gone.length > 0) {
    const removed = await vectors.remove(space, gone);
    if (removed.length > 0) store.removed(space, removed);
  }
  if (provider === undefined) return;
  for (let at = 0; at < changed.length; at += batchSize)
    await embedAndKeep(parts, line, changed.slice(at, at + batchSize));
}

async function embedAndKeep(parts: RenewParts, line: Line, batch: readonly StaleMemory[]): Promise<void> {
  const { vectors, store, tally } = parts;
  const started = performance.now();
  const made = await embedOrRefuse(line, batch);
  tally.embedded(made.filter((vector) => vector !== undefined).length, performance.now() - started);
  tally.refused(made.filter((vector) => vector === undefined).length);
  await vectors.keep(
    line.space,
    batch.map(({ memoryId, version, textHash }, index) => ({
      memoryId,
      version,
      textHash,
      vector: made[index],
    })),
  );
  store.stored();
}

/** If a model refuses a batch, splits it in halves to find the refused texts. */
async function embedOrRefuse(line: Line, batch: readonly StaleMemory[]): Promise<(Vector | undefined)[]> {
  try {
    return (await line.provider?.embed(batch.map(({ text }) => text))) ?? [];
  } catch (error) {
    if (!(error instanceof TextRefusedError)) throw error;
    if (batch.length === 1) return [undefined];
    const half = Math.ceil(batch.length / 2);
    return [
      ...(await embedOrRefuse(line, batch.slice(0, half))),
      ...(await embedOrRefuse(line, batch.slice(half))),
    ];
  }
}

export interface EmbedderParts extends RenewParts {
  readonly lines: Lines;
  readonly models: KeptModels;
  /** The message never contains a text. */
  readonly onFailure: (message: string) => void;
}

/** Makes the missing vectors of these memories, several batches at a time. */
export async function renewIds(parts: EmbedderParts, line: Line, ids: readonly string[]): Promise<void> {
  const { batchSize, concurrency } = parts.settings;
  const stale = await parts.memories.staleOf(line.space, ids);
  const batches = Array.from({ length: concurrency }, (_, index) =>
    stale.slice(index * batchSize, (index + 1) * batchSize),
  );
  await Promise.all(batches.map((batch) => renew(parts, line, batch)));
}

/** Processes each model even if another failed, because a model is often replaced when it no longer answers. @throws the first failure */
export async function forEachLine(
  lines: readonly (Line | undefined)[],
  work: (line: Line) => Promise<void>,
): Promise<void> {
  const present = lines.filter((line) => line !== undefined);
  const results = await Promise.allSettled(present.map(work));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}
