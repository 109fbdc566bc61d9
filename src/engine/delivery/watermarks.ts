import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';

/** Longest time that the deliveries of a lane wait at one watermark. */
const STANDS_MS = 1_000;
/** If the oldest watermark of a lane has existed for this long, further reads get none, because comparisons are too slow. */
const CROWDED_MS = 500;

/** A point in a lane's writes. What legacy showed there is compared with what the orchestrator shows there. */
export interface Watermark {
  /** The last write that legacy may have shown. */
  readonly sequence: number;
  /** Resolves when the orchestrator holds every write up to here, or after a time limit. */
  readonly reached: Promise<unknown>;
  /** Whether the orchestrator holds every write up to here, and none after it. */
  isSure(): boolean;
  /** Lets deliveries continue. Calling it twice has no effect. */
  release(): void;
}

interface Stop {
  readonly sequence: number;
  readonly sinceMs: number;
  readonly end: () => void;
}

interface WatermarkParts {
  readonly clock: Clock;
  /** Only then does this replica know every write of a lane, and make every delivery. */
  readonly isAlone: () => boolean;
  /** Called when deliveries may continue. */
  readonly onEnd: () => void;
}

/**
 * Agents keep writing while the orchestrator gets the read that legacy has answered. Until then, deliveries of the lane stop at
 * its watermark, so that both answers show the same writes. Agents never wait for that. Their writes are applied and acknowledged
 * as always, and a cut-over read that waits for deliveries ends every watermark of its lane.
 */
export class Watermarks {
  readonly #parts: WatermarkParts;
  /** By lane, oldest first, so their sequences ascend. */
  readonly #stops = new Map<Lane, Stop[]>();

  constructor(parts: WatermarkParts) {
    this.#parts = parts;
  }

  /** The last write of the lane that may be delivered now. */
  mostOf(lane: Lane): number {
    return this.#stops.get(lane)?.[0]?.sequence ?? Infinity;
  }

  /** Undefined if too many reads of the lane wait already, and if {@link stopAt} sets none. */
  stopForRead(lane: Lane): Watermark | undefined {
    const [oldest] = this.#stops.get(lane) ?? [];
    const isCrowded = oldest !== undefined && this.#parts.clock.now() - oldest.sinceMs > CROWDED_MS;
    return isCrowded ? undefined : this.stopAt(lane);
  }

  /**
   * Sets a watermark at the lane's present position. No write of the lane may be in flight. Undefined if other replicas write, or
   * if the lane's row is unknown, because then deliveries cannot be stopped.
   */
  stopAt(lane: Lane): Watermark | undefined {
    const { clock, isAlone } = this.#parts;
    if (!isAlone() || !lane.isLoaded) return undefined;
    const { applied, generation, forgotten } = lane;
    const end = (): void => {
      clearTimeout(timer);
      this.#end(lane, stop);
    };
    const timer = setTimeout(end, STANDS_MS);
    const stop: Stop = { sequence: lane.sequence, sinceMs: clock.now(), end };
    this.#stops.set(lane, [...(this.#stops.get(lane) ?? []), stop]);
    return {
      sequence: stop.sequence,
      reached: lane.caughtUp(STANDS_MS),
      isSure: () =>
        this.#stops.get(lane)?.includes(stop) === true &&
        isAlone() &&
        lane.condition === 'clean' &&
        lane.delivered >= applied &&
        lane.generation === generation &&
        lane.forgotten === forgotten,
      release: end,
    };
  }

  /** Ends every watermark of the lane, because an agent's read waits for its deliveries. */
  lift(lane: Lane): void {
    for (const { end } of this.#stops.get(lane) ?? []) end();
  }

  #end(lane: Lane, stop: Stop): void {
    const stops = this.#stops.get(lane);
    if (stops?.includes(stop) !== true) return;
    const others = stops.filter((one) => one !== stop);
    if (others.length > 0) this.#stops.set(lane, others);
    else this.#stops.delete(lane);
    if (lane.isBehind) this.#parts.onEnd();
  }
}
