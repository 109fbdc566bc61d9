import type { ServiceName } from '../../domain/ids.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

/** How long a count of all lanes is good for. */
const COUNTED_FOR_MS = 1_000;

export interface BacklogLimits {
  /** Writes of one lane, and of all lanes together, that may wait for their delivery. */
  readonly lane: number;
  readonly total: number;
}

export interface BacklogLimitParts {
  readonly limits: BacklogLimits;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly clock: Clock;
  /** Lanes with writes that wait. */
  readonly waiting: () => Iterable<Lane>;
}

/** W9 of ../README.md: above its limit a lane is made equal by a copy, instead of queueing without bound. */
export class BacklogLimit {
  readonly #parts: BacklogLimitParts;
  #total = 0;
  #countedAtMs = -Infinity;

  constructor(parts: BacklogLimitParts) {
    this.#parts = parts;
  }

  /** Whether the lane, to which a write was added just now, is to be copied instead of delivered. */
  isOver(lane: Lane): boolean {
    if (lane.condition !== 'clean' || lane.seededCoverage === 0) return false;
    const { limits } = this.#parts;
    const isTooLong = backlogOf(lane) > limits.lane || this.#count() > limits.total;
    return isTooLong && !this.#forgetsEntries(lane);
  }

  /** What the service forgets by itself a copy would not find any more: it must be delivered. */
  #forgetsEntries({ service }: Lane): boolean {
    return this.#parts.services.get(service)?.definition.lanes.retention?.entries !== undefined;
  }

  #count(): number {
    const nowMs = this.#parts.clock.now();
    if (nowMs - this.#countedAtMs < COUNTED_FOR_MS) return this.#total;
    this.#countedAtMs = nowMs;
    this.#total = 0;
    for (const lane of this.#parts.waiting()) this.#total += backlogOf(lane);
    return this.#total;
  }
}

/** Writes that were refused and stand between are counted too. */
function backlogOf({ applied, delivered }: Lane): number {
  return Math.max(0, applied - delivered);
}
