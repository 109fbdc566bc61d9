import type { Backend } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import { GroupedTally, groupOf } from '../migration/evidence/grouped-tally.ts';
import type { Listener, MigrationEvents } from '../migration/events.ts';
import type { Clock } from '../migration/ports.ts';
import { LatencyHistogram } from './latency-histogram.ts';

/** What was seen is forgotten after an hour, ten minutes at a time: both arms are always of the same hour. */
const SLICE_MS = 600_000;
const SLICES = 6;
export const WINDOW_MINUTES = (SLICES * SLICE_MS) / 60_000;
/** A clock may say that nothing passed. */
const LEAST_MS = 0.001;

/** Reads of the lanes that one backend is chosen for: what their agents saw. */
export class Arm {
  /** Of the logarithm of what the agent waited. */
  readonly latency = new GroupedTally();
  readonly failures = new GroupedTally();
  readonly histogram = new LatencyHistogram();
  /** Reads that legacy had to answer in the orchestrator's place, whatever the reason. */
  fallbacks = 0;

  merge(other: Arm): void {
    this.latency.merge(other.latency);
    this.failures.merge(other.failures);
    this.histogram.merge(other.histogram);
    this.fallbacks += other.fallbacks;
  }
}

/** Reads that both backends were asked. */
export class Pairs {
  /** Of the logarithm of orchestrator / legacy, where both answered. */
  readonly latency = new GroupedTally();
  readonly onlyOrchestratorFailed = new GroupedTally();
  readonly onlyLegacyFailed = new GroupedTally();

  merge(other: Pairs): void {
    this.latency.merge(other.latency);
    this.onlyOrchestratorFailed.merge(other.onlyOrchestratorFailed);
    this.onlyLegacyFailed.merge(other.onlyLegacyFailed);
  }
}

/** Both arms of one action, and its pairs. */
export class ActionArms {
  readonly arms: Readonly<Record<Backend, Arm>> = { legacy: new Arm(), orchestrator: new Arm() };
  readonly pairs = new Pairs();

  merge(other: ActionArms): void {
    this.arms.legacy.merge(other.arms.legacy);
    this.arms.orchestrator.merge(other.arms.orchestrator);
    this.pairs.merge(other.pairs);
  }
}

/** The reads of the last hour by the backend that their lanes read from, in constant memory an action. */
export class Arms {
  readonly #clock: Clock;
  readonly #slices = new Map<string, Map<number, ActionArms>>();
  readonly listener: Listener = (name, event) => {
    if (name === 'operation:replied') this.#replied(event as MigrationEvents['operation:replied']);
    if (name === 'shadow:paired') this.#paired(event as MigrationEvents['shadow:paired']);
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** By action; actions without a read of the last hour are not in it. */
  of(service: ServiceName): ReadonlyMap<string, ActionArms> {
    const oldest = this.#slice() - SLICES;
    const found = [...this.#slices].flatMap(([key, slices]) => {
      const [name, action = ''] = key.split(' ');
      if (name !== service) return [];
      const sum = new ActionArms();
      const recent = [...slices].filter(([slice]) => slice > oldest);
      for (const [, arms] of recent) sum.merge(arms);
      return recent.length === 0 ? [] : [[action, sum] as const];
    });
    return new Map(found);
  }

  #replied(event: MigrationEvents['operation:replied']): void {
    const { service, action, lane, assigned, backend, status, durationMs } = event;
    if (assigned === undefined || lane === undefined) return;
    const arm = this.#at(service, action).arms[assigned];
    const group = groupOf(lane);
    arm.latency.add(group, Math.log(Math.max(durationMs, LEAST_MS)));
    arm.failures.add(group, status === 'timeout' || status === 'unavailable' ? 1 : 0);
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
  }

  #at(service: ServiceName, action: string): ActionArms {
    const key = `${service} ${action}`;
    let slices = this.#slices.get(key);
    if (slices === undefined) this.#slices.set(key, (slices = new Map()));
    const slice = this.#slice();
    let arms = slices.get(slice);
    if (arms === undefined) {
      slices.set(slice, (arms = new ActionArms()));
      for (const old of slices.keys()) if (old <= slice - SLICES) slices.delete(old);
    }
    return arms;
  }

  #slice(): number {
    return Math.floor(this.#clock.now() / SLICE_MS);
  }
}
