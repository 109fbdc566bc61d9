import type { Backend } from '../../src/domain/backend.ts';
import type { LaneKey, Owner, ReplicaId, ServiceName } from '../../src/domain/ids.ts';
import type { LaneState } from '../../src/domain/lane.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { DeadLetter, PendingWrite, Reply } from '../../src/engine/ports/ports.ts';

const OPEN_END_MS = 120_000;
/** `REPEATS` of `storage/journal/journal-sql.ts`. */
const REPEATS_MS = 60_000;
/** `accepted_at` is the proxy's clock, which may be an hour off. */
const ACCEPTED_LATELY_MS = 62 * 60_000;

/** One change of a lane's primary. */
interface Flipped {
  readonly to: Backend;
  readonly epoch: number;
  readonly atMs: number;
  /** What it was decided by. */
  readonly facts: Readonly<Record<string, string | number>>;
}

type Mutable<Row> = { -readonly [Column in keyof Row]: Row[Column] };

/** Without a reply its write's place was taken before that came, or the reply is lost. */
export interface KeptReply {
  readonly reply: Reply | undefined;
  readonly atMs: number;
  readonly isLost?: true;
  /** Sequence of the repeat that has taken the write's place. */
  readonly takenBy?: number;
}

/** A row of `lanes`, with what refers to it. */
export interface LaneRow extends Mutable<Omit<LaneState, 'isHome'>> {
  readonly key: LaneKey;
  readonly service: ServiceName;
  readonly owner: Owner;
  /** Outcomes up to here are certain, whatever they say: a copy has looked. */
  settledSequence: number;
  /** Unknown outcomes up to here are closed: a copy has looked so late that nothing takes effect any more. */
  closedSequence: number;
  /** `repeats_until`. */
  repeatsUntilMs: number;
  /** Each change of its primary, oldest first. */
  readonly flips: Flipped[];
  /** Who wrote the newest sequence. */
  writer: ReplicaId | undefined;
  /** The lane's home. */
  claim: ReplicaId | undefined;
  /** How many homes it has had. */
  claims: number;
  holder: ReplicaId | undefined;
  heldUntilMs: number;
  /** Its place in the order of its service, once it was flipped. */
  bucket: number;
  /** Replies that no agent has got. */
  readonly kept: Map<number, KeptReply>;
  /** How often other replicas wrote, or found uncertain, what is the home's affair. */
  foreignCount: number;
  /** How much of it the home is known to have been told. */
  foreignSeen: number;
  readonly writes: Map<number, StoredWrite>;
  readonly outcomes: Map<number, Outcome>;
  /** `at` of an outcome. */
  readonly outcomesAtMs: Map<number, number>;
  readonly deadLetters: Map<number, DeadLetter>;
  /** What has left the tables: for the judge only. */
  readonly past: PastWrite[];
}

interface PastWrite {
  readonly write: StoredWrite;
  readonly outcome: Outcome | undefined;
  /** When the outcome was recorded. */
  readonly recordedMs: number | undefined;
}

export interface StoredWrite extends PendingWrite {
  /** `accepted_at`, as an instant of the database's clock. */
  readonly atMs: number;
  /** 0: another replica may have passed writes unjournaled. */
  readonly coverage: number;
  readonly replica: ReplicaId;
  /** `journaled_at`. Undefined: it was spilled. */
  readonly journaledAtMs: number | undefined;
}

export function newLane(key: LaneKey, id: number): LaneRow {
  const slash = key.indexOf('/');
  return {
    key,
    service: key.slice(0, slash) as ServiceName,
    owner: key.slice(slash + 1) as Owner,
    id,
    sequence: 0,
    generation: 0,
    epoch: 0,
    primary: 'legacy',
    condition: 'clean',
    reason: '',
    seededCoverage: 0,
    exceptions: 0,
    finding: 0,
    deliveredSequence: 0,
    mayRepeat: false,
    foundUncertain: 0,
    kept: new Map(),
    settledSequence: 0,
    closedSequence: 0,
    repeatsUntilMs: -Infinity,
    flips: [],
    writer: undefined,
    claim: undefined,
    claims: 0,
    holder: undefined,
    heldUntilMs: -Infinity,
    bucket: 100,
    foreignCount: 0,
    foreignSeen: 0,
    writes: new Map(),
    outcomes: new Map(),
    outcomesAtMs: new Map(),
    deadLetters: new Map(),
    past: [],
  };
}

/** A row as a statement returns it. */
export interface LaneRead extends Omit<LaneState, 'isHome'> {
  readonly claim: ReplicaId | undefined;
}

/** Whoever reads a row keeps what it read. */
export function readOf(lane: LaneRow): LaneRead {
  const { id, sequence, generation, epoch, primary, condition, reason, seededCoverage } = lane;
  const { exceptions, finding, deliveredSequence, mayRepeat, foundUncertain, claim } = lane;
  return {
    id,
    sequence,
    generation,
    epoch,
    primary,
    condition,
    reason,
    seededCoverage,
    exceptions,
    finding,
    deliveredSequence,
    mayRepeat,
    foundUncertain,
    claim,
  };
}

export function writesAbove(lane: LaneRow, sequence: number): StoredWrite[] {
  return [...lane.writes.values()].filter((write) => write.sequence > sequence);
}

