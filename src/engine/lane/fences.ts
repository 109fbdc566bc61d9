import { fenceOfRow, type FenceReason, type FenceUse } from './fence.ts';
import type { Lane } from './lane.ts';
import type { Clock, Journal } from '../ports/ports.ts';
import type { Coverage } from '../ports/service-runtime.ts';

/** Interval of queries to the journal while a lane catches up. */
const LOOK_AGAIN_MS = 5;

export interface FenceParts {
  readonly journal: Journal;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly clock: Clock;
  /** Whether no other replica writes. Then memory answers. */
  readonly isAlone: () => boolean;
  /** Whether this replica has written something that the journal does not know. */
  readonly isSpilling: () => boolean;
}

/** Whether the secondary holds every acknowledged write of a lane, of any replica. */
export class Fences {
  readonly #parts: FenceParts;

  constructor(parts: FenceParts) {
    this.#parts = parts;
  }

  /** Whether the journal need not be queried. */
  isInMemory(lane: Lane): boolean {
    return lane.isLoaded && this.#parts.isAlone();
  }

  /** Undefined if it does, as far as this replica knows. For a lane that is known in memory. */
  lookInMemory(lane: Lane, use: FenceUse = 'read'): FenceReason | undefined {
    return this.#parts.isSpilling() ? 'spilling' : lane.fence(this.#coverageOf(lane), use);
  }

  /** Undefined if it does. @throws StorageError */
  async look(lane: Lane, use: FenceUse = 'read'): Promise<FenceReason | undefined> {
    // What a replica that has left knew of the lane is only in the journal.
    if (this.isInMemory(lane)) return this.lookInMemory(lane, use);
    if (this.#parts.isSpilling()) return 'spilling';
    const coverage = this.#coverageOf(lane);
    return fenceOfRow(await this.#parts.journal.fence(lane.key), coverage, use);
  }

  #coverageOf({ service }: Lane): number {
    return this.#parts.coverage.get(service)?.number ?? 0;
  }

  /**
   * The same, after waiting at most `ms` for the lane's deliveries. Writes that begin during the wait are not waited for, because
   * the read began before them.
   * @throws StorageError
   */
  async catchUp(lane: Lane, ms: number, use: FenceUse = 'read'): Promise<FenceReason | undefined> {
    const { clock, isAlone } = this.#parts;
    if (isAlone()) {
      const needed = lane.applied;
      if (lane.isBehind) await lane.caughtUp(ms);
      const reason = await this.look(lane, use);
      return reason === 'behind' && lane.delivered >= needed ? undefined : reason;
    }
    const untilMs = clock.now() + ms;
    for (;;) {
      const reason = await this.look(lane, use);
      if (reason !== 'behind' || clock.now() >= untilMs) return reason;
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }
}
