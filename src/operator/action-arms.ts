import type { Backend } from '../domain/backend.ts';
import {
  type ActionArmCounts,
  type ArmCounts,
  GroupedTally,
  type PairCounts,
} from '../engine/evidence/arm-intervals.ts';
import { LatencyHistogram } from './latency-histogram.ts';

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
