import type { ServiceName } from '../../domain/ids.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

/** How long a count over all lanes is reused. */
const COUNTED_FOR_MS = 1_000;

export interface BacklogLimits {
  /** Most writes of one lane, and of all lanes, that may wait for delivery. */
  readonly lane: number;
  readonly total: number;
}

export interface BacklogLimitParts {
  readonly limits: BacklogLimits;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly clock: Clock;
  /** False: legacy is read-only. Its moved lanes' writes wait on purpose. */
  readonly isOpen: (service: ServiceName) => boolean;
  /** Lanes with waiting writes. */
  readonly waiting: () => Iterable<Lane>;
}

/**
 * W9 of ../README.md: above its limit a lane is copied, instead of queueing without bound. A lane whose primary is the orchestrator
 * cannot be copied to legacy, so it loses its way back. What waits because legacy is read-only does not count.
 */
export class BacklogLimit {
  readonly #parts: BacklogLimitParts;
  #total = 0;
  #countedAtMs = -Infinity;

  constructor(parts: BacklogLimitParts) {
    this.#parts = parts;
  }

  /** Whether the lane, which just got another write, must not queue any more. */
  isOver(lane: Lane): boolean {
    const isForward = lane.primary === 'legacy';
    if (isForward && (lane.condition !== 'clean' || lane.seededCoverage <= 0)) return false;
    if (this.#waitsOnPurpose(lane)) return false;
    const { limits } = this.#parts;
    const isTooLong = backlogOf(lane) > limits.lane || this.#count() > limits.total;
    return isTooLong && !(isForward && this.#forgetsEntries(lane));
  }

  /** If the service forgets items by itself, a copy would miss them, so the lane must be delivered. */
  #forgetsEntries({ service }: Lane): boolean {
    return this.#parts.services.get(service)?.definition.lanes.retention?.entries !== undefined;
  }

  #waitsOnPurpose({ primary, service }: Lane): boolean {
    return primary === 'orchestrator' && !this.#parts.isOpen(service);
  }

  #count(): number {
    const nowMs = this.#parts.clock.now();
    if (nowMs - this.#countedAtMs < COUNTED_FOR_MS) return this.#total;
    this.#countedAtMs = nowMs;
    this.#total = 0;
    for (const lane of this.#parts.waiting()) if (!this.#waitsOnPurpose(lane)) this.#total += backlogOf(lane);
    return this.#total;
  }
}

/** Refused writes in between also count. */
function backlogOf({ applied, delivered }: Lane): number {
  return Math.max(0, applied - delivered);
}
