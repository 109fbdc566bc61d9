import type { BatchObservableResult, Histogram, Meter, Observable } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import type { ServiceName } from '../domain/ids.ts';
import type { Listener } from '../migration/events.ts';
import type { LaneCounts } from '../migration/ports.ts';
import type { LabelSeries } from './label-series.ts';
import { COUNTERS, GAUGES, HISTOGRAMS } from './metric-definitions.ts';
import { MetricRecorder, type Histograms } from './metric-recorder.ts';

/** What is not told by events and is asked for when somebody scrapes. */
export interface Gauges {
  readonly pendingDeliveries: number;
  readonly copiesWaiting: number;
  readonly shadowReadsWaiting: number;
  readonly lanes: ReadonlyMap<ServiceName, LaneCounts>;
}

export interface Metrics {
  readonly listener: Listener;
  /** Prometheus text. What cannot be asked for, because the database is away, is left out; the rest is there. */
  render(): Promise<string>;
  stop(): Promise<void>;
}

export interface MetricsOptions {
  readonly gauges: () => Promise<Gauges> | Gauges;
}

type GaugeName = keyof typeof GAUGES;
type Observables<Name extends string> = Readonly<Record<Name, Observable>>;

/** A scrape waits no longer for the gauges. */
const COLLECT_TIMEOUT_MS = 5_000;

/** OpenTelemetry metrics, recorded by hand from events. Registers nothing globally and detects no resource. */
export function createMetrics({ gauges }: MetricsOptions): Metrics {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  const provider = new MeterProvider({ readers: [exporter] });
  const meter = provider.getMeter('crossfade');
  const recorder = new MetricRecorder(createHistograms(meter));
  observeCounters(meter, recorder);
  observeGauges(meter, gauges);
  return {
    listener: (name, event) => recorder.handlers[name]?.(event),
    async render() {
      const { resourceMetrics } = await exporter.collect({ timeoutMillis: COLLECT_TIMEOUT_MS });
      return serializer.serialize(resourceMetrics);
    },
    stop: () => provider.shutdown(),
  };
}

function createHistograms(meter: Meter): Histograms {
  const made = Object.entries(HISTOGRAMS).map(([key, { name, description, unit, boundaries }]) => {
    const advice = { explicitBucketBoundaries: [...boundaries] };
    return [key, meter.createHistogram(name, { description, unit, advice })] as const;
  });
  return Object.fromEntries<Histogram>(made) as Histograms;
}

/** Every combination's number is read when somebody scrapes: counting costs one addition. */
function observeCounters(meter: Meter, { counters, coverage }: MetricRecorder): void {
  for (const key of Object.keys(COUNTERS) as (keyof typeof COUNTERS)[]) {
    const { name, description, unit } = COUNTERS[key];
    const counter = meter.createObservableCounter(name, { description, unit });
    counter.addCallback((result) => observeSeries(counters[key], result));
  }
  const { name, description, unit } = GAUGES.coverage;
  const gauge = meter.createObservableGauge(name, { description, unit });
  gauge.addCallback((result) => observeSeries(coverage, result));
}

function observeSeries(
  series: LabelSeries,
  result: { observe(value: number, labels: LabelSeries['labels']): void },
): void {
  for (const { total, labels } of series.combinations()) result.observe(total, labels);
}

function observeGauges(meter: Meter, gauges: () => Promise<Gauges> | Gauges): void {
  const observables = Object.fromEntries(
    Object.entries(GAUGES)
      .filter(([key]) => key !== 'coverage')
      .map(([key, { name, description, unit }]) => [
        key,
        meter.createObservableGauge(name, { description, unit }),
      ]),
  ) as Observables<Exclude<GaugeName, 'coverage'>>;
  const { residentMemory, ...asked } = observables;
  meter.addBatchObservableCallback(
    (result) => result.observe(residentMemory, process.memoryUsage.rss()),
    [residentMemory],
  );
  meter.addBatchObservableCallback(async (result) => {
    const now = await gauges();
    result.observe(asked.pendingDeliveries, now.pendingDeliveries);
    result.observe(asked.copiesWaiting, now.copiesWaiting);
    result.observe(asked.shadowReadsWaiting, now.shadowReadsWaiting);
    for (const [service, counts] of now.lanes) observeLanes(result, asked, { service, ...counts });
  }, Object.values(asked));
}

function observeLanes(
  result: BatchObservableResult,
  observables: Observables<'lanes' | 'seededLanes'>,
  { service, ...counts }: LaneCounts & { readonly service: ServiceName },
): void {
  const { lanes, seeded, dirty, copying, stopped } = counts;
  const conditions = { clean: lanes - dirty - copying - stopped, dirty, copying, stopped };
  for (const [condition, count] of Object.entries(conditions)) {
    result.observe(observables.lanes, count, { service, condition });
  }
  result.observe(observables.seededLanes, seeded, { service });
}
