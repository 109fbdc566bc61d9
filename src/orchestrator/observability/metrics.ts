import type { Histogram, Meter } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider } from '@opentelemetry/sdk-metrics';
import { LabelSeries } from '../../telemetry/label-series.ts';
import type { MetricDefinition } from '../../telemetry/metric-definitions.ts';
import { PAYLOADS } from '../wire/payloads.ts';
import { COUNTERS, GAUGES, HISTOGRAMS } from './metric-definitions.ts';
import type { FinishedRequest, Observer } from './observer.ts';

type Gauge = keyof typeof GAUGES;
/** A value, or one per label value. Undefined values are omitted. */
type Reading = number | Readonly<Record<string, number>> | undefined;

/** The functions that are called at every scrape. */
export type Gauges = { readonly [K in Exclude<Gauge, 'openRequests' | 'residentMemory'>]: () => Reading };

type Counter = Exclude<keyof typeof COUNTERS, 'requests' | 'statements'>;

export interface Metrics extends Observer {
  /** Increments a counter; `value` is its label value. */
  count(counter: Counter, value?: string): void;
  statement(durationMs: number, hasFailed: boolean): void;
  /** Prometheus text. */
  render(): Promise<string>;
  stop(): Promise<void>;
}

const MS_PER_SECOND = 1_000;
/** Replaces unknown actions, because callers could otherwise create any number of series. */
const UNKNOWN = 'unknown';

/** OpenTelemetry metrics, recorded by hand. Registers nothing globally and detects no resource. */
export function createMetrics(gauges: Gauges): Metrics {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  const provider = new MeterProvider({ readers: [exporter] });
  const meter = provider.getMeter('crossfade-orchestrator');
  const counters = countersOf(meter);
  const requests = measured(meter, HISTOGRAMS.requestDuration);
  const statements = measured(meter, HISTOGRAMS.statementDuration);
  let open = 0;
  const readings: Readonly<Record<Gauge, () => Reading>> = {
    ...gauges,
    openRequests: () => open,
    residentMemory: () => process.memoryUsage.rss(),
  };
  for (const [gauge, read] of Object.entries(readings)) observe(meter, GAUGES[gauge as Gauge], read);

  return {
    began() {
      open += 1;
    },
    ended({ action, outcome, startedMs, endedMs }: FinishedRequest) {
      open -= 1;
      const known = action !== undefined && Object.hasOwn(PAYLOADS, action) ? action : UNKNOWN;
      counters.requests.at(known).at(outcome).total += 1;
      const { labels } = requests.series.at(known).at(outcome);
      requests.histogram.record((endedMs - startedMs) / MS_PER_SECOND, labels);
    },
    count(counter, value) {
      const series = counters[counter];
      (value === undefined ? series : series.at(value)).total += 1;
    },
    statement(durationMs, hasFailed) {
      const result = hasFailed ? 'failed' : 'done';
      counters.statements.at(result).total += 1;
      statements.histogram.record(durationMs / MS_PER_SECOND, statements.series.at(result).labels);
    },
    async render() {
      const { resourceMetrics } = await exporter.collect();
      return serializer.serialize(resourceMetrics);
    },
    stop: () => provider.shutdown(),
  };
}

/** Counters are plain numbers that a scrape reads, so counting costs one addition. */
function countersOf(meter: Meter): Readonly<Record<keyof typeof COUNTERS, LabelSeries>> {
  const made = Object.entries<MetricDefinition>(COUNTERS).map(
    ([key, { name, description, unit, labels }]) => {
      const series = new LabelSeries(labels);
      meter.createObservableCounter(name, { description, unit }).addCallback((result) => {
        for (const { total, labels: seen } of series.combinations()) result.observe(total, seen);
      });
      return [key, series] as const;
    },
  );
  return Object.fromEntries(made) as Record<keyof typeof COUNTERS, LabelSeries>;
}

interface Measured {
  readonly histogram: Histogram;
  readonly series: LabelSeries;
}

function measured(meter: Meter, definition: (typeof HISTOGRAMS)[keyof typeof HISTOGRAMS]): Measured {
  const { name, description, unit, boundaries, labels } = definition;
  const advice = { explicitBucketBoundaries: [...boundaries] };
  return {
    histogram: meter.createHistogram(name, { description, unit, advice }),
    series: new LabelSeries(labels),
  };
}

function observe(
  meter: Meter,
  { name, description, unit, labels: [label] }: MetricDefinition,
  read: () => Reading,
): void {
  meter.createObservableGauge(name, { description, unit }).addCallback((result) => {
    const reading = read();
    if (typeof reading === 'number') result.observe(reading);
    else if (reading !== undefined && label !== undefined)
      for (const [value, number] of Object.entries(reading)) result.observe(number, { [label]: value });
  });
}
