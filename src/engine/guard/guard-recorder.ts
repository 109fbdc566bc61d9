import type { Comparison } from '../../domain/comparison.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { type Evidence, NO_EVIDENCE } from '../evidence/confidence.ts';
import type { EventName, Listener, MigrationEvents } from '../ports/events.ts';
import type { FenceReason } from '../lane/fence.ts';
import type { Clock } from '../../shared/clock.ts';
import { type GuardCounts, noCounts, recordAboveLegacy, recordAdded } from './guard-counts.ts';

/** Reasons why a cut-over read stayed on legacy although the orchestrator did not fail: the fence of its lane. */
const FENCES: Readonly<Record<FenceReason, true>> = {
  not_seeded: true,
  dirty: true,
  copying: true,
  stopped: true,
  behind: true,
  excepted: true,
  differs: true,
  spilling: true,
  replica_silent: true,
};

/**
 * For this long after a failed call of a legacy service, its unanswered requests count as the service's own fault. Writes wait
 * for its probes, at most until their deadline.
 */
const LEGACY_TO_BLAME_MS = 10_000;

/** The counts of one action since the last call. */
interface OfAction<Counted> {
  readonly service: ServiceName;
  readonly action: string;
  readonly counts: Counted;
}

/** A comparison of a whole lane counts once for the guard, and as evidence for every read of its service. */
interface Recorded {
  readonly counted: readonly OfAction<GuardCounts>[];
  readonly evidence: readonly OfAction<Evidence>[];
}

/** Sums by service and action. */
class Sums<Sum> {
  readonly #make: () => Sum;
  readonly #sums = new Map<ServiceName, Map<string, Sum>>();

  constructor(make: () => Sum) {
    this.#make = make;
  }

  of(service: ServiceName, action: string): Sum {
    let actions = this.#sums.get(service);
    if (actions === undefined) this.#sums.set(service, (actions = new Map()));
    let sum = actions.get(action);
    if (sum === undefined) actions.set(action, (sum = this.#make()));
    return sum;
  }

  entries(): OfAction<Sum>[] {
    return [...this.#sums].flatMap(([service, actions]) =>
      [...actions].map(([action, counts]) => ({ service, action, counts })),
    );
  }
}

type EvidenceSum = { -readonly [Name in keyof Evidence]: Evidence[Name] };

const countsByAction = (): Sums<GuardCounts> => new Sums(noCounts);
const evidenceByAction = (): Sums<EvidenceSum> => new Sums(() => ({ ...NO_EVIDENCE }));

type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };

/** Counts the engine's events for the guard. Costs one look-up and one addition per event. */
export class GuardRecorder {
  readonly #clock: Clock;
  readonly #onSeenAgain: (service: ServiceName, count: number) => void;
  readonly #legacyFailedAtMs = new Map<ServiceName, number>();
  readonly #legacy = new LegacyLatency();
  #counts = countsByAction();
  #evidence = evidenceByAction();
  readonly #handlers: Handlers = {
    'shadow:compared': (event) => this.#compared(event),
    'lane:compared': (event) => this.#laneCompared(event),
    'flipped:compared': ({ service, action, comparison }) => {
      if (comparison.verdict === 'mismatch' || comparison.deletedReturned !== undefined)
        this.#of(service, action).legacyMismatches += 1;
    },
    'shadow:dropped': ({ service, action }) => {
      this.#of(service, action).dropped += 1;
    },
    'comparison:deleted_returned': ({ service, items }) => this.#onSeenAgain(service, items),
    'operation:replied': (event) => this.#replied(event),
    'write:journaled': ({ service, action, durationMs }) =>
      recordAdded(this.#of(service, action), durationMs),
    'shadow:paired': ({ service, action, primary, legacy }) => {
      // Where legacy is the primary, its answer counts as the agent's.
      if (primary === 'orchestrator' && legacy.ms !== undefined) this.#legacy.add(service, action, legacy.ms);
    },
    'read:fell_back': (event) => this.#fellBack(event),
    'backend:called': ({ service, backend, purpose, result }) => {
      if (backend === 'legacy' && purpose === 'live' && result !== 'answered')
        this.#legacyFailedAtMs.set(service, this.#clock.now());
    },
  };
  readonly listener: Listener = (name, event) => this.#handlers[name]?.(event);

  /** @param onSeenAgain called at once when an answer shows deleted items */
  constructor(clock: Clock, onSeenAgain: (service: ServiceName, count: number) => void) {
    this.#clock = clock;
    this.#onSeenAgain = onSeenAgain;
  }

  /** Returns what was counted since the last call. */
  drain(): Recorded {
    const recorded = { counted: this.#counts.entries(), evidence: this.#evidence.entries() };
    this.#counts = countsByAction();
    this.#evidence = evidenceByAction();
    return recorded;
  }

  #of(service: ServiceName, action: string): GuardCounts {
    return this.#counts.of(service, action);
  }

  #compared({ service, action, comparison }: MigrationEvents['shadow:compared']): void {
    countComparison(this.#of(service, action), comparison);
    if (!isEvidence(comparison)) return;
    const evidence = this.#evidence.of(service, action);
    evidence.comparable += 1;
    if (comparison.verdict === 'mismatch') evidence.mismatches += 1;
    if (comparison.isErrorPair === true) evidence.errors += 1;
  }

