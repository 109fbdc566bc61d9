import type { LaneState } from '../../domain/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Journal, PendingWrite } from '../ports/ports.ts';
import { sequencedLabels, type Sequenced } from './sequence-write.ts';
import type { Settlements } from './settlements.ts';
import type { Settling } from './settle.ts';
import { seedOf } from './write-outcome.ts';

export interface LateReplyParts {
  readonly journal: Journal;
  readonly settlements: Settlements;
  readonly emit: Emit;
  deliver(lane: Lane, write: PendingWrite): void;
  tellHome(lane: Lane): void;
  /** A lane is certain again. Its waiting writes can be delivered. */
  wake(): void;
}

/** A write with an unknown outcome. */
export interface UnknownWrite {
  readonly sequenced: Sequenced;
  readonly settling: Settling;
  /** Resolves with whether the journal has recorded that its outcome is unknown. */
  readonly recorded: Promise<boolean>;
  /** The lane's generation when it was sent. */
  readonly generation: number;
}

/**
 * W8: the late reply to a write of unknown outcome has come. If no copy of the lane has begun since and nothing else is wrong,
 * the lane is certain again, and the write is delivered like any other.
 */
export class LateReplies {
  readonly #parts: LateReplyParts;

  constructor(parts: LateReplyParts) {
    this.#parts = parts;
  }

  /** Resolves with whether the lane is certain again. If not, it stays dirty, and its copy decides. Never rejects. */
  async resolve(unknown: UnknownWrite, outcome: 'applied' | 'refused'): Promise<boolean> {
    const { sequenced, settling, recorded, generation } = unknown;
    await settling.marked;
    if (!(await recorded)) return false;
    const seedsUnder = outcome === 'applied' ? seedOf(sequenced) : undefined;
    const late = {
      ref: sequenced.write,
      outcome,
      generation,
      ...(seedsUnder !== undefined && { seedsUnder }),
    };
    let state: LaneState | undefined;
    await this.#parts.settlements.untilDone(async () => {
      state = await this.#parts.journal.resolveLate(late);
    });
    if (state === undefined) return false;
    settling.end();
    this.#goOn(sequenced, state, outcome);
    return true;
  }

  #goOn(sequenced: Sequenced, state: LaneState, outcome: 'applied' | 'refused'): void {
    const { lane, write } = sequenced;
    lane.adoptForeign(state);
    if (outcome === 'applied') lane.appliedUpTo(write.sequence);
    this.#parts.emit('write:came_late', { ...sequencedLabels(sequenced), outcome });
    if (!state.isHome) this.#parts.tellHome(lane);
    else if (outcome === 'applied') this.#parts.deliver(lane, write);
    else this.#parts.wake();
  }
}
