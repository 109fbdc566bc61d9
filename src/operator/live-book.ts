import type { Backend } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { EventName, Listener, MigrationEvents } from '../engine/ports/events.ts';
import type { LiveSample } from './api/history.ts';
import { LatencyHistogram } from './statistics.ts';

export const SAMPLE_MS = 2_000;
/** A quarter of an hour. */
export const KEPT_SAMPLES = 450;

const BACKENDS = ['legacy', 'orchestrator'] as const satisfies readonly Backend[];

const bothOf = <Value>(make: (backend: Backend) => Value): Record<Backend, Value> =>
  Object.fromEntries(BACKENDS.map((backend) => [backend, make(backend)])) as Record<Backend, Value>;

/** One sample while it is counted. */
class Counting {
  readonly reads = bothOf(() => 0);
  writes = 0;
  match = 0;
  mismatch = 0;
  lagMs: number | null = null;
  readonly added = new LatencyHistogram();
  readonly latency = bothOf(() => new LatencyHistogram());
  readonly reasons: Record<string, number> = {};

  sample(atMs: number): LiveSample {
    const { reads, writes, match, mismatch, lagMs, reasons, latency, added } = this;
    return {
      atMs,
      reads,
      writes,
      match,
      mismatch,
      lagMs,
      reasons,
      p50: bothOf((backend) => latency[backend].quantileMs(0.5)),
      p95: bothOf((backend) => latency[backend].quantileMs(0.95)),
      addedP95: added.quantileMs(0.95),
    };
  }
}

type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };

/** Samples of what happens now, for people who watch. Bounded: 15 minutes of each service. */
export class LiveBook {
  readonly #counting: Map<ServiceName, Counting>;
  readonly #kept: ReadonlyMap<ServiceName, LiveSample[]>;
  readonly #watchers = new Set<() => void>();

  constructor(services: readonly ServiceName[]) {
    this.#counting = new Map(services.map((service) => [service, new Counting()]));
    this.#kept = new Map(services.map((service) => [service, []]));
  }

  get listener(): Listener {
    const handlers = this.#handlers();
    return (name, event) => handlers[name]?.(event);
  }

  /** Ends the current sample of every service. */
  turn(nowMs: number): void {
    for (const [service, counting] of this.#counting) {
      const kept = this.#kept.get(service) ?? [];
      kept.push(counting.sample(nowMs));
      if (kept.length > KEPT_SAMPLES) kept.shift();
      this.#counting.set(service, new Counting());
    }
    for (const watcher of this.#watchers) watcher();
  }

  /** Oldest first. Undefined for an unknown service. */
  samplesOf(service: ServiceName): readonly LiveSample[] | undefined {
    return this.#kept.get(service);
  }

  /** Called after each sample. @returns a function that unsubscribes */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  #handlers(): Handlers {
    const of = (service: ServiceName): Counting | undefined => this.#counting.get(service);
    return {
      'operation:decided': ({ service, decision: { reason } }) => {
        const reasons = of(service)?.reasons;
        if (reasons !== undefined) reasons[reason] = (reasons[reason] ?? 0) + 1;
      },
      'operation:replied': (event) => {
        const counting = of(event.service);
        if (counting !== undefined) replied(counting, event);
      },
      'backend:called': ({ service, backend, result, purpose, durationMs }) => {
        if (result === 'answered' && purpose !== 'probe') of(service)?.latency[backend].record(durationMs);
      },
      'shadow:compared': ({ service, comparison: { verdict } }) => {
        const counting = of(service);
        if (counting !== undefined && verdict !== 'not_comparable') counting[verdict] += 1;
      },
      'delivery:applied': ({ service, lagMs }) => {
        const counting = of(service);
        if (counting !== undefined) counting.lagMs = Math.max(counting.lagMs ?? 0, lagMs);
      },
    };
  }
}

function replied(counting: Counting, event: MigrationEvents['operation:replied']): void {
  const { backend, kind, durationMs, primaryMs } = event;
  if (kind === 'write') counting.writes += 1;
  if (backend === undefined) return;
  counting.added.record(durationMs - primaryMs);
  if (kind === 'read') counting.reads[backend] += 1;
}
