import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import {
  type ActionArmCounts,
  type ArmCounts,
  type ArmSlice,
  type ArmStore,
  GroupedTally,
  groupOf,
  type PairCounts,
  type StoredArmSlice,
} from '../engine/evidence/arm-intervals.ts';
import type { Listener, MigrationEvents, ReplyStatus } from '../engine/ports/events.ts';
import type { Clock } from '../shared/clock.ts';
import { messageOf } from '../domain/errors.ts';
import type { Backend } from '../domain/backend.ts';
import { LatencyHistogram } from './statistics.ts';

/** Data is dropped after an hour, in slices of ten minutes. So both arms cover the same hour, in every replica. */
const SLICE_MS = 600_000;
const SLICES = 6;
export const WINDOW_MINUTES = (SLICES * SLICE_MS) / 60_000;
/** A clock may measure a duration of zero. */
const LEAST_MS = 0.001;

/** What counts as a failure for an agent. A reply never does, even if the service reports an error. */
const FAILED: ReadonlySet<ReplyStatus> = new Set(['timeout', 'unavailable']);

interface Slice {
  readonly service: ServiceName;
  readonly action: string;
  readonly beganAtMs: number;
}

const keyOf = ({ service, action, beganAtMs }: Slice): string => `${service} ${action} ${beganAtMs}`;

/** The reads of the last hour by the backend that their lanes read from. Uses constant memory per action. */
export class Arms {
  readonly #clock: Pick<Clock, 'wallMs'>;
  readonly #own = new Map<string, Slice & { readonly arms: ActionArms }>();
  /** What other replicas have stored, and what this one stored before its restart. */
  readonly #others = new Map<string, Slice & { readonly counts: ActionArmCounts }>();
  readonly #changed = new Set<string>();
  readonly listener: Listener = (name, event) => {
    if (name === 'operation:replied') this.#replied(event as MigrationEvents['operation:replied']);
    if (name === 'shadow:paired') this.#paired(event as MigrationEvents['shadow:paired']);
  };

  constructor(clock: Pick<Clock, 'wallMs'>) {
    this.#clock = clock;
  }

  /** When the oldest slice began that still counts. */
  get fromMs(): number {
    return this.#sliceNow() - (SLICES - 1) * SLICE_MS;
  }

  /** By action. Actions without a read in the last hour are missing. */
  of(service: ServiceName): ReadonlyMap<string, ActionArms> {
    const sums = new Map<string, ActionArms>();
    const sumOf = (action: string): ActionArms => {
      const sum = sums.get(action) ?? new ActionArms();
      sums.set(action, sum);
      return sum;
    };
    const counts = (slice: Slice): boolean => slice.service === service && slice.beganAtMs >= this.fromMs;
    for (const slice of this.#own.values()) if (counts(slice)) sumOf(slice.action).add(slice.arms.counts());
    for (const slice of this.#others.values()) if (counts(slice)) sumOf(slice.action).add(slice.counts);
    return sums;
  }

  /** What has changed since the last call. */
  takeChanged(): readonly ArmSlice[] {
    const taken = [...this.#changed].flatMap((key) => {
      const slice = this.#own.get(key);
      if (slice === undefined) return [];
      const { arms, ...of } = slice;
      return [{ ...of, counts: arms.counts() }];
    });
    this.#changed.clear();
    this.#forget();
    return taken;
  }

  /** Returns slices that could not be stored. */
  putBack(slices: readonly ArmSlice[]): void {
    for (const slice of slices) this.#changed.add(keyOf(slice));
  }

  /** Replaces what other replicas stored before by what they stored now. */
  adopt(slices: readonly StoredArmSlice[]): void {
    for (const { replica, ...slice } of slices) this.#others.set(`${replica} ${keyOf(slice)}`, slice);
  }

  #forget(): void {
    for (const slices of [this.#own, this.#others])
      for (const [key, { beganAtMs }] of slices) if (beganAtMs < this.fromMs) slices.delete(key);
  }

  #replied(event: MigrationEvents['operation:replied']): void {
    const { service, action, lane, assigned, backend, status, durationMs } = event;
    if (assigned === undefined || lane === undefined) return;
    const arm = this.#at(service, action).arms[assigned];
    const group = groupOf(lane);
    arm.latency.add(group, Math.log(Math.max(durationMs, LEAST_MS)));
    arm.failures.add(group, FAILED.has(status) ? 1 : 0);
    arm.histogram.record(durationMs);
    if (assigned === 'orchestrator' && backend !== 'orchestrator') arm.fallbacks += 1;
  }

  #paired({ service, action, lane, legacy, orchestrator }: MigrationEvents['shadow:paired']): void {
    const { pairs } = this.#at(service, action);
    const group = groupOf(lane);
    pairs.onlyOrchestratorFailed.add(group, orchestrator.isFailure && !legacy.isFailure ? 1 : 0);
    pairs.onlyLegacyFailed.add(group, legacy.isFailure && !orchestrator.isFailure ? 1 : 0);
    if (legacy.ms === undefined || orchestrator.ms === undefined) return;
    const ratio = Math.max(orchestrator.ms, LEAST_MS) / Math.max(legacy.ms, LEAST_MS);
    pairs.latency.add(group, Math.log(ratio));
    pairs.durations.legacy.record(legacy.ms);
    pairs.durations.orchestrator.record(orchestrator.ms);
  }

