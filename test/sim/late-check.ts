import type { Comparison } from '../../src/domain/comparison.ts';
import { allWrites, numberOf, type LaneRow } from './lane-row.ts';
import type { Effects } from './legacy/effects.ts';

/** What a comparison of a lane is judged by. */
export interface LateFacts {
  readonly lane: LaneRow;
  /** What legacy did. */
  readonly effects: Pick<Effects, 'executions' | 'stored'>;
  /** When the lane's newest copy began. */
  readonly copyBeganMs: number;
}

/**
 * Whether legacy stored each item that the orchestrator lacks after the lane's newest copy, by a write that the journal lists as unknown.
 * Such a write may take effect after all probes ("Settling an unknown outcome"), and no agent has its acknowledgement. The last copy,
 * which closes its entry in the ledger, brings its item.
 */
export function isLateEffect({ differences }: Comparison, facts: LateFacts): boolean {
  if (differences.some(({ class: kind }) => kind !== 'missing_in_orchestrator')) return false;
  const late = [...openNumbers(facts)].map((number) => timesLate(number, facts));
  return differences.length <= late.reduce((sum, times) => sum + times, 0);
}

/** Items whose write is unknown, and that a copy has looked for, but not the last one. */
function openNumbers({ lane, effects }: LateFacts): ReadonlySet<number> {
  const { settledSequence, closedSequence } = lane;
  const open = allWrites(lane).filter(
    ({ write: { sequence }, outcome }) =>
      outcome === 'unknown' && sequence > closedSequence && sequence <= settledSequence,
  );
  return new Set(
    open.map(({ write }) => numberOf(write.request)).filter((number) => effects.stored.has(number)),
  );
}

/** How often it took effect since the copy began, beside what was applied and recorded since then. */
function timesLate(number: number, { lane, effects: { executions }, copyBeganMs }: LateFacts): number {
  const since = executions.filter((one) => one.number === number && one.atMs >= copyBeganMs);
  const applied = allWrites(lane).filter(
    ({ write, outcome, recordedMs = Infinity }) =>
      numberOf(write.request) === number && outcome === 'applied' && recordedMs >= copyBeganMs,
  );
  return Math.max(0, since.length - applied.length);
}