  #laneCompared({ service, action, countsFor, comparison }: MigrationEvents['lane:compared']): void {
    const counts = this.#of(service, action);
    countComparison(counts, comparison);
    if (!isEvidence(comparison)) return;
    counts.wholeLanes += 1;
    for (const read of countsFor) {
      const evidence = this.#evidence.of(service, read);
      evidence.laneComparable += 1;
      if (comparison.verdict === 'mismatch') evidence.laneMismatches += 1;
    }
  }

  #replied(event: MigrationEvents['operation:replied']): void {
    const { service, action, kind, backend, status } = event;
    const counts = this.#of(service, action);
    counts.operations += 1;
    if (kind === 'passthrough') counts.relayed += 1;
    if (status === 'timeout' || status === 'unavailable') {
      if (!this.#isLegacyToBlame(service)) counts.proxyFailures += 1;
      return;
    }
    if (backend === 'orchestrator' && kind === 'read') countMoved(counts, event);
    if (kind === 'read') this.#timed(counts, event);
    // The wait for a place in the lane comes from legacy's own slowness. The engine's own cost is the commit, which is counted
    // above.
    if (backend !== undefined && kind === 'read') recordAdded(counts, event.durationMs - event.primaryMs);
  }

  /** A cut-over read is compared with legacy's time for the same action, if that is known. */
  #timed(
    counts: GuardCounts,
    { service, action, backend, primaryMs }: MigrationEvents['operation:replied'],
  ): void {
    if (backend === 'legacy') this.#legacy.add(service, action, primaryMs);
    const legacyMs = backend === 'orchestrator' ? this.#legacy.p95(service, action) : undefined;
    if (legacyMs !== undefined) recordAboveLegacy(counts, primaryMs - legacyMs);
  }

  #fellBack(event: MigrationEvents['read:fell_back']): void {
    const { service, action, reason } = event;
    if (Object.hasOwn(FENCES, reason)) return;
    const counts = this.#of(service, action);
    countMoved(counts, event);
    counts.orchestratorFailures += 1;
  }

  #isLegacyToBlame(service: ServiceName): boolean {
    const failedAtMs = this.#legacyFailedAtMs.get(service);
    return failedAtMs !== undefined && this.#clock.now() - failedAtMs < LEGACY_TO_BLAME_MS;
  }
}

function countMoved(counts: GuardCounts, { isFlipped = false }: { readonly isFlipped?: boolean }): void {
  counts.orchestratorReads += 1;
  if (isFlipped) counts.flippedReads += 1;
}

function isEvidence({ verdict, isRepeat }: Comparison): boolean {
  return verdict !== 'not_comparable' && isRepeat !== true;
}

/** The guard counts what agents see, including repeats. */
function countComparison(counts: GuardCounts, comparison: Comparison): void {
  const { verdict, reason, isErrorPair } = comparison;
  if (verdict === 'not_comparable') {
    // Any caller may ask for an owner that never existed. If such reads counted, an alert would report a fault that does not
    // exist.
    if (reason !== 'unknown_lane') counts.notComparable += 1;
    return;
  }
  counts.comparable += 1;
  if (isEvidence(comparison)) counts.independent += 1;
  if (verdict === 'mismatch') counts.mismatches += 1;
  if (isErrorPair === true) counts.bothErrors += 1;
}

/** The newest answers of an action, of any age. If all reads have moved and nothing is compared, the last known ones count. */
const KEPT = 200;
/** Fewer are not enough for a p95. */
const LEAST = 20;
/** The p95 is computed again after this many new answers. */
const STALE_AFTER = 20;

/** The newest durations of one action, and their p95. */
class Answers {
  readonly #durations: number[] = [];
  #next = 0;
  #unseen = 0;
  #p95: number | undefined;

  add(ms: number): void {
    this.#durations[this.#next] = ms;
    this.#next = (this.#next + 1) % KEPT;
    this.#unseen += 1;
  }

  get p95(): number | undefined {
    if (this.#durations.length < LEAST) return undefined;
    if (this.#p95 === undefined || this.#unseen >= STALE_AFTER) {
      const sorted = this.#durations.toSorted((a, b) => a - b);
      this.#p95 = sorted[Math.ceil(sorted.length * 0.95) - 1];
      this.#unseen = 0;
    }
    return this.#p95;
  }
}

/** Legacy's time for an action, milliseconds: answers to agents, and those of shadow reads when the orchestrator answers. */
class LegacyLatency {
  readonly #answers = new Map<string, Answers>();

  add(service: ServiceName, action: string, ms: number): void {
    const key = `${service} ${action}`;
    let answers = this.#answers.get(key);
    if (answers === undefined) this.#answers.set(key, (answers = new Answers()));
    answers.add(ms);
  }

  /** p95 of the newest answers; undefined while there are too few. */
  p95(service: ServiceName, action: string): number | undefined {
    return this.#answers.get(`${service} ${action}`)?.p95;
  }
}