  #at(service: ServiceName, action: string): ActionArms {
    const of = { service, action, beganAtMs: this.#sliceNow() };
    const key = keyOf(of);
    this.#changed.add(key);
    const known = this.#own.get(key);
    if (known !== undefined) return known.arms;
    this.#forget();
    const arms = new ActionArms();
    this.#own.set(key, { ...of, arms });
    return arms;
  }

  #sliceNow(): number {
    return Math.floor(this.#clock.wallMs() / SLICE_MS) * SLICE_MS;
  }
}

const EVERY_MS = 10_000;
/** A missed report is made up to a week later, and needs these sums. */
const KEPT_MS = 8 * 86_400_000;
const PRUNE_EVERY = 360;
/** Each look reads this far back, so that a slow commit of another replica is not missed. */
const LOOKED_BACK_MS = 60_000;
const WINDOW_MS = 3_600_000;

interface ArmExchangeParts {
  readonly arms: Arms;
  readonly store: ArmStore;
  readonly replica: ReplicaId;
  readonly clock: Clock;
  /** Called with a message when an exchange failed. It is tried again. */
  readonly onProblem: (problem: string) => void;
  /** @defaultValue 10000 */
  readonly everyMs?: number;
}

/** Stores what this replica saw of both backends, and reads what the other replicas stored. The sums cover all replicas. */
export class ArmExchange {
  readonly #parts: ArmExchangeParts;
  readonly #stopped = new AbortController();
  #readAtMs: number | undefined;
  #rounds = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: ArmExchangeParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#loop = this.#run();
  }

  /** Stores what is left. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
    await this.#write().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { clock, onProblem, everyMs = EVERY_MS } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#exchange();
      } catch (error) {
        onProblem(messageOf(error));
      }
      await clock.sleep(everyMs, signal);
    }
  }

  async #exchange(): Promise<void> {
    const { arms, store, replica, clock } = this.#parts;
    await this.#write();
    const nowMs = clock.now();
    const writtenWithinMs =
      this.#readAtMs === undefined ? WINDOW_MS : nowMs - this.#readAtMs + LOOKED_BACK_MS;
    arms.adopt(await store.ofOthers(replica, { fromMs: arms.fromMs, writtenWithinMs }));
    this.#readAtMs = nowMs;
    if (this.#rounds % PRUNE_EVERY === 0) await store.prune(clock.wallMs() - KEPT_MS);
    this.#rounds += 1;
  }

  async #write(): Promise<void> {
    const { arms, store, replica } = this.#parts;
    const changed = arms.takeChanged();
    if (changed.length === 0) return;
    try {
      await store.write(replica, changed);
    } catch (error) {
      arms.putBack(changed);
      throw error;
    }
  }
}

/** What agents saw of their reads in lanes for which one backend is chosen. */
export class Arm {
  /** Of the logarithm of the agent's waiting time. */
  readonly latency = new GroupedTally();
  readonly failures = new GroupedTally();
  readonly histogram = new LatencyHistogram();
  /** Reads that legacy answered in place of the orchestrator, for any reason. */
  fallbacks = 0;

  counts(): ArmCounts {
    const { latency, failures, histogram, fallbacks } = this;
    return {
      latency: latency.counts(),
      failures: failures.counts(),
      durations: histogram.counts(),
      fallbacks,
    };
  }

  add({ latency, failures, durations, fallbacks }: ArmCounts): void {
    this.latency.addCounts(latency);
    this.failures.addCounts(failures);
    this.histogram.addCounts(durations);
    this.fallbacks += fallbacks;
  }
}

/** Reads that were sent to both backends. */
export class Pairs {
  /** Of the logarithm of orchestrator / legacy, where both answered. */
  readonly latency = new GroupedTally();
  readonly onlyOrchestratorFailed = new GroupedTally();
  readonly onlyLegacyFailed = new GroupedTally();
  /** The time that each backend took, where both answered. */
  readonly durations: Readonly<Record<Backend, LatencyHistogram>> = {
    legacy: new LatencyHistogram(),
    orchestrator: new LatencyHistogram(),
  };

  counts(): PairCounts {
    return {
      latency: this.latency.counts(),
      onlyOrchestratorFailed: this.onlyOrchestratorFailed.counts(),
      onlyLegacyFailed: this.onlyLegacyFailed.counts(),
      durations: {
        legacy: this.durations.legacy.counts(),
        orchestrator: this.durations.orchestrator.counts(),
      },
    };
  }

  add({ latency, onlyOrchestratorFailed, onlyLegacyFailed, durations }: PairCounts): void {
    this.latency.addCounts(latency);
    this.onlyOrchestratorFailed.addCounts(onlyOrchestratorFailed);
    this.onlyLegacyFailed.addCounts(onlyLegacyFailed);
    this.durations.legacy.addCounts(durations?.legacy ?? []);
    this.durations.orchestrator.addCounts(durations?.orchestrator ?? []);
  }
}

/** Both arms of one action, and its pairs. */
export class ActionArms {
  readonly arms: Readonly<Record<Backend, Arm>> = { legacy: new Arm(), orchestrator: new Arm() };
  readonly pairs = new Pairs();

  counts(): ActionArmCounts {
    const { legacy, orchestrator } = this.arms;
    return { legacy: legacy.counts(), orchestrator: orchestrator.counts(), pairs: this.pairs.counts() };
  }

  add({ legacy, orchestrator, pairs }: ActionArmCounts): void {
    this.arms.legacy.add(legacy);
    this.arms.orchestrator.add(orchestrator);
    this.pairs.add(pairs);
  }
}
