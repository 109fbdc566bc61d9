import type { Backend } from '../domain/backend.ts';
import type { Verdict } from '../domain/comparison.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { EventName, Listener, MigrationEvents } from '../engine/ports/events.ts';
import type { Quantiles } from './api/status.ts';

/** How often each closed word was counted. */
type WordCounts = Readonly<Record<string, number>>;

/** What happened to a service since this process started. A copy, which does not change afterwards. */
export interface ServiceStatistics {
  readonly comparisons: Readonly<Record<Verdict, number>>;
  /** Comparisons of whole lanes, made because of reads with side effects on legacy. */
  readonly laneComparisons: Readonly<Record<Verdict, number>>;
  /** Of flipped lanes, by answers or as whole lanes. They judge legacy. */
  readonly flippedComparisons: Readonly<Record<Verdict, number>>;
  readonly notComparableBy: WordCounts;
  /** Comparisons of answers that count as evidence. */
  readonly proofs: number;
  /** The others, by the reason: why they had no verdict, or `repeat`. */
  readonly noProofBy: WordCounts;
  /** Answered calls for agents' requests and shadow reads, in milliseconds. Without probes. */
  readonly latencyMs: Readonly<Record<Backend, Quantiles>>;
  /** The time that the proxy added to the primary's own, where the primary answered. */
  readonly addedMs: Quantiles;
  readonly readsBy: Readonly<Record<Backend, number>>;
  /** Journaled writes by what is known of their effect on the primary. */
  readonly writes: Readonly<Record<Outcome, number>>;
  /**
   * Writes equal to one whose agent got no reply, by what became of them. A `suspected_duplicate` may be stored twice on legacy.
   */
  readonly repeats: WordCounts;
  /** Writes that name items by place or condition, by whether the items were found. */
  readonly namedWrites: WordCounts;
  /** Writes that legacy took, or may have, and that name no owner that a lane can hold, by their outcome. */
  readonly unmappedWrites: WordCounts;
  readonly fallbacks: WordCounts;
  readonly shadowDropped: WordCounts;
  readonly badInput: WordCounts;
  readonly forgotten: number;
  readonly lost: number;
  readonly copiedLanes: number;
}

export interface Statistics {
  readonly listener: Listener;
  /** Zeros for a service that was not declared. */
  of(service: ServiceName): ServiceStatistics;
}

type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };

class Words {
  readonly #counts = new Map<string, number>();

  add(word: string): void {
    this.#counts.set(word, (this.#counts.get(word) ?? 0) + 1);
  }

  counts(): WordCounts {
    return Object.fromEntries(this.#counts);
  }
}

class ServiceCounters {
  readonly comparisons: Record<Verdict, number> = { match: 0, mismatch: 0, not_comparable: 0 };
  readonly laneComparisons: Record<Verdict, number> = { match: 0, mismatch: 0, not_comparable: 0 };
  readonly flippedComparisons: Record<Verdict, number> = { match: 0, mismatch: 0, not_comparable: 0 };
  readonly notComparableBy = new Words();
  proofs = 0;
  readonly noProofBy = new Words();
  readonly latency: Readonly<Record<Backend, LatencyHistogram>> = {
    legacy: new LatencyHistogram(),
    orchestrator: new LatencyHistogram(),
  };
  readonly added = new LatencyHistogram();
  readonly readsBy: Record<Backend, number> = { legacy: 0, orchestrator: 0 };
  readonly writes: Record<Outcome, number> = { applied: 0, refused: 0, unknown: 0, not_applied: 0 };
  readonly repeats = new Words();
  readonly namedWrites = new Words();
  readonly unmappedWrites = new Words();
  readonly fallbacks = new Words();
  readonly shadowDropped = new Words();
  readonly badInput = new Words();
  forgotten = 0;
  lost = 0;
  copiedLanes = 0;

