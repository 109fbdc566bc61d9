import type { LaneKey, OperationId, Owner, ReplicaId, ServiceName } from '../../src/domain/ids.ts';
import type { NamedItem } from '../../src/domain/lane.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import type { WritesState } from '../../src/domain/stage.ts';
import type { FinishedCopy, LaneCounts, LastApplied } from '../../src/engine/ports/journal-facts.ts';
import type { DeadLetter, Intent, LateReply, PendingWrite, WriteRef } from '../../src/engine/ports/ports.ts';
import type { Database } from './database.ts';
import { countLanes, isResolvedBy } from './lane-decisions.ts';
import {
  appliedOf,
  isBehind,
  foundUncertain,
  isOpenEnded,
  mayBeRepeated,
  mayBeThere,
  outcomeOf,
  pendingOf,
  readOf,
  settleOutcome,
  isQuiet,
  takeClaim,
  untilUnsettled,
  writesAbove,
  type LaneRead,
  type LaneRow,
} from './lane-row.ts';

export interface Outcomes {
  readonly laneId: number;
  readonly sequence: number;
  readonly outcome: Outcome;
}

export interface Step {
  readonly laneId: number;
  readonly delivered?: number;
  readonly seeded?: number;
}

/** A row of the intent commit. */
export interface PlacedRead extends LaneRead {
  readonly writes: WritesState;
}

export interface ViewRead {
  readonly row: LaneRead;
  readonly isBehind: boolean;
  readonly coverage: number;
  readonly isReplicaSilent: boolean;
}

