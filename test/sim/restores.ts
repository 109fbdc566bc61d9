import type { LaneKey } from '../../src/domain/ids.ts';
import { backUpLog, type CommitLog } from './commit-check.ts';
import { allWrites, numberOf, type LaneRow } from './lane-row.ts';
import type { World } from './world.ts';

/** A lane whose primary was the orchestrator when that was set back. */
interface SetBackPrimary {
  readonly lane: LaneKey;
  readonly epoch: number;
  readonly madeAtMs: number;
  readonly atMs: number;
}

/** What the checks know of backups that were restored. */
export class Restores {
  /** How often the orchestrator was set back to an older copy. */
  orchestrator = 0;
  readonly #primaries: SetBackPrimary[] = [];
  /** Lanes of legacy that no copy has filled since, with the generation that they had then. */
  readonly #toCopy = new Map<LaneKey, number>();
  readonly #wereOnLegacy = new Set<LaneKey>();
  /** When a lane of legacy was set back on its secondary last. */
  readonly #setBackAtMs = new Map<LaneKey, number>();
  /** Of these, lanes for which no copy could know how much the orchestrator held. */
  readonly #unknown = new Set<LaneKey>();

  /** Copies the orchestrator's database. The returned function sets it back. */
  backUpOrchestrator({ store, scheduler, database }: World, log: CommitLog): () => void {
    const [setStoreBack, setLogBack] = [store.backUp(), backUpLog(log)];
    const madeAtMs = scheduler.nowMs;
    return () => {
      setStoreBack();
      setLogBack();
      this.orchestrator += 1;
      for (const { key: lane, primary, epoch, generation } of database.lanes())
        if (primary === 'orchestrator')
          this.#primaries.push({ lane, epoch, madeAtMs, atMs: scheduler.nowMs });
        else {
          this.#toCopy.set(lane, generation);
          this.#wereOnLegacy.add(lane);
          this.#setBackAtMs.set(lane, scheduler.nowMs);
          if (store.lanes.lacksSequence(lane)) this.#unknown.add(lane);
        }
    };
  }

  /**
   * Lanes of legacy whose secondary may lack writes. T12: the journal keeps no mark of such a lane, and comparisons find what a restored
   * orchestrator lacks. A person requests their copies. A copy that began afterwards has raised the generation.
   */
  toCopy({ database }: Pick<World, 'database'>): readonly LaneKey[] {
    for (const [key, before] of this.#toCopy) {
      const lane = database.lane(key);
      const isOver = lane === undefined || (lane.condition !== 'copying' && lane.condition !== 'dirty');
      if (isOver && (lane?.generation ?? 0) > before) this.#toCopy.delete(key);
    }
    return [...this.#toCopy.keys()].filter((key) => database.lane(key)?.primary === 'legacy');
  }

  /** Whether the secondary of a lane of legacy may lack writes. */
  mayLack(world: Pick<World, 'database'>, lane: LaneKey): boolean {
    return this.toCopy(world).includes(lane);
  }

  /** Another process copies the lane than the one whose copy may have raised its generation. */
  copyInterrupted(lane: LaneKey): void {
    if (this.#wereOnLegacy.has(lane)) this.#unknown.add(lane);
  }

  /**
   * Whether a lane's items were set back on the secondary, and no copy could know how far. "Copying a lane", step 4: raising the generation
   * erases the orchestrator's sequence. If the replica dies in between, a person decides about what a journaled delete removed. The same
   * holds for a backup that was made in between.
   */
  wasSetBackUnknown(lane: LaneKey): boolean {
    return this.#unknown.has(lane);
  }

  /** When the secondary of this lane was set back last, while legacy was its primary. */
  setBackAtMs(lane: LaneKey): number {
    return this.#setBackAtMs.get(lane) ?? -Infinity;
  }

  /**
   * Writes that a primary which was set back may have forgotten, and that no agent was acknowledged. T12: a write of unknown outcome is not
   * given again. What such a write did before may be gone, or not.
   */
  unacknowledged(
    lane: LaneRow,
    executions: readonly { readonly number: number; readonly atMs: number }[],
  ): ReadonlySet<number> {
    const setBack = this.#primaries.filter(
      ({ lane: key, epoch }) => key === lane.key && epoch === lane.epoch,
    );
    const wasUndone = (number: number): boolean =>
      executions.some(
        (one) =>
          one.number === number &&
          setBack.some(({ madeAtMs, atMs }) => one.atMs >= madeAtMs && one.atMs <= atMs),
      );
    const numbersOf = (isApplied: boolean): number[] =>
      allWrites(lane)
        .filter(({ outcome }) => (outcome === 'applied') === isApplied)
        .map(({ write }) => numberOf(write.request));
    const applied = new Set(numbersOf(true));
    return new Set(numbersOf(false).filter((number) => !applied.has(number) && wasUndone(number)));
  }
}

/** A person has accepted the lane with what the orchestrator holds, because the journal had not all of it. Until it returns to legacy. */
export function isAcceptedIncomplete(
  { database }: Pick<World, 'database'>,
  { key, epoch }: LaneRow,
): boolean {
  return database.restored.rows.some(
    ({ lane, isIncomplete, decidedAtMs, journal }) =>
      lane === key && isIncomplete && decidedAtMs !== undefined && journal.epoch === epoch,
  );
}

/** Whether a restored database lacked something of the lane at some time since. */
export function waitedForPerson(
  { database }: Pick<World, 'database'>,
  key: LaneKey,
  sinceMs: number,
): boolean {
  return database.restored.rows.some(
    ({ lane, decidedAtMs = Infinity }) => lane === key && decidedAtMs >= sinceMs,
  );
}
