import { counted } from './report/figures.ts';
import type { ReplicationLag } from '../engine/ports/journal-facts.ts';

/** How far the orchestrator is behind, over all replicas. */
export interface LagShown {
  readonly writes: number;
  readonly lanes: number;
  /** Age of the oldest write that it lacks. Null if it lacks none. */
  readonly oldest_seconds: number | null;
}

export function lagShown({ writes, lanes, oldestSeconds }: ReplicationLag): LagShown {
  const oldest = oldestSeconds === null ? null : Math.round(oldestSeconds * 10) / 10;
  return { writes, lanes, oldest_seconds: oldest };
}

/** Writes and items that the lag does not count, because it is unknown or undecided what becomes of them. */
interface OpenBesideLag {
  readonly unknown_outcomes: { readonly open: number | null };
  readonly lost_items: number | null;
  /** Since the start of this proxy. */
  readonly unmapped_writes: Readonly<Record<string, number>>;
}

/** In words, such as `1 unknown outcome and 2 lost items`. Undefined if nothing is open. */
export function openBesideLag({
  unknown_outcomes: { open: unknown },
  lost_items: lost,
  unmapped_writes: unmapped,
}: OpenBesideLag): string | undefined {
  const relayed = Object.values(unmapped).reduce((sum, writes) => sum + writes, 0);
  const open = [
    ...((unknown ?? 0) > 0 ? [counted(unknown ?? 0, 'unknown outcome')] : []),
    ...((lost ?? 0) > 0 ? [counted(lost ?? 0, 'lost item')] : []),
    ...(relayed > 0 ? [`${counted(relayed, 'write')} that no lane can hold`] : []),
  ];
  return open.length === 0 ? undefined : open.join(' and ');
}