  snapshot(): ServiceStatistics {
    return {
      comparisons: { ...this.comparisons },
      laneComparisons: { ...this.laneComparisons },
      flippedComparisons: { ...this.flippedComparisons },
      notComparableBy: this.notComparableBy.counts(),
      proofs: this.proofs,
      noProofBy: this.noProofBy.counts(),
      latencyMs: {
        legacy: this.latency.legacy.quantiles(),
        orchestrator: this.latency.orchestrator.quantiles(),
      },
      addedMs: this.added.quantiles(),
      readsBy: { ...this.readsBy },
      writes: { ...this.writes },
      repeats: this.repeats.counts(),
      namedWrites: this.namedWrites.counts(),
      unmappedWrites: this.unmappedWrites.counts(),
      fallbacks: this.fallbacks.counts(),
      shadowDropped: this.shadowDropped.counts(),
      badInput: this.badInput.counts(),
      forgotten: this.forgotten,
      lost: this.lost,
      copiedLanes: this.copiedLanes,
    };
  }
}

type WordKind = 'repeats' | 'namedWrites' | 'unmappedWrites' | 'fallbacks' | 'shadowDropped' | 'badInput';

/** Counts what happens to each service, in constant memory. Events of unknown services are ignored. */
class ServiceBooks {
  readonly #counters: ReadonlyMap<ServiceName, ServiceCounters>;

  constructor(services: readonly ServiceName[]) {
    this.#counters = new Map(services.map((service) => [service, new ServiceCounters()]));
  }

