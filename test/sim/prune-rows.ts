import type { Database } from './database.ts';
import { isOpenEnded, type LaneRow, type StoredWrite } from './lane-row.ts';

/** A reply that no agent has got keeps its write for so long: `kept_replies` are pruned after it. */
const KEPT_MS = 600_000;

/** `accepted_at` is the proxy's clock, which may be an hour off. */
const BACKED_UP_LATELY_MS = 62 * 60_000;

export interface Retention {
  /** Writes that came longer ago than this leave. */
  readonly ms: number;
  /** The time is short beside what services forget in: when a lane was written to last stays known. */
  readonly keepsNewest: boolean;
}

/** `PRUNE` of `storage/journal-sql.ts`, whose hours are milliseconds here. */
export function pruneRows(database: Database, retention: Retention): void {
  database.synced();
  for (const lane of database.lanes()) {
    const newest = retention.keepsNewest ? newestApplied(lane) : undefined;
    for (const write of lane.writes.values())
      if (write.sequence !== newest && mayGo(database, lane, { write, retention })) forget(lane, write);
  }
}

function newestApplied({ outcomes }: LaneRow): number | undefined {
  return [...outcomes].reduce<number | undefined>(
    (newest, [sequence, outcome]) =>
      outcome === 'applied' ? Math.max(newest ?? sequence, sequence) : newest,
    undefined,
  );
}

function mayGo(
  database: Database,
  lane: LaneRow,
  { write, retention }: { readonly write: StoredWrite; readonly retention: Retention },
): boolean {
  const nowMs = database.clock.now();
  const { sequence } = write;
  const keptAtMs = lane.kept.get(sequence)?.atMs ?? -Infinity;
  if (write.atMs > nowMs - retention.ms || keptAtMs > nowMs - KEPT_MS) return false;
  if (lane.deadLetters.has(sequence) || !isBackedUp(database, lane, write)) return false;
  if ([...lane.writes.values()].some((one) => one.sequence <= sequence && isOpenEnded(lane, one, nowMs)))
    return false;
  const isThrough = sequence <= Math.max(lane.deliveredSequence, lane.settledSequence);
  return isThrough || (sequence < lane.sequence && isOwedToNone(database, lane, sequence));
}

/** The orchestrator may be restored from its newest verified backup, and is then given the later writes again. */
function isBackedUp({ restored }: Database, lane: LaneRow, { atMs, sequence }: StoredWrite): boolean {
  if (lane.primary === 'legacy') return true;
  return atMs < restored.backedUpUntilMs - BACKED_UP_LATELY_MS && sequence < lane.sequence;
}

/** It had no effect, or nothing of its lane is sent to legacy any more. */
function isOwedToNone({ reverse }: Database, { key, outcomes }: LaneRow, sequence: number): boolean {
  const outcome = outcomes.get(sequence) ?? '';
  return outcome === 'applied'
    ? reverse.lostAtMs(key) !== undefined
    : ['refused', 'not_applied'].includes(outcome);
}

function forget(lane: LaneRow, write: StoredWrite): void {
  const { sequence } = write;
  const [outcome, recordedMs] = [lane.outcomes.get(sequence), lane.outcomesAtMs.get(sequence)];
  lane.past.push({ write, outcome, recordedMs });
  lane.writes.delete(sequence);
  lane.outcomes.delete(sequence);
  lane.outcomesAtMs.delete(sequence);
}
