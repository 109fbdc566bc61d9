import type { BatchObservableResult, Observable } from '@opentelemetry/api';
import type { RunFigures } from '../engine/runs/run-ports.ts';

export const RUN_GAUGES = ['openRuns', 'runLanes', 'lastRun', 'divergentLanes', 'openLostItems'] as const;

type RunObservables = Readonly<Record<(typeof RUN_GAUGES)[number], Observable>>;

/** The progress of runs, and their findings. */
export function observeRuns(
  result: BatchObservableResult,
  gauges: RunObservables,
  { kinds, services }: RunFigures,
): void {
  for (const { kind, open, lanes, lanesDone, finishedAtMs } of kinds) {
    result.observe(gauges.openRuns, open, { kind });
    result.observe(gauges.runLanes, lanesDone, { kind, state: 'done' });
    result.observe(gauges.runLanes, lanes - lanesDone, { kind, state: 'waiting' });
    if (finishedAtMs !== null) result.observe(gauges.lastRun, finishedAtMs / 1_000, { kind });
  }
  for (const { service, divergentLanes, lostItems } of services) {
    result.observe(gauges.divergentLanes, divergentLanes, { service });
    result.observe(gauges.openLostItems, lostItems, { service });
  }
}
