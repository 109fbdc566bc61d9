import type { LaneKey } from '../../domain/ids.ts';

/** Where the orchestrator is in a lane. */
export interface HeldPosition {
  readonly generation: number;
  /** Undefined while a copy has raised the generation and has not ended. */
  readonly sequence: number | undefined;
}

interface Raised {
  readonly sequence: number;
  readonly generations: readonly number[];
}

const NOTHING: Raised = { sequence: 0, generations: [] };

/**
 * The last sequence that the orchestrator held of each lane, before a copy raised its generation. Raising it erases the sequence, so the
 * next attempt of an interrupted copy finds it only here.
 */
export class HeldSequences {
  readonly #raised = new Map<LaneKey, Raised>();

  /**
   * Notes what the orchestrator held before a copy raises the generation.
   * @param held undefined: it does not know the lane, so it holds nothing of it
   * @returns the last sequence that it held; undefined if that is not known
   */
  note(lane: LaneKey, held: HeldPosition | undefined, generation: number): number | undefined {
    const before = held === undefined ? NOTHING : this.#before(lane, held);
    if (before === undefined) {
      this.#raised.delete(lane);
      return undefined;
    }
    this.#raised.set(lane, { ...before, generations: [...before.generations, generation] });
    return before.sequence;
  }

  /** The copy has ended, and the orchestrator holds its sequence. */
  forget(lane: LaneKey): void {
    this.#raised.delete(lane);
  }

  /** A generation that was raised elsewhere says nothing about what was noted here. */
  #before(lane: LaneKey, { generation, sequence }: HeldPosition): Raised | undefined {
    if (sequence !== undefined) return { sequence, generations: [] };
    const raised = this.#raised.get(lane);
    return raised?.generations.includes(generation) === true ? raised : undefined;
  }
}
