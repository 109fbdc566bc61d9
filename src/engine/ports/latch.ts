import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Finding } from './finding.ts';

/** A stored trip. It keeps the service's reads on legacy until a person releases it. Wall-clock times. */
export interface Latch {
  readonly id: number;
  readonly service: ServiceName;
  readonly finding: Finding;
  readonly replica: ReplicaId;
  readonly trippedAtMs: number;
  /** It cannot be released before. */
  readonly coolDownUntilMs: number;
  /** The flags that the trip switched off; absent until it has. */
  readonly flagsOff?: readonly string[];
}

const LONGEST_COOL_DOWN_MS = 24 * 3_600_000;

/**
 * How long a latch cannot be released. Doubled by each trip of the service within the last week, at most one day.
 * @param earlier trips before this one
 */
export function coolDownMs(earlier: number, firstMs: number): number {
  return Math.min(firstMs * 2 ** earlier, Math.max(LONGEST_COOL_DOWN_MS, firstMs));
}
