import { GroupCommit } from '../../src/storage/journal/group-commit.ts';
import { type LaneKey, type OperationId, parseLaneKey, type ReplicaId } from '../../src/domain/ids.ts';
import type { Decided } from '../../src/engine/ports/decision-ports.ts';
import type { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import type {
  HaltReason,
  ReverseDecision,
  ReverseEnding,
  ReverseLedger,
  ReverseSends,
  ReverseStart,
  StoredReverseSend,
} from '../../src/engine/ports/reverse-ports.ts';
import type { WriteRef } from '../../src/engine/ports/ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';
import { isBehind } from './lane-row.ts';

/** A row of `reverse_sends`. */
interface SendRow {
  readonly ref: WriteRef;
  readonly operationId: OperationId;
  /** The lane's epoch for the attempt. */
  readonly epoch: number;
  attempt: number;
  tail: string | undefined;
  startedAtMs: number;
  halted?: HaltReason | undefined;
  /** What a person has decided since it halted. */
  decision?: ReverseDecision | undefined;
  decidedAtMs?: number;
  endedAtMs?: number;
  ending?: ReverseEnding;
}

/** Whether a person must decide about it. */
export function isHaltedSend({
  halted,
  decision,
  ending,
}: Pick<SendRow, 'halted' | 'decision' | 'ending'>): boolean {
  return halted !== undefined && decision === undefined && ending === undefined;
}

/** The tables `reverse_sends` and `lost_ways_back`. */
export class ReverseTable {
  /** Of each lane by sequence. */
  readonly #sends = new Map<number, Map<number, SendRow>>();
  /** When nothing of a lane was sent any more. */
  readonly #lostAtMs = new Map<LaneKey, number>();
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  begin(me: ReplicaId, start: ReverseStart): boolean {
    const { ref, operationId, epoch, attempt, tail } = start;
    if (!this.#isPermitted(me, start) || !this.#isNext(start)) return false;
    this.#database.synced();
    const sends = this.#sends.get(ref.laneId) ?? new Map<number, SendRow>();
    const known = sends.get(ref.sequence);
    const startedAtMs = this.#database.clock.now();
    const again = known && { ...known, decidedAtMs: -Infinity };
    sends.set(ref.sequence, { ...again, ref, operationId, epoch, attempt, tail, startedAtMs });
    this.#sends.set(ref.laneId, sends);
    return true;
  }

  /** The lane is this replica's, and the orchestrator is its primary. */
  #isPermitted(me: ReplicaId, { ref, epoch }: ReverseStart): boolean {
    const lane = this.#database.laneById(ref.laneId);
    const isOurs = lane?.claim === me && lane.primary === 'orchestrator' && lane.epoch === epoch;
    if (!isOurs || this.#lostAtMs.has(ref.lane) || this.#database.restored.isOpen(ref.lane)) return false;
    return ref.sequence <= this.#database.lastForLegacy(ref.lane);
  }

  /** No other send of the lane is open, and this attempt follows the last one. */
  #isNext({ ref, attempt }: ReverseStart): boolean {
    const others = this.of(ref.laneId).filter(({ ref: other }) => other.sequence !== ref.sequence);
    if (others.some(({ ending }) => ending === undefined)) return false;
    const known = this.find(ref);
    return known === undefined || (isOpen(known) && known.attempt === attempt - 1);
  }

  find({ laneId, sequence }: WriteRef): SendRow | undefined {
    return this.#sends.get(laneId)?.get(sequence);
  }

  /** In sequence. */
  of(laneId: number): readonly SendRow[] {
    const rows = [...(this.#sends.get(laneId)?.values() ?? [])];
    return rows.toSorted((a, b) => a.ref.sequence - b.ref.sequence);
  }

  change(ref: WriteRef, attempt: number, facts: Partial<SendRow>): void {
    this.#database.synced();
    const row = this.find(ref);
    if (row?.attempt === attempt && row.ending === undefined) Object.assign(row, facts);
  }

  /** Whether its way back is lost now. */
  lose(lane: LaneKey): boolean {
    this.#database.synced();
    const row = this.#database.lane(lane);
    if (row?.primary !== 'orchestrator' || this.#database.keptForLegacy(lane) > row.deliveredSequence)
      return false;
    if (!this.#lostAtMs.has(lane)) this.#lostAtMs.set(lane, this.#database.clock.now());
    return true;
  }

  /** Undefined: its writes are sent to legacy. */
  lostAtMs(lane: LaneKey): number | undefined {
    return this.#lostAtMs.get(lane);
  }

  hasReturned(lane: LaneKey): void {
    this.#lostAtMs.delete(lane);
  }

  decide(operation: OperationId, decision: ReverseDecision): Decided {
    const all = [...this.#sends.values()].flatMap((sends) => [...sends.values()]);
    const row = all.find(({ operationId, halted }) => operationId === operation && halted !== undefined);
    if (row === undefined) return { result: 'unknown_operation' };
    const { ending, decision: known, ref } = row;
    if (!isHaltedSend(row))
      return { result: 'ended', by: ending ?? (known === 'retry' ? 'retried' : 'open') };
    this.#database.synced();
    const decidedAtMs = this.#database.clock.now();
    Object.assign(row, { decision, decidedAtMs });
    if (decision !== 'retry')
      Object.assign(row, { ending: ENDINGS[decision], endedAtMs: decidedAtMs, tail: undefined });
    return { result: 'decided', service: parseLaneKey(ref.lane).service, lane: ref.lane };
  }

  isLost(key: LaneKey): boolean {
    return this.#lostAtMs.has(key) || this.#owesNothing(key);
  }

  /** Legacy has all that it gets of a closed service. */
  #owesNothing(key: LaneKey): boolean {
    const lane = this.#database.lane(key);
    if (lane === undefined || !this.#database.isClosedTo(lane.service)) return false;
    return !isBehind(lane, this.#database.lastForLegacy(key));
  }
}

/** The ending that each decision gives a send. */
const ENDINGS = { skip: 'skipped', assume_applied: 'assumed_applied' } as const;

/** Whether another attempt may begin. */
function isOpen({ ending, halted, decision }: SendRow): boolean {
  return ending === undefined && (halted === undefined || decision === 'retry');
}

interface SendParts {
  readonly database: Database;
  readonly identity: ReplicaIdentity;
  readonly statement: Statement;
}

/** `storage/reverse-sends.ts` over the tables in memory. */
export function createSimReverseSends({ database, identity, statement }: SendParts): ReverseSends {
  const { reverse, clock } = database;
  const settings = { isUrgent: () => true, lingerMs: 0 };
  const begins = new GroupCommit<ReverseStart, boolean>({
    ...settings,
    keyOf: ({ ref }) => ref.lane,
    flush: (starts) => {
      const me = identity.id;
      return statement(`begin ${starts.length} reverse sends`, () =>
        starts.map((start) => reverse.begin(me, start)),
      );
    },
  });
  return {
    begin: (start) => begins.add(start),
    find: (ref) =>
      statement(`find reverse ${ref.lane}`, () => {
        const row = reverse.find(ref);
        return row && storedOf(row, clock.now());
      }),
    end: ({ ref, attempt, ending }) =>
      statement(`end reverse ${ref.lane} ${ref.sequence}`, () =>
        reverse.change(ref, attempt, { ending, endedAtMs: clock.now(), tail: undefined }),
      ),
    halt: (ref, attempt, reason) =>
      statement(`halt reverse ${ref.lane} ${ref.sequence}`, () =>
        reverse.change(ref, attempt, { halted: reason, decision: undefined }),
      ),
    last: (lane) =>
      statement(`last reverse ${lane}`, () => {
        const row = database.lane(lane);
        const sends = reverse.of(row?.id ?? 0);
        const ended = sends.filter(({ ending }) => ending === 'applied' || ending === 'forgotten');
        const lacking = sends.filter(({ ending }) => ending === 'skipped' || ending === 'forgotten');
        const atMs = ended.findLast(({ ending }) => ending === 'applied')?.endedAtMs;
        return {
          nowMs: clock.wallOf(clock.now()),
          ...(atMs !== undefined && { atMs: clock.wallOf(atMs) }),
          isForgotten: ended.at(-1)?.ending === 'forgotten',
          isLost: reverse.isLost(lane),
          lacksWrite: lacking.some(({ epoch }) => epoch === row?.epoch),
        };
      }),
    loseWayBack: (lane) => statement(`lose way back ${lane}`, () => reverse.lose(lane)),
  };
}

function storedOf(row: SendRow, nowMs: number): StoredReverseSend {
  const { attempt, startedAtMs, tail, halted, decision, decidedAtMs = -Infinity, ending } = row;
  return {
    attempt,
    ageMs: nowMs - startedAtMs,
    ...(tail !== undefined && { tail }),
    ...(halted !== undefined && isHaltedSend(row) && { halted }),
    isRetried: decision === 'retry' && decidedAtMs >= startedAtMs,
    ...(ending !== undefined && { ending }),
  };
}

/** What the way back needs of `storage/reverse-ledger.ts`, over the tables in memory. */
export function createSimReverseLedger(
  { reverse }: Database,
  statement: Statement,
): Pick<ReverseLedger, 'decide'> {
  return {
    decide: (operation, as) => statement(`decide reverse ${as}`, () => reverse.decide(operation, as)),
  };
}
