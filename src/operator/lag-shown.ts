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