/** A clean lane, whose last write is on both backends, may be without a home. */
export function isQuiet({ condition, deliveredSequence, sequence }: LaneRow): boolean {
  return condition === 'clean' && deliveredSequence >= sequence;
}

/** A replica becomes the lane's home. */
export function takeClaim(lane: LaneRow, me: ReplicaId): void {
  if (lane.claim !== me) lane.claims += 1;
  lane.claim = me;
}

/** Another replica than the home has found its history uncertain. */
export function foundUncertain(lane: LaneRow): void {
  lane.foreignCount += 1;
  lane.foundUncertain = lane.foreignCount;
}

/** An agent may have no reply, and may repeat its request. */
export function mayBeRepeated(lane: LaneRow, nowMs: number): void {
  lane.mayRepeat = true;
  lane.repeatsUntilMs = nowMs + REPEATS_MS;
}

/** The primary of its writes at an instant. */
export function primaryAt({ flips }: LaneRow, atMs: number): Backend {
  return flips.findLast((flip) => flip.atMs <= atMs)?.to ?? 'legacy';
}

/** A write's first outcome stays. */
export function settleOutcome(
  lane: LaneRow,
  { sequence, outcome }: { readonly sequence: number; readonly outcome: Outcome },
  nowMs: number,
): void {
  if (lane.outcomes.has(sequence)) return;
  lane.outcomes.set(sequence, outcome);
  lane.outcomesAtMs.set(sequence, nowMs);
}

/** Without the first whose outcome is not durable yet, and all behind it. */
export function untilUnsettled(lane: LaneRow, writes: readonly StoredWrite[]): StoredWrite[] {
  const end = writes.findIndex(({ sequence }) => !lane.outcomes.has(sequence));
  return end < 0 ? [...writes] : writes.slice(0, end);
}

/** `coalesce(outcome, 'unknown')`. */
export function outcomeOf(lane: LaneRow, sequence: number): Outcome {
  return lane.outcomes.get(sequence) ?? 'unknown';
}

/** Not yet so old that nobody listens for its late reply or compares after it: `OPEN_END` of `storage/journal-sql.ts`. */
export function isOpenEnded(lane: LaneRow, { sequence, atMs }: StoredWrite, nowMs: number): boolean {
  if (outcomeOf(lane, sequence) !== 'unknown' || atMs <= nowMs - ACCEPTED_LATELY_MS) return false;
  return (lane.outcomesAtMs.get(sequence) ?? nowMs) > nowMs - OPEN_END_MS;
}

/** Writes that a copy has not looked at, and of which nobody knows whether they took effect. */
export function unsettledOf(lane: LaneRow): StoredWrite[] {
  return writesAbove(lane, lane.settledSequence).filter(
    ({ sequence }) => outcomeOf(lane, sequence) === 'unknown',
  );
}

interface AppliedWrite {
  readonly sequence: number;
  /** `at` of its outcome. */
  readonly atMs: number;
  /** `journaled_at`. Undefined: it was spilled. */
  readonly sentMs: number | undefined;
}

/** Each write before a sequence that was applied. */
export function appliedOf({ outcomes, outcomesAtMs, writes }: LaneRow, before: number): AppliedWrite[] {
  return [...outcomesAtMs].flatMap(([sequence, atMs]) => {
    const isAsked = outcomes.get(sequence) === 'applied' && sequence < before;
    return isAsked ? [{ sequence, atMs, sentMs: writes.get(sequence)?.journaledAtMs }] : [];
  });
}

/** Whether the effect of a write is not known, or was not known and may still come: `hasUnknownWrite` of `storage/flips.ts`. */
export function hasUnknown(lane: LaneRow): boolean {
  const { closedSequence, deliveredSequence, outcomes } = lane;
  return writesAbove(lane, Math.min(closedSequence, deliveredSequence)).some(
    ({ sequence }) => outcomes.get(sequence) === 'unknown',
  );
}

/** Whether the secondary lacks a write of these sequences. */
export function isBehind(lane: LaneRow, through = Infinity): boolean {
  return writesAbove(lane, lane.deliveredSequence).some(
    ({ sequence }) => sequence <= through && mayBeThere(lane, sequence),
  );
}

/** Whether the primary has, or may yet get, what a write does. */
export function mayBeThere(lane: LaneRow, sequence: number): boolean {
  return ['applied', 'unknown'].includes(outcomeOf(lane, sequence));
}

/** All writes of a lane that there ever were, in sequence. */
export function allWrites({ past, writes, outcomes, outcomesAtMs }: LaneRow): LaneRow['past'] {
  const here = [...writes.values()].map((write) => ({
    write,
    outcome: outcomes.get(write.sequence),
    recordedMs: outcomesAtMs.get(write.sequence),
  }));
  return [...past, ...here].toSorted((a, b) => a.write.sequence - b.write.sequence);
}

/** Every simulated request carries its number. */
export function numberOf(request: string): number {
  return Number(/"number":(\d+)/.exec(request)?.[1] ?? 0);
}

export function pendingOf(
  { atMs: _at, coverage: _coverage, replica: _replica, journaledAtMs: _journaled, ...write }: StoredWrite,
  isUncertain = false,
): PendingWrite {
  return isUncertain ? { ...write, isUncertain } : write;
}
