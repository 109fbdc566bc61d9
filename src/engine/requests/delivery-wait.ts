import type { Backend } from '../../domain/backend.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { EventName, Listener, MigrationEvents } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';

/** A cut-over read may take this much longer than the same reads on legacy, at the 99th percentile. */
const ABOVE_LEGACY_MS = 25;
/** Number of durations from which a percentile is computed. */
const WINDOW = 256;
/** Fewer are not enough. */
const LEAST = 16;
/** Legacy may answer no reads of an action any more, so old durations are ignored. */
const OUTDATED_MS = 15 * 60_000;
/** Percentiles are computed again after this time. Otherwise each read would sort the window. */
const REUSED_MS = 250;
/** Factor on recent deliveries, because the next one may take longer. */
const ROOM = 1.25;

/** The newest durations of one kind, and their percentiles. */
class Recent {
  readonly #clock: Clock;
  readonly #durationsMs: number[] = [];
  #next = 0;
  #lastAtMs = -Infinity;
  #sorted: readonly number[] = [];
  #sortedAtMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(durationMs: number): void {
    this.#durationsMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % WINDOW;
    this.#lastAtMs = this.#clock.now();
  }

  /** Undefined if too few are known. */
  quantileMs(share: number): number | undefined {
    const nowMs = this.#clock.now();
    if (this.#durationsMs.length < LEAST || nowMs - this.#lastAtMs > OUTDATED_MS) return undefined;
    if (nowMs - this.#sortedAtMs >= REUSED_MS) {
      this.#sorted = this.#durationsMs.toSorted((a, b) => a - b);
      this.#sortedAtMs = nowMs;
    }
    return this.#sorted[Math.min(this.#sorted.length - 1, Math.floor(this.#sorted.length * share))];
  }
}

/**
 * How long a cut-over read waits for the deliveries of its lane. It waits as long as recent deliveries took that reads waited
 * for. The limit is that the 99th percentile of these reads stays within 25 ms of legacy's own. If even the fastest deliveries
 * take longer, the read does not wait. The same applies to the first copy of a lane.
 */
export class DeliveryWait {
  readonly #clock: Clock;
  readonly #delivered = new Map<ServiceName, Recent>();
  readonly #copied = new Map<ServiceName, Recent>();
  readonly #answered = new Map<string, Recent>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get listener(): Listener {
    return (name, event) => this.#handlers[name]?.(event);
  }

  readonly #handlers: { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void } = {
    'delivery:awaited': ({ service, durationMs }) => {
      recentOf(this.#delivered, service, this.#clock).add(durationMs);
    },
    'lane:copied': ({ service, durationMs }) => {
      recentOf(this.#copied, service, this.#clock).add(durationMs);
    },
    'backend:called': ({ service, action, backend, purpose, result, durationMs }) => {
      if (result !== 'answered' || purpose === 'probe') return;
      recentOf(this.#answered, keyOf(service, action, backend), this.#clock).add(durationMs);
    },
  };

  /** Milliseconds. */
  of(service: ServiceName, action: string): number {
    return this.#ofThose(this.#delivered.get(service), this.mostMs(service, action));
  }

  /** The same for a lane that is new to the orchestrator. The read waits for its copy, which replaces the deliveries. */
  ofCopy(service: ServiceName, action: string): number {
    return this.#ofThose(this.#copied.get(service), this.mostMs(service, action));
  }

  #ofThose(recent: Recent | undefined, mostMs: number): number {
    if ((recent?.quantileMs(0.1) ?? 0) > mostMs) return 0;
    return Math.min(mostMs, (recent?.quantileMs(0.99) ?? Infinity) * ROOM);
  }

  /** The maximum, whatever deliveries took. After the wait comes an answer of the orchestrator, or of legacy. */
  mostMs(service: ServiceName, action: string): number {
    const of = (backend: Backend, share: number): number =>
      this.#answered.get(keyOf(service, action, backend))?.quantileMs(share) ?? 0;
    const answerMs = Math.max(of('legacy', 0.5), of('orchestrator', 0.5));
    return Math.max(0, ABOVE_LEGACY_MS + Math.max(of('legacy', 0.99) - answerMs, 0));
  }
}

function keyOf(service: ServiceName, action: string, backend: Backend): string {
  return `${service} ${action} ${backend}`;
}

function recentOf<Key>(recent: Map<Key, Recent>, key: Key, clock: Clock): Recent {
  const known = recent.get(key);
  if (known !== undefined) return known;
  const made = new Recent(clock);
  recent.set(key, made);
  return made;
}