/** The statements of `storage/journal-sql.ts` and `storage/lane-progress.ts`, each whole, as the replica `me` sends them. */
export class JournalTables {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A statement sees what stood before it: outcomes of the same commit let nobody in. */
  commit(me: ReplicaId, intents: readonly Intent[], outcomes: readonly Outcomes[]): Map<LaneKey, PlacedRead> {
    this.#database.synced();
    const free = intents.filter(({ lane }) => !this.isBusyElsewhere(this.#database.lane(lane), me));
    for (const { laneId, sequence, outcome } of outcomes) {
      const lane = this.#database.laneById(laneId);
      if (lane === undefined) continue;
      const nowMs = this.#database.clock.now();
      settleOutcome(lane, { sequence, outcome }, nowMs);
      if (outcome === 'unknown') mayBeRepeated(lane, nowMs);
    }
    return new Map(
      free.map((intent) => {
        const writes = this.#database.serviceWrites.get(intent.service)?.state ?? 'open';
        return [intent.lane, { ...this.store(me, intent), writes }];
      }),
    );
  }

  store(
    me: ReplicaId,
    { operationId, lane: key, action, request, acceptedAtMs, coverage = 0 }: Intent,
  ): LaneRead {
    const lane = this.#database.laneOrNew(key);
    // Legacy gets no new owner once it takes no writes.
    if (lane.sequence + lane.generation + lane.epoch === 0 && this.#database.isClosedTo(lane.service))
      this.#bear(lane);
    lane.sequence += 1;
    lane.writer = me;
    this.#claim(lane, me);
    const place = { laneId: lane.id, lane: key, sequence: lane.sequence };
    const atMs = this.#database.clock.instantOf(acceptedAtMs);
    lane.writes.set(lane.sequence, {
      ...place,
      operationId,
      action,
      request,
      acceptedAtMs,
      coverage,
      atMs,
      replica: me,
      journaledAtMs: this.#database.clock.now(),
    });
    return readOf(lane);
  }

  #bear(lane: LaneRow): void {
    Object.assign(lane, { primary: 'orchestrator', epoch: 1 });
    const facts = { state: this.#database.serviceWrites.get(lane.service)?.state ?? '' };
    lane.flips.push({ to: 'orchestrator', epoch: 1, atMs: this.#database.clock.now(), facts });
    this.#database.onFlip(lane);
  }

  nameItems({ laneId, sequence }: WriteRef, items: readonly NamedItem[]): boolean {
    const lane = this.#database.laneById(laneId);
    const write = lane?.writes.get(sequence);
    if (lane === undefined || write === undefined) return false;
    const nowMs = this.#database.clock.now();
    const isOpen = [...lane.writes.values()].some(
      (other) => other.sequence < sequence && isOpenEnded(lane, other, nowMs),
    );
    if (isOpen) return false;
    this.#database.synced();
    lane.writes.set(sequence, { ...write, items });
    return true;
  }

  abandon(key: LaneKey, id: OperationId): void {
    this.#database.synced();
    const nowMs = this.#database.clock.now();
    for (const lane of this.#known(key))
      for (const { operationId, sequence } of lane.writes.values())
        if (operationId === id) settleOutcome(lane, { sequence, outcome: 'not_applied' }, nowMs);
  }

  resolveLate(late: LateReply): LaneRead | undefined {
    const { ref, outcome, seedsUnder = 0 } = late;
    const lane = this.#database.laneById(ref.laneId);
    if (lane === undefined) return undefined;
    if (!isResolvedBy(late, lane, this.#database.coverage.current(lane.service).number)) return undefined;
    this.#database.synced();
    lane.outcomes.set(ref.sequence, outcome);
    const seededCoverage = Math.max(lane.seededCoverage, seedsUnder);
    Object.assign(lane, { condition: 'clean', reason: '', seededCoverage });
    return readOf(lane);
  }

  advance(me: ReplicaId, steps: readonly Step[]): void {
    for (const { laneId, delivered = 0, seeded = 0 } of steps) {
      const lane = this.#database.laneById(laneId);
      if (lane === undefined) continue;
      const { deliveredSequence, seededCoverage, claim } = lane;
      this.#database.unsynced(() => Object.assign(lane, { deliveredSequence, seededCoverage, claim }));
      lane.deliveredSequence = Math.max(deliveredSequence, delivered);
      // Only the first write of a lane seeds it.
      if (lane.epoch === 0 && lane.primary === 'legacy')
        lane.seededCoverage = Math.max(seededCoverage, seeded);
      if (claim === me && isQuiet(lane)) lane.claim = undefined;
    }
  }

  markDirty(me: ReplicaId, key: LaneKey, reason: string): void {
    this.#database.synced();
    const lane = this.#database.lane(key);
    if (lane === undefined || lane.primary !== 'legacy') return;
    if (reason === 'unknown_outcome') mayBeRepeated(lane, this.#database.clock.now());
    if (lane.condition === 'stopped') return;
    const isWorse = lane.condition !== 'dirty' || reason !== 'unknown_outcome';
    if (isWorse) Object.assign(lane, { condition: 'dirty', reason });
    if (reason === 'late_unjournaled') lane.seededCoverage = 0;
    if (this.isClaimedByOther(lane, me)) foundUncertain(lane);
    else takeClaim(lane, me);
  }

  stopLane(key: LaneKey, reason: string): void {
    this.#database.synced();
    const lane = this.#database.lane(key);
    if (lane?.primary === 'legacy') Object.assign(lane, { condition: 'stopped', reason });
  }

  deadLetter(letter: DeadLetter): void {
    this.#database.synced();
    const letters = this.#database.laneById(letter.ref.laneId)?.deadLetters;
    if (letters?.has(letter.ref.sequence) === false) letters.set(letter.ref.sequence, letter);
  }

  lanes(keys: readonly LaneKey[]): Map<LaneKey, LaneRead> {
    return new Map(keys.flatMap((key) => this.#known(key).map((lane) => [key, readOf(lane)])));
  }

  pending(
    me: ReplicaId,
    key: LaneKey,
    { after, limit }: { readonly after: number; readonly limit: number },
  ): PendingWrite[] {
    const lanes = this.#known(key).filter((lane) => !this.isClaimedByOther(lane, me));
    return lanes.flatMap((lane) =>
      untilUnsettled(lane, writesAbove(lane, Math.max(lane.deliveredSequence, after)))
        .filter(({ sequence }) => lane.outcomes.get(sequence) === 'applied')
        .slice(0, limit)
        .map((write) => pendingOf(write))
        .map((write) => (lane.deadLetters.has(write.sequence) ? { ...write, letter: 'open' } : write)),
    );
  }

  undelivered(key: LaneKey, through: number, heldUpTo = Infinity): PendingWrite[] {
    const nowMs = this.#database.clock.now();
    return this.#known(key).flatMap((lane) =>
      [...lane.writes.values()]
        .filter(({ sequence }) => sequence <= through && mayBeThere(lane, sequence))
        .filter(
          (write) =>
            write.sequence > Math.min(lane.deliveredSequence, heldUpTo) || isOpenEnded(lane, write, nowMs),
        )
        .map((write) => {
          const { number } = this.#database.coverage.current(lane.service);
          return {
            ...pendingOf(write, outcomeOf(lane, write.sequence) === 'unknown'),
            ...(write.coverage > 0 && write.coverage === number && { isCovered: true }),
          };
        }),
    );
  }

  deliveredSinceCopy(key: LaneKey): PendingWrite[] {
    return this.#known(key).flatMap((lane) =>
      [...lane.writes.values()]
        .filter(({ sequence }) => sequence > lane.settledSequence && sequence <= lane.deliveredSequence)
        .filter(({ sequence }) => outcomeOf(lane, sequence) === 'applied')
        .map((write) => pendingOf(write)),
    );
  }

  lastApplied(key: LaneKey, before = Infinity, from = 0): LastApplied {
    const { clock } = this.#database;
    const applied = this.#known(key).flatMap((lane) => appliedOf(lane, before));
    const nowMs = clock.wallOf(clock.now());
    const times = applied.map(({ atMs }) => atMs);
    const since = applied.filter(({ sequence }) => sequence >= from);
    return {
      nowMs,
      ...(since.length > 0 && {
        first: {
          sequence: Math.min(...since.map(({ sequence }) => sequence)),
          atMs: clock.wallOf(Math.min(...since.map(({ atMs }) => atMs))),
          sentMs: clock.wallOf(Math.min(...since.map(({ atMs, sentMs = atMs }) => sentMs))),
        },
      }),
      ...(times.length > 0 && { atMs: clock.wallOf(Math.max(...times)) }),
      ...this.#forgottenThrough(key, before),
    };
  }

  #forgottenThrough(key: LaneKey, before: number): Pick<LastApplied, 'forgottenThrough'> {
    const { reverse } = this.#database;
    const sequences = this.#known(key).flatMap(({ id, settledSequence }) =>
      reverse.of(id).flatMap(({ ref: { sequence }, ending }) => {
        const counts = ending === 'forgotten' && sequence > settledSequence && sequence < before;
        return counts ? [sequence] : [];
      }),
    );
    return sequences.length === 0 ? {} : { forgottenThrough: Math.max(...sequences) };
  }

  beginCopy(me: ReplicaId, key: LaneKey, above = 0): LaneRead | undefined {
    this.#database.synced();
    const known = this.#database.lane(key);
    if (known !== undefined && this.isClaimedByOther(known, me)) return undefined;
    if (known !== undefined && known.primary !== 'legacy') return undefined;
    if (known !== undefined && known.foundUncertain > known.foreignSeen) return undefined;
    const lane = this.#database.laneOrNew(key);
    const generation = Math.max(lane.generation, above) + 1;
    Object.assign(lane, { generation, condition: 'copying', reason: '' });
    takeClaim(lane, me);
    return readOf(lane);
  }

  /** Nobody accepts exceptions here: those of the last copy are all there are. */
  finishCopy(key: LaneKey, facts: FinishedCopy): LaneRead | undefined {
    this.#database.synced();
    const lane = this.#database.lane(key);
    if (lane?.generation !== facts.generation || lane.primary !== 'legacy') return undefined;
    if (lane.condition === 'copying') lane.condition = 'clean';
    lane.seededCoverage = Math.max(lane.seededCoverage, facts.coverage);
    lane.deliveredSequence = Math.max(lane.deliveredSequence, facts.sequence);
    lane.settledSequence = Math.max(lane.settledSequence, facts.sequence);
    if (facts.closes === true) lane.closedSequence = Math.max(lane.closedSequence, facts.sequence);
    lane.exceptions = new Set(facts.exceptions.map(({ item }) => item)).size;
    if (facts.baseline) this.#database.keepBaseline(key, { ...facts, items: facts.baseline });
    for (const sequence of lane.deadLetters.keys())
      if (sequence <= facts.sequence) lane.deadLetters.delete(sequence);
    return readOf(lane);
  }

  hold(me: ReplicaId, key: LaneKey, seconds: number): LaneRead | undefined {
    this.#database.synced();
    const lane = this.#database.lane(key);
    if (lane === undefined || this.isBusyElsewhere(lane, me, this.#isLeftOpen(lane))) return undefined;
    if (this.#awaitsOutcomeElsewhere(lane, me)) return undefined;
    lane.holder = me;
    lane.heldUntilMs = this.#database.clock.now() + seconds * 1_000;
    return readOf(lane);
  }

  releaseHold(me: ReplicaId, key: LaneKey): void {
    this.#database.synced();
    const lane = this.#database.lane(key);
    if (lane?.holder === me) lane.heldUntilMs = -Infinity;
  }

  tellHome(me: ReplicaId, key: LaneKey): LaneRead | undefined {
    this.#database.synced();
    const lane = this.#database.lane(key);
    if (lane === undefined) return undefined;
    if (!this.#claim(lane, me)) lane.foreignCount += 1;
    return readOf(lane);
  }

  outdated(service: ServiceName, coverage: number): Owner[] {
    return this.#database
      .lanes()
      .filter((lane) => lane.service === service)
      .filter(({ seededCoverage, primary }) => seededCoverage < coverage && primary === 'legacy')
      .map(({ owner }) => owner);
  }

  returned(service: ServiceName, coverage: number): Owner[] {
    const outdated = new Set(this.outdated(service, coverage));
    return this.#database
      .lanes()
      .flatMap((lane) =>
        lane.service === service && lane.epoch > 0 && outdated.has(lane.owner) ? [lane.owner] : [],
      );
  }

  fences(keys: readonly LaneKey[]): Map<LaneKey, ViewRead> {
    return new Map(
      keys.flatMap((key) =>
        this.#known(key).map((lane): [LaneKey, ViewRead] => {
          const coverage = this.#database.coverage.current(lane.service).number;
          const isReplicaSilent = this.#database.replicas.isAnySilent;
          return [key, { row: readOf(lane), isBehind: isBehind(lane), coverage, isReplicaSilent }];
        }),
      ),
    );
  }

  counts(service: ServiceName): LaneCounts {
    const lanes = this.#database.lanes().filter((lane) => lane.service === service);
    return countLanes(lanes, this.#database.coverage.current(service).number);
  }

  /** Nobody, or a replica that was given up. */
  #isGone(replica: ReplicaId | undefined): boolean {
    return replica === undefined || !this.#database.replicas.isListed(replica);
  }

  /**
   * Takes the claim where nobody else who lives has it. Whoever copied the lane is dead then, and its new home begins anew.
   * @returns whether the claim is its own now
   */
  #claim(lane: LaneRow, me: ReplicaId): boolean {
    if (this.isClaimedByOther(lane, me)) return false;
    if (lane.condition === 'copying' && lane.claim !== me) lane.condition = 'dirty';
    takeClaim(lane, me);
    return true;
  }

  isClaimedByOther({ claim }: LaneRow, me: ReplicaId): boolean {
    return claim !== undefined && claim !== me && this.#database.replicas.isAlive(claim);
  }

  /** By a replica that was not given up. */
  isHeld({ heldUntilMs, holder }: LaneRow): boolean {
    return heldUntilMs > this.#database.clock.now() && !this.#isGone(holder);
  }

  /** `IS_LEFT_OPEN` of `storage/journal/journal-sql.ts`. */
  #isLeftOpen({ key, writer }: LaneRow): boolean {
    return this.#isGone(writer) && this.#database.restored.isOpen(key);
  }

  /** `AWAITS_OUTCOME_ELSEWHERE` of `storage/journal/journal-sql.ts`. */
  #awaitsOutcomeElsewhere(lane: LaneRow, me: ReplicaId): boolean {
    return writesAbove(lane, Math.max(lane.settledSequence, lane.deliveredSequence)).some(
      ({ sequence, replica }) => replica !== me && !this.#isGone(replica) && !lane.outcomes.has(sequence),
    );
  }

  isBusyElsewhere(lane: LaneRow | undefined, me: ReplicaId, mayIgnoreOpenWrite = false): boolean {
    if (lane === undefined) return false;
    if (lane.holder !== me && this.isHeld(lane)) return true;
    if (mayIgnoreOpenWrite) return false;
    const { writer, outcomes, sequence, settledSequence, deliveredSequence } = lane;
    const isOpen = !outcomes.has(sequence) && Math.max(settledSequence, deliveredSequence) < sequence;
    return writer !== undefined && writer !== me && isOpen;
  }

  #known(key: LaneKey): LaneRow[] {
    const lane = this.#database.lane(key);
    return lane === undefined ? [] : [lane];
  }
}
