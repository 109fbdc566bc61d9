import type { KeptModels } from './kept-models.ts';
import type { Line, Lines } from './lines.ts';
import { renew, type RenewParts } from './renew.ts';

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
