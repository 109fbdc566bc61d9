import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import { GAUGES } from './gauge-definitions.ts';

type AbInterval = readonly [value: number, lower: number, upper: number] | null;

/** How an action's reads on both backends compare, between `lanes` and `paired`. */
export interface AbGauges {
  readonly service: string;
  readonly action: string;
  /** Reads by `orchestrator`, `legacy` and `paired`. */
  readonly reads: Readonly<Record<string, number>>;
  readonly latencyRatio: Readonly<Record<string, AbInterval>>;
  readonly failureDifference: Readonly<Record<string, AbInterval>>;
  /** Difference of the p95 of the same reads, orchestrator minus legacy, milliseconds. */
  readonly p95DifferenceMs: AbInterval;
  /** Limit of the upper end, milliseconds. */
  readonly p95LimitMs: number;
}

const BOUNDS = ['value', 'lower', 'upper'] as const;

/** Omits values that are unknown because too few lanes were read. */
export function observeArms(meter: Meter, arms: () => readonly AbGauges[]): void {
  const gauge = ({ name, description, unit }: { name: string; description: string; unit: string }) =>
    meter.createObservableGauge(name, { description, unit });
  const [reads, ratio] = [gauge(GAUGES.abReads), gauge(GAUGES.abLatencyRatio)];
  const [difference, p95] = [gauge(GAUGES.abFailureDifference), gauge(GAUGES.abP95Difference)];
  meter.addBatchObservableCallback(
    (result) => {
      for (const { service, action, ...seen } of arms()) {
        const of = { service, action };
        for (const [arm, count] of Object.entries(seen.reads)) result.observe(reads, count, { ...of, arm });
        observeIntervals(result, ratio, { of, intervals: seen.latencyRatio });
        observeIntervals(result, difference, { of, intervals: seen.failureDifference });
        if (seen.p95DifferenceMs === null) continue;
        for (const [index, ms] of [...seen.p95DifferenceMs, seen.p95LimitMs].entries())
          result.observe(p95, ms / 1_000, { ...of, bound: [...BOUNDS, 'limit'][index] ?? '' });
      }
    },
    [reads, ratio, difference, p95],
  );
}

function observeIntervals(
  result: BatchObservableResult,
  gauge: Observable,
  { of, intervals }: { readonly of: object; readonly intervals: Readonly<Record<string, AbInterval>> },
): void {
  for (const [design, interval] of Object.entries(intervals)) {
    interval?.forEach((value, index) =>
      result.observe(gauge, value, { ...of, design, bound: BOUNDS[index] ?? '' }),
    );
  }
}
