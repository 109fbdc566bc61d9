import type { ServiceName } from '../domain/ids.ts';
import {
  meanRatio,
  pairedDifference,
  rateDifference,
  rateInterval,
  ratioOfMeans,
  type Interval,
} from '../engine/evidence/arm-intervals.ts';
import type { ActionArms, Arm, Pairs } from './action-arms.ts';
import { WINDOW_MINUTES, type Arms } from './arms.ts';

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

/** What is called a failure here: an agent's, and that of one backend in a pair. */
export const FAILURE_WORDS =
  'An agent failure is a timeout or an error the backend could not answer. Fallbacks to legacy do not count, nor do error replies of the ' +
  'service itself. A backend fails in a pair when it gives no answer, or an error reply where the other backend gives none.';

/** Lanes that read from the orchestrator beside lanes that read from legacy, and reads that both were asked. Of all replicas. */
export interface AbNumbers {
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
    /** p95 of both, of the same reads. */
    readonly p95: PairedP95;
  };
}

export interface PairedP95 {
  readonly orchestrator_ms: number | null;
  readonly legacy_ms: number | null;
  /** Orchestrator / legacy. */
  readonly ratio: number | null;
  /** Orchestrator less legacy, with its 95 % interval; null below about 100 pairs, which say nothing of a p95. */
  readonly difference_ms: ShownInterval;
}

/** The same of the last hour; other replicas tell what they saw every ten seconds. */
export interface AbStatus extends AbNumbers {
  readonly window_minutes: number;
}

/** Every action of the service that was read within the window. */
export function abStatuses(arms: Pick<Arms, 'of'>, service: ServiceName): Record<string, AbStatus> {
  const entries = [...arms.of(service)].map(
    ([action, seen]) => [action, { window_minutes: WINDOW_MINUTES, ...abNumbers(seen) }] as const,
  );
  return Object.fromEntries(entries);
}

export function abNumbers(arms: ActionArms): AbNumbers {
  const { legacy, orchestrator } = arms.arms;
  return {
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

/** Of each p95 the interval is one of 97.5 %: so both hold at the same time with 95 %. */
const Z_OF_TWO = 2.2414;

/** The interval is as wide as both p95 leave it: what the two have in common narrows nothing. */
function pairedP95({ legacy, orchestrator }: Pairs['durations']): PairedP95 {
  const [ours, theirs] = [orchestrator, legacy].map((one) => one.quantileInterval(0.95, Z_OF_TWO));
  const [orchestratorMs, legacyMs] = [orchestrator.quantileMs(0.95), legacy.quantileMs(0.95)];
  const hasRatio = orchestratorMs !== null && legacyMs !== null && legacyMs > 0;
  return {
    orchestrator_ms: orchestratorMs,
    legacy_ms: legacyMs,
    ratio: hasRatio ? rounded(orchestratorMs / legacyMs) : null,
    difference_ms:
      ours && theirs
        ? [rounded(ours[0] - theirs[0]), rounded(ours[1] - theirs[2]), rounded(ours[2] - theirs[1])]
        : null,
  };
}

function pairedStatus({
  latency,
  onlyOrchestratorFailed,
  onlyLegacyFailed,
  durations,
}: Pairs): AbStatus['paired'] {
  const failed = onlyOrchestratorFailed.estimate();
  return {
    pairs: failed.count,
    latency_ratio: shown(meanRatio(latency.estimate())),
    failure_difference: shown(pairedDifference(failed, onlyLegacyFailed.estimate())),
    p95: pairedP95(durations),
  };
}

const DIGITS = 4;
const rounded = (value: number): number => Number(value.toPrecision(DIGITS));

function shown(interval: Interval | null): ShownInterval {
  return interval && [rounded(interval.value), rounded(interval.lower), rounded(interval.upper)];
}
