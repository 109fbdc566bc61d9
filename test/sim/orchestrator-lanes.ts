import {
  judge,
  judgeInOrder,
  supersededAnswer,
  type Place,
  type Verdict,
} from '../../src/orchestrator/memories/fence.ts';
import type { NumberedLane } from '../../src/orchestrator/memories/lane-row.ts';
import type { Lane } from '../../src/orchestrator/wire/payloads.ts';

/** What a lane keeps of the write that set its sequence, as long as it has that sequence. */
interface KeptAnswer {
  readonly place: Place;
  readonly operationId: string;
  readonly answer: object;
}

const POSITIONS_PER_PAGE = 1_000;

/** The rows of `memory_lanes`: where each lane is, what set its sequence, and the answer to repeat. */
export class OrchestratorLanes {
  #places = new Map<string, Place>();
  #kept = new Map<string, KeptAnswer>();

  generationOf(lane: string): number | undefined {
    return this.#places.get(lane)?.generation;
  }

  /** A copy has raised the generation and has not ended. */
  lacksSequence(lane: string): boolean {
    return (this.#places.get(lane)?.sequence ?? 0) < 0;
  }

  /** The answer to a write of an older epoch or generation. */
  supersededBy(lane: Lane): object {
    return supersededAnswer(this.#places.get(lane.key), lane);
  }

  /** As `memories/lane-positions.ts` answers it. */
  positions(keys: readonly string[]): object[] {
    return keys.flatMap((key) => {
      const place = this.#places.get(key);
      if (place === undefined) return [];
      const { epoch, generation, sequence, setBy: set_by } = place;
      const operation_id = this.#keptOf(key)?.operationId ?? null;
      return [{ key, epoch, generation, sequence: sequence < 0 ? null : sequence, set_by, operation_id }];
    });
  }

  /** A page of the lanes whose writes have ever moved. */
  movedAfter(key: string): object[] {
    const moved = [...this.#places].flatMap(([lane, { epoch }]) => (epoch > 0 && lane > key ? [lane] : []));
    return this.positions(moved.toSorted().slice(0, POSITIONS_PER_PAGE));
  }

  /** The returned function takes back what has changed since. */
  mark(): () => void {
    const [places, kept] = [new Map(this.#places), new Map(this.#kept)];
    return () => {
      this.#places = places;
      this.#kept = kept;
    };
  }

  /** The verdicts on writes that each have a fence of their own. */
  judgeInOrder(lanes: readonly (Lane | undefined)[]): Verdict[] {
    return judgeInOrder(lanes, this.#places);
  }

  /** As in `memories/lane-write.ts`: the answer to a write that does not take its sequence, or undefined if it does. */
  answerOf(lane: NumberedLane): object | undefined {
    const stored = this.#places.get(lane.key);
    const { verdict, place } = judge(stored, lane);
    if (verdict === 'applied' || stored === undefined) return undefined;
    this.#raiseEpoch(lane.key, place.epoch);
    const kept = this.#keptOf(lane.key);
    const { epoch = 0, generation, sequence, operation_id: id } = lane;
    const isThere = epoch >= stored.epoch && generation === stored.generation && sequence === stored.sequence;
    if (isThere && id !== undefined && id === kept?.operationId) return { ...kept.answer, repeated: true };
    return this.#keptOut(stored, lane);
  }

  /** A write has taken its sequence, with this answer. */
  take(lane: NumberedLane, answer: object): void {
    const { place } = judge(this.#places.get(lane.key), lane);
    const taken = { ...place, setBy: 'write' } as const;
    this.#places.set(lane.key, taken);
    const { operation_id: operationId } = lane;
    if (operationId !== undefined) this.#kept.set(lane.key, { place: taken, operationId, answer });
  }

  /** As in `memories/close-sequence.ts`. */
  close(lane: NumberedLane): object {
    const stored = this.#places.get(lane.key);
    const { verdict, place } = judge(stored, lane);
    if (verdict === 'applied' || stored === undefined) {
      this.#places.set(lane.key, { ...place, setBy: 'close' });
      return { closed: true };
    }
    this.#raiseEpoch(lane.key, place.epoch);
    if (verdict === 'superseded' || lane.sequence < stored.sequence) return this.#keptOut(stored, lane);
    if (stored.setBy === 'close') return { closed: true };
    const kept = this.#keptOf(lane.key);
    const { setBy: set_by } = stored;
    return { closed: false, set_by, operation_id: kept?.operationId ?? null, ...kept?.answer };
  }

  /** What set the sequence stays known. */
  #raiseEpoch(key: string, epoch: number): void {
    const stored = this.#places.get(key);
    if (stored !== undefined && stored.epoch !== epoch) this.#places.set(key, { ...stored, epoch });
  }

  #keptOf(key: string): KeptAnswer | undefined {
    const [kept, place] = [this.#kept.get(key), this.#places.get(key)];
    if (kept === undefined || place?.setBy !== 'write') return undefined;
    const { generation, sequence } = kept.place;
    return generation === place.generation && sequence === place.sequence ? kept : undefined;
  }

  #keptOut(stored: Place, lane: NumberedLane): object {
    const { epoch = 0, generation } = lane;
    if (epoch < stored.epoch || generation < stored.generation) return supersededAnswer(stored, lane);
    const { sequence: lane_sequence, setBy: set_by } = stored;
    const operation_id = this.#keptOf(lane.key)?.operationId ?? null;
    return { already_applied: true, lane_sequence, set_by, operation_id };
  }
}
