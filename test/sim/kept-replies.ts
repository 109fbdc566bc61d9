import type { KeptReplies, UnansweredWrite } from '../../src/engine/writes/repeats.ts';
import type { Reply, WriteRef } from '../../src/engine/ports/ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { mayBeRepeated, outcomeOf, type KeptReply, type LaneRow, type StoredWrite } from './lane-row.ts';

const REPEATS_MS = 60_000;

/** Told of a write whose reply was kept, or given to a repeat: should that not reach its agent, nobody has it any more. */
export type OnReply = (write: StoredWrite, what: 'kept' | 'taken') => void;

/** The port of `storage/kept-replies.ts` over tables in memory. */
export function createKeptReplies(
  database: Database,
  statement: Statement,
  onReply: OnReply = () => undefined,
): KeptReplies {
  const tell = (lane: LaneRow, sequence: number, what: 'kept' | 'taken'): void => {
    const write = lane.writes.get(sequence);
    if (write !== undefined) onReply(write, what);
  };
  const keep = ({ laneId, sequence }: WriteRef, reply: Reply): void => {
    database.synced();
    const lane = database.laneById(laneId);
    if (lane === undefined) return;
    if (!lane.kept.has(sequence)) lane.kept.set(sequence, { reply, atMs: database.clock.now() });
    mayBeRepeated(lane, database.clock.now());
    tell(lane, sequence, 'kept');
  };
  const lost = ({ laneId, sequence }: WriteRef): void => {
    database.synced();
    const lane = database.laneById(laneId);
    if (lane === undefined) return;
    const atMs = database.clock.now();
    if (!lane.kept.has(sequence)) lane.kept.set(sequence, { reply: undefined, atMs, isLost: true });
    mayBeRepeated(lane, atMs);
  };
  const unanswered = ({ laneId, sequence }: WriteRef, action: string): UnansweredWrite[] => {
    const lane = database.laneById(laneId);
    if (lane === undefined) return [];
    return [...lane.writes.values()]
      .filter((write) => write.sequence < sequence && write.action === action)
      .filter((write) => isUnanswered(lane, write, database.clock.now()))
      .map((write) => unansweredOf(lane, write));
  };
  const take = ({ laneId, sequence: by }: WriteRef, sequences: readonly number[]): Reply | undefined => {
    database.synced();
    const lane = database.laneById(laneId);
    if (lane === undefined) return undefined;
    const { kept } = lane;
    let newest: Reply | undefined;
    for (const sequence of sequences) {
      const known = kept.get(sequence);
      const takenBy = known === undefined || isTaken(known) ? by : (known.takenBy ?? by);
      kept.set(sequence, { reply: undefined, atMs: database.clock.now(), ...known, takenBy });
      if (known?.reply === undefined || takenBy !== by) continue;
      tell(lane, sequence, 'taken');
      newest = known.reply;
    }
    return newest;
  };
  return {
    keep: (ref, reply) => statement(`keep reply ${ref.lane} ${ref.sequence}`, () => keep(ref, reply)),
    lost: (ref) => statement(`lost reply ${ref.lane} ${ref.sequence}`, () => lost(ref)),
    unanswered: (ref, action) => statement(`unanswered ${ref.lane}`, () => unanswered(ref, action)),
    take: (by, sequences) => statement(`take reply ${sequences.join('+')}`, () => take(by, sequences)),
  };
}

/** A repeat took the write's place before its reply was kept. */
function isTaken({ reply, isLost }: KeptReply): boolean {
  return reply === undefined && isLost !== true;
}

function isUnanswered(lane: LaneRow, write: StoredWrite, nowMs: number): boolean {
  const kept = lane.kept.get(write.sequence);
  if (kept !== undefined && (isTaken(kept) || kept.takenBy !== undefined)) return false;
  const isUnknown = outcomeOf(lane, write.sequence) === 'unknown';
  const sinceMs = isUnknown ? (lane.outcomesAtMs.get(write.sequence) ?? nowMs) : (kept?.atMs ?? -Infinity);
  return sinceMs > nowMs - REPEATS_MS;
}

function unansweredOf(lane: LaneRow, { sequence, request }: StoredWrite): UnansweredWrite {
  const hasReply = lane.kept.get(sequence)?.reply !== undefined;
  const isUnknown = outcomeOf(lane, sequence) === 'unknown';
  return {
    sequence,
    request,
    hasReply,
    isUnsettled: isUnknown && !lane.kept.has(sequence) && sequence > lane.settledSequence,
  };
}
