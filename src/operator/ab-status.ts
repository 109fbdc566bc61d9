import type { ServiceName } from '../domain/ids.ts';
import {
  meanRatio,
  pairedDifference,
  rateDifference,
  rateInterval,
  ratioOfMeans,
  type Interval,
} from '../migration/evidence/arm-intervals.ts';
import { WINDOW_MINUTES, type ActionArms, type Arm, type Arms, type Pairs } from './arms.ts';

/** Value and both ends of its 95 % interval; null where too few lanes were seen to say anything. */
export type ShownInterval = readonly [value: number, lower: number, upper: number] | null;

/** What agents saw whose lanes read from one backend. */
interface ArmStatus {
  readonly reads: number;
  /** Share that failed for the agent, 0–1. */
  readonly failure_rate: ShownInterval;
  /** What agents waited. */
  readonly p50_ms: number | null;
  readonly p95_ms: number | null;
}

/** Lanes that read from the orchestrator beside lanes that read from legacy, and reads that both were asked. This process, the last hour. */
export interface AbStatus {
  readonly window_minutes: number;
  readonly orchestrator: ArmStatus & { readonly fallbacks: number };
  readonly legacy: ArmStatus;
  /** Lanes of the orchestrator / lanes of legacy: geometric means of what agents waited. */
  readonly latency_ratio: ShownInterval;
  /** Orchestrator less legacy, 0–1. */
  readonly failure_difference: ShownInterval;
  readonly paired: {
    readonly pairs: number;
    /** Orchestrator / legacy, each backend's own time for the same request. */
    readonly latency_ratio: ShownInterval;
    readonly failure_difference: ShownInterval;
  };
}

/** Every action of the service that was read within the window. */
export function abStatuses(arms: Pick<Arms, 'of'>, service: ServiceName): Record<string, AbStatus> {
  return Object.fromEntries([...arms.of(service)].map(([action, seen]) => [action, abStatus(seen)]));
}

function abStatus(arms: ActionArms): AbStatus {
  const { legacy, orchestrator } = arms.arms;
  return {
    window_minutes: WINDOW_MINUTES,
    orchestrator: { ...armStatus(orchestrator), fallbacks: orchestrator.fallbacks },
    legacy: armStatus(legacy),
    latency_ratio: shown(ratioOfMeans(orchestrator.latency.estimate(), legacy.latency.estimate())),
    failure_difference: shown(rateDifference(orchestrator.failures.estimate(), legacy.failures.estimate())),
    paired: pairedStatus(arms.pairs),
  };
}

function armStatus({ failures, histogram }: Arm): ArmStatus {
  const failed = failures.estimate();
  return {
    reads: failed.count,
    failure_rate: shown(rateInterval(failed)),
    p50_ms: histogram.quantileMs(0.5),
    p95_ms: histogram.quantileMs(0.95),
  };
}

function pairedStatus({ latency, onlyOrchestratorFailed, onlyLegacyFailed }: Pairs): AbStatus['paired'] {
  const failed = onlyOrchestratorFailed.estimate();
  return {
    pairs: failed.count,
    latency_ratio: shown(meanRatio(latency.estimate())),
    failure_difference: shown(pairedDifference(failed, onlyLegacyFailed.estimate())),
  };
}

const DIGITS = 4;
const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

function shown(interval: Interval | null): ShownInterval {
  return interval && [rounded(interval.value), rounded(interval.lower), rounded(interval.upper)];
}
