import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../ports/ports.ts';

/** Most that the deliveries of a lane wait at one watermark. */
const STANDS_MS = 1_000;
/** A lane whose oldest watermark has stood for so long gets none for further reads: the comparisons of its reads come too slowly. */
const CROWDED_MS = 500;

/** A place in a lane's writes: what legacy showed there is compared with what the orchestrator shows there. */
export interface Watermark {
  /** The last write that legacy may have shown. */
  readonly sequence: number;
  /** Resolves when the orchestrator holds every write up to here, or when that took too long. */
  readonly reached: Promise<unknown>;
  /** Whether the orchestrator holds every write up to here, and none after it. */
  isSure(): boolean;
  /** Deliveries go on. Calling it twice does nothing. */
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
  /** Deliveries may go on. */
  readonly onEnd: () => void;
}

/**
 * Agents write on while the orchestrator is asked what legacy was asked before. Deliveries of the lane stop at its watermark until then,
 * so that both answers show the same writes. Agents never wait for that: their writes are applied and acknowledged as always, and a
 * cut-over read that waits for deliveries ends every watermark of its lane.
 */
export class Watermarks {
  readonly #parts: WatermarkParts;
  /** By lane, oldest first: their sequences ascend. */
  readonly #stops = new Map<Lane, Stop[]>();

  constructor(parts: WatermarkParts) {
    this.#parts = parts;
  }

  /** The last write of the lane that may be delivered now. */
  mostOf(lane: Lane): number {
    return this.#stops.get(lane)?.[0]?.sequence ?? Infinity;
  }

  /** Undefined where too many reads of the lane wait already, and where {@link stopAt} sets none. */
  stopForRead(lane: Lane): Watermark | undefined {
    const [oldest] = this.#stops.get(lane) ?? [];
    const isCrowded = oldest !== undefined && this.#parts.clock.now() - oldest.sinceMs > CROWDED_MS;
    return isCrowded ? undefined : this.stopAt(lane);
  }

  /**
   * Sets a watermark where the lane stands: no write of it may be in flight. Undefined where other replicas write, or the lane's row is
   * not known: then nothing can be stopped.
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

  /** Ends every watermark of the lane: a read of an agent waits for its deliveries. */
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
