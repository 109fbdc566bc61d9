import { type LaneKey, parseLaneKey } from '../../domain/ids.ts';
import { Packer } from '../delivery/pack.ts';
import type { Lane } from '../lane/lane.ts';
import type { PendingWrite } from '../ports/ports.ts';
import type { Position } from '../ports/restored-ports.ts';
import type { RestoredParts } from './restored-backups.ts';

const CALL_TIMEOUT_MS = 2_000;
const HOLD_PATIENCE_MS = 5_000;

interface RedeliveryParts extends RestoredParts {
  /** Where the orchestrator is in the lane. */
  readonly held: (lane: LaneKey) => Promise<Position>;
  readonly signal: AbortSignal;
}

/** Gives a restored orchestrator what it lacks, as far as the journal still holds it. */
export class Redelivery {
  readonly #parts: RedeliveryParts;
  readonly #packer: Packer;

  constructor(parts: RedeliveryParts) {
    this.#parts = parts;
    const { orchestrator, services, clock } = parts;
    // No copy settles such a lane. What cannot be given again is listed.
    const signals = { copyAnew: () => undefined };
    this.#packer = new Packer({ orchestrator, services, clock, timeoutMs: CALL_TIMEOUT_MS, signals });
  }

  /** Gives a restored orchestrator the writes again that the journal still holds. */
  async all(): Promise<void> {
    for (const lane of await this.#parts.store.toRedeliver())
      if (!this.#parts.signal.aborted && this.#parts.services.has(parseLaneKey(lane).service))
        await this.again(lane);
  }

  /** Gives a listed lane what the orchestrator lacks now. @returns whether it has everything. False, too, if the lane could not be held */
  async again(key: LaneKey): Promise<boolean> {
    const { store, hold, clock, history, lanes } = this.#parts;
    const { service, owner } = parseLaneKey(key);
    const lane = await lanes.load(service, owner);
    // No write of any replica comes between.
    const held = await hold(lane, clock.now() + HOLD_PATIENCE_MS);
    try {
      const [journal] = await store.positions([key]);
      const at = await this.#parts.held(key);
      if (journal === undefined || !held.isSure()) return false;
      const writes =
        at.generation < journal.generation
          ? undefined
          : await history.between(key, at.sequence, journal.sequence);
      const given = await this.#given(lane, writes);
      await store.redelivered(key, given);
      return given.isComplete;
    } finally {
      held.release();
    }
  }

  /** A write of unknown outcome is not given again, because its agent got an error. */
  async #given(
    lane: Lane,
    writes: readonly PendingWrite[] | undefined,
  ): Promise<{ readonly writes: number; readonly isComplete: boolean }> {
    const applied = writes?.filter(({ isUncertain }) => isUncertain !== true) ?? [];
    let given = 0;
    for (const write of applied) {
      if (!(await this.#give(lane, write))) return { writes: given, isComplete: false };
      given += 1;
    }
    return { writes: given, isComplete: writes !== undefined };
  }

  /** @returns false if it cannot be given again: its items are gone, or something else took its place */
  async #give(lane: Lane, write: PendingWrite): Promise<boolean> {
    const { orchestrator, clock } = this.#parts;
    const parcels = await this.#packer.complete([this.#packer.pack(lane, write)]);
    if (parcels.length === 0) return false;
    const operations = parcels.flatMap((parcel) => parcel.operations);
    if (operations.length === 0) return true;
    const deadlineAtMs = clock.now() + CALL_TIMEOUT_MS;
    const answers = await orchestrator.batchWrite(operations, { purpose: 'probe', deadlineAtMs });
    return answers.every(({ result }) => result === 'applied');
  }
}
