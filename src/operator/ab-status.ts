import type { ServiceName } from '../domain/ids.ts';
import {
  type Interval,
  meanRatio,
  pairedDifference,
  rateDifference,
  rateInterval,
  ratioOfMeans,
} from '../engine/evidence/arm-intervals.ts';
import type { AbNumbers, AbStatus, PairedP95, ShownInterval } from './api/status.ts';
import { type ActionArms, type Arm, type Arms, type Pairs, WINDOW_MINUTES } from './arms.ts';

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

function armStatus({ failures, histogram }: Arm): AbNumbers['legacy'] {
  const failed = failures.estimate();
  return {
    reads: failed.count,
    failure_rate: shown(rateInterval(failed)),
    p50_ms: histogram.quantileMs(0.5),
    p95_ms: histogram.quantileMs(0.95),
  };
}

/** Each p95 gets an interval of 97.5 %, so that both hold together with 95 %. */
const Z_OF_TWO = 2.2414;

/** The interval adds the uncertainty of both p95. Correlation between the backends does not narrow it. */
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
