import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import { GAUGES } from './gauge-definitions.ts';

type AbInterval = readonly [value: number, lower: number, upper: number] | null;

/** What an action's reads on both backends are to each other, between `lanes` and `paired`. */
export interface AbGauges {
  readonly service: string;
  readonly action: string;
  /** Reads by `orchestrator`, `legacy` and `paired`. */
  readonly reads: Readonly<Record<string, number>>;
  readonly latencyRatio: Readonly<Record<string, AbInterval>>;
  readonly failureDifference: Readonly<Record<string, AbInterval>>;
}

const BOUNDS = ['value', 'lower', 'upper'] as const;

/** What is not known because too few lanes were seen is left out. */
export function observeArms(meter: Meter, arms: () => readonly AbGauges[]): void {
  const gauge = ({ name, description, unit }: { name: string; description: string; unit: string }) =>
    meter.createObservableGauge(name, { description, unit });
  const [reads, ratio, difference] = [GAUGES.abReads, GAUGES.abLatencyRatio, GAUGES.abFailureDifference].map(
    gauge,
  ) as [Observable, Observable, Observable];
  meter.addBatchObservableCallback(
    (result) => {
      for (const { service, action, ...seen } of arms()) {
        const of = { service, action };
        for (const [arm, count] of Object.entries(seen.reads)) result.observe(reads, count, { ...of, arm });
        observeIntervals(result, ratio, { of, intervals: seen.latencyRatio });
        observeIntervals(result, difference, { of, intervals: seen.failureDifference });
      }
    },
    [reads, ratio, difference],
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