  of(service: ServiceName): ServiceStatistics {
    return (this.#counters.get(service) ?? new ServiceCounters()).snapshot();
  }

  replied(event: MigrationEvents['operation:replied']): void {
    const counters = this.#counters.get(event.service);
    if (counters === undefined || event.backend === undefined) return;
    counters.added.record(event.durationMs - event.primaryMs);
    if (event.kind === 'read') counters.readsBy[event.backend] += 1;
  }

  called(event: MigrationEvents['backend:called']): void {
    if (event.result !== 'answered' || event.purpose === 'probe') return;
    this.#counters.get(event.service)?.latency[event.backend].record(event.durationMs);
  }

  compared(event: MigrationEvents['shadow:compared']): void {
    const counters = this.#counters.get(event.service);
    if (counters === undefined) return;
    const { verdict, reason = 'unknown', isRepeat } = event.comparison;
    counters.comparisons[verdict] += 1;
    if (verdict !== 'not_comparable' && isRepeat !== true) counters.proofs += 1;
    else counters.noProofBy.add(isRepeat === true ? 'repeat' : reason);
    if (verdict === 'not_comparable') counters.notComparableBy.add(reason);
  }

  laneCompared({ service, comparison }: MigrationEvents['lane:compared']): void {
    const counters = this.#counters.get(service);
    if (counters === undefined) return;
    counters.laneComparisons[comparison.verdict] += 1;
    if (comparison.verdict === 'not_comparable')
      counters.notComparableBy.add(`whole_lane ${comparison.reason ?? 'unknown'}`);
  }

  flippedCompared({ service, comparison }: MigrationEvents['flipped:compared']): void {
    const counters = this.#counters.get(service);
    if (counters !== undefined) counters.flippedComparisons[comparison.verdict] += 1;
  }

  writeAnswered(event: MigrationEvents['write:answered']): void {
    const counters = this.#counters.get(event.service);
    if (counters !== undefined) counters.writes[event.outcome] += 1;
  }

  copied(event: MigrationEvents['lane:copied']): void {
    const counters = this.#counters.get(event.service);
    if (counters === undefined) return;
    counters.copiedLanes += 1;
    counters.forgotten += event.forgotten;
  }

  stopped(event: MigrationEvents['lane:stopped']): void {
    const counters = this.#counters.get(event.service);
    if (counters !== undefined) counters.lost += event.lost;
  }

  said(service: ServiceName, kind: WordKind, word: string): void {
    this.#counters.get(service)?.[kind].add(word);
  }
}

function handlersOf(books: ServiceBooks): Handlers {
  return {
    'operation:replied': (event) => books.replied(event),
    'backend:called': (event) => books.called(event),
    'shadow:compared': (event) => books.compared(event),
    'lane:compared': (event) => books.laneCompared(event),
    'flipped:compared': (event) => books.flippedCompared(event),
    'write:answered': (event) => books.writeAnswered(event),
    'lane:copied': (event) => books.copied(event),
    'lane:stopped': (event) => books.stopped(event),
    'write:repeated': ({ service, result }) => books.said(service, 'repeats', result),
    'write:named': ({ service, result }) => books.said(service, 'namedWrites', result),
    'write:unmapped': ({ service, outcome }) => books.said(service, 'unmappedWrites', outcome),
    'read:fell_back': ({ service, reason }) => books.said(service, 'fallbacks', reason),
    'shadow:dropped': ({ service, reason }) => books.said(service, 'shadowDropped', reason),
    'operation:refused': ({ service, problem }) => books.said(service, 'badInput', problem),
  };
}

/** What `GET /v1/status` says of each service since the start of this process. */
export function createStatistics(services: readonly ServiceName[]): Statistics {
  const books = new ServiceBooks(services);
  const handlers = handlersOf(books);
  return {
    listener: (name, event) => handlers[name]?.(event),
    of: (service) => books.of(service),
  };
}

/** Everything at or below it is one bucket. */
const LEAST_MS = 0.01;
/** Everything above it is one bucket. */
const MOST_MS = 60_000;
/** Ratio of a bucket's end to its start. The largest relative error of a quantile is this ratio minus one. */
const GROWTH = 1.1;

const LOG_GROWTH = Math.log(GROWTH);
const BUCKETS = Math.ceil(Math.log(MOST_MS / LEAST_MS) / LOG_GROWTH) + 1;

/** Upper end of bucket `index`; bucket 0 begins at 0. */
function endOf(index: number): number {
  return LEAST_MS * GROWTH ** index;
}

function roundedMs(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

/**
 * Durations in a fixed number of log-spaced buckets (165, from 10 µs to 60 s), so that memory is constant. A quantile is
 * interpolated within its bucket, so between those ends its error is at most 10 %.
 */
export class LatencyHistogram {
  readonly #counts = new Float64Array(BUCKETS);
  #count = 0;

  /** A negative duration counts as zero, because readings of two clocks may come out of order. */
  record(durationMs: number): void {
    const index = durationMs <= LEAST_MS ? 0 : Math.ceil(Math.log(durationMs / LEAST_MS) / LOG_GROWTH);
    const bucket = Math.min(index, BUCKETS - 1);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#count += 1;
  }

  /** The counts by bucket. */
  counts(): readonly (readonly [bucket: number, count: number])[] {
    return [...this.#counts.entries()].filter(([, count]) => count > 0);
  }

  addCounts(counts: readonly (readonly [bucket: number, count: number])[]): void {
    for (const [bucket, count] of counts) {
      const index = Math.min(bucket, BUCKETS - 1);
      this.#counts[index] = (this.#counts[index] ?? 0) + count;
      this.#count += count;
    }
  }

  /** `share` is 0–1. Null while nothing was recorded. */
  quantileMs(share: number): number | null {
    if (this.#count === 0) return null;
    const rank = share * this.#count;
    let below = 0;
    for (const [index, count] of this.#counts.entries()) {
      if (count > 0 && below + count >= rank) return interpolated(index, (rank - below) / count);
      below += count;
    }
    return roundedMs(endOf(BUCKETS - 1));
  }

  /**
   * A quantile with both ends of its confidence interval, from the ranks of the recorded values, so any distribution is allowed.
   * Null if too little was recorded for an upper end.
   * @param z quantile of the normal distribution for the interval
   */
  quantileInterval(share: number, z: number): readonly [value: number, lower: number, upper: number] | null {
    const spread = z * Math.sqrt(share * (1 - share) * this.#count);
    const [lower, upper] = [share * this.#count - spread, share * this.#count + spread];
    if (this.#count === 0 || upper > this.#count) return null;
    const at = (rank: number): number => this.quantileMs(Math.max(0, rank) / this.#count) ?? 0;
    return [at(share * this.#count), at(lower), at(upper)];
  }

  quantiles(): Quantiles {
    return {
      p50: this.quantileMs(0.5),
      p95: this.quantileMs(0.95),
      p99: this.quantileMs(0.99),
      count: this.#count,
    };
  }
}

function interpolated(index: number, share: number): number {
  const begin = index === 0 ? 0 : endOf(index - 1);
  return roundedMs(begin + (endOf(index) - begin) * share);
}
