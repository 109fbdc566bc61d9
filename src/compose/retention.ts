import type { Part } from '../shared/parts.ts';
import { PRUNED_AT_ONCE, type PostgresJournal } from '../storage/journal/journal.ts';

const PRUNE_EVERY_MS = 60_000;
/** Agents' commits come between two batches. */
const PRUNE_PAUSE_MS = 50;

/** Deletes what is through and old, again and again, a batch at a time. */
export function pruning(
  {
    journal,
    keptReplies,
  }: { readonly journal: PostgresJournal; readonly keptReplies: { prune(): Promise<unknown> } },
  hours: number,
): Part {
  let timer: NodeJS.Timeout | undefined;
  let pruned: Promise<void> = Promise.resolve();
  let isStopped = false;
  const prune = async (): Promise<void> => {
    while (!isStopped && (await journal.prune(hours)) >= PRUNED_AT_ONCE)
      await new Promise((resolve) => setTimeout(resolve, PRUNE_PAUSE_MS));
    await keptReplies.prune();
  };
  return {
    name: 'retention',
    start: async () => {
      timer = setInterval(() => {
        pruned = pruned.then(prune).catch(() => undefined);
      }, PRUNE_EVERY_MS);
    },
    stop: async () => {
      isStopped = true;
      clearInterval(timer);
      await pruned;
    },
  };
}
