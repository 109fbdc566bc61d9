import type { BatchObservableResult, Histogram, Meter, Observable } from '@opentelemetry/api';
import { PrometheusExporter, PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { MeterProvider, type ResourceMetrics } from '@opentelemetry/sdk-metrics';
import { SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlipCounts } from '../engine/flips/flipper.ts';
import type { ProvenReadiness } from '../engine/flips/way-back.ts';
import type { Listener } from '../engine/ports/events.ts';
import { type InterlockVerdict, readsInEffect } from '../engine/guard/judge-flags.ts';
import type { InterlockWord } from '../engine/guard/reason.ts';
import type { SpillStatus } from '../engine/spill/spill.ts';
import type { RunFigures } from '../engine/runs/run-ports.ts';
import type { LaneCounts } from '../engine/ports/journal-facts.ts';
import type { ReverseProof, ReverseStanding } from '../engine/ports/reverse-ports.ts';
import {
  type AbGauges,
  GAUGES,
  type MemoryGauges,
  observeArms,
  observeMemoryGauges,
  observeRuns,
  RUN_GAUGES,
} from './gauge-definitions.ts';
import type { LabelSeries } from './label-series.ts';
import { COUNTERS, HISTOGRAMS } from './metric-definitions.ts';
import { type Histograms, MetricRecorder } from './metric-recorder.ts';

/** Values that no event reports and that are queried at every scrape. */
interface Gauges {
  readonly pendingDeliveries: number;
  readonly copiesWaiting: number;
  readonly shadowReadsWaiting: number;
  readonly lanes: ReadonlyMap<ServiceName, LaneCounts>;
  readonly wayBack?: ReadonlyMap<ServiceName, ProvenReadiness>;
  /** Of services with a share of lanes that may move. */
  readonly flips?: ReadonlyMap<ServiceName, FlipCounts>;
  readonly guarded?: ReadonlyMap<ServiceName, GuardedGauges>;
  readonly runs?: RunFigures;
  readonly reverse?: ReadonlyMap<ServiceName, ReverseGauges>;
}

/** The flags of a service after interlocks and latch. */
interface GuardedGauges {
  readonly isLatched: boolean;
  /** Its flags are still to be switched off in Unleash. */
  readonly isFlagsOffWaiting: boolean;
  /** Absent before the first judgement. */
  readonly verdict?: InterlockVerdict | undefined;
}

interface ReverseGauges {
  readonly standing: ReverseStanding;
  /** The newest proof of the way back; absent if there is none. */
  readonly proof: ReverseProof | undefined;
}

export interface Metrics {
  readonly listener: Listener;
  /** Prometheus text. Values that cannot be queried because the database is away are omitted. */
  render(): Promise<string>;
  stop(): Promise<void>;
}

/** Whether the flags are current. */
interface FlagGauges {
  readonly fresh: boolean;
  readonly ageMs?: number;
  readonly requests: readonly { readonly api: string; readonly result: string; readonly total: number }[];
}

/** The daily reports and their deliveries. */
interface ReportGauges {
  /** Undefined if there is none, or it is unknown. */
  readonly lastMadeAtMs: number | undefined;
  readonly failedDeliveries: ReadonlyMap<string, number>;
}

interface MetricsOptions {
  readonly ab: () => readonly AbGauges[];
  readonly gauges: () => Promise<Gauges> | Gauges;
  readonly flags: () => FlagGauges;
  readonly reports: () => ReportGauges;
  readonly known?: () => MemoryGauges;
  /** Undefined if the proxy has no spill. */
  readonly spill: () => SpillStatus | undefined;
}

/** Longest time that a scrape waits for the gauges. */
const COLLECT_TIMEOUT_MS = 5_000;

/** OpenTelemetry metrics, recorded by hand from events. Registers nothing globally and detects no resource. */
export function createMetrics({ gauges, flags, ab, spill, reports, known }: MetricsOptions): Metrics {
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);
  const provider = new MeterProvider({ readers: [exporter] });
  const meter = provider.getMeter('crossfade');
  const recorder = new MetricRecorder(createHistograms(meter));
  observeCounters(meter, recorder);
  const asked = new AskedGauges(meter, gauges);
  observeMemory(meter);
  observeFlags(meter, flags);
  observeArms(meter, ab);
  observeSpill(meter, spill);
  observeReports(meter, reports);
  if (known !== undefined) observeMemoryGauges(meter, known);
  return {
    listener: (name, event) => recorder.handlers[name]?.(event),
    async render() {
      const { resourceMetrics } = await exporter.collect({ timeoutMillis: COLLECT_TIMEOUT_MS });
      return serializer.serialize(asked.isKnown ? resourceMetrics : asked.leftOut(resourceMetrics));
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

/** A scrape reads the number of every combination, so counting costs only one addition. */
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

function observeMemory(meter: Meter): void {
  const { name, description, unit } = GAUGES.residentMemory;
  const gauge = meter.createObservableGauge(name, { description, unit });
  gauge.addCallback((result) => result.observe(process.memoryUsage.rss()));
}

/** Does not need the journal, because it is away when these values matter. */
function observeSpill(meter: Meter, spill: () => SpillStatus | undefined): void {
  const observed = [
    [GAUGES.spilling, ({ isSpilling }: SpillStatus) => (isSpilling ? 1 : 0)],
    [GAUGES.spillWrites, ({ writes }: SpillStatus) => writes],
    [GAUGES.spillBytes, ({ bytes }: SpillStatus) => bytes],
    [GAUGES.spillAge, ({ ageMs }: SpillStatus) => ageMs / 1_000],
  ] as const;
  for (const [gauge, valueOf] of observed)
    meter.createObservableGauge(gauge.name, gauge).addCallback((result) => {
      const status = spill();
      if (status !== undefined) result.observe(valueOf(status));
    });
}

function observeFlags(meter: Meter, flags: () => FlagGauges): void {
  const { flagsFresh, flagsAge, unleashRequests } = GAUGES;
  meter.createObservableGauge(flagsFresh.name, flagsFresh).addCallback((result) => {
    result.observe(flags().fresh ? 1 : 0);
  });
  meter.createObservableGauge(flagsAge.name, flagsAge).addCallback((result) => {
    const { ageMs } = flags();
    if (ageMs !== undefined) result.observe(ageMs / 1_000);
  });
  meter.createObservableCounter(unleashRequests.name, unleashRequests).addCallback((result) => {
    for (const { api, result: word, total } of flags().requests) result.observe(total, { api, result: word });
  });
}

function observeReports(meter: Meter, reports: () => ReportGauges): void {
  const { lastReport, failedReportDeliveries: failed } = GAUGES;
  meter.createObservableGauge(lastReport.name, lastReport).addCallback((result) => {
    const { lastMadeAtMs } = reports();
    if (lastMadeAtMs !== undefined) result.observe(lastMadeAtMs / 1_000);
  });
  meter.createObservableCounter(failed.name, failed).addCallback((result) => {
    for (const [target, total] of reports().failedDeliveries) result.observe(total, { target });
  });
}

const ASKED = [
  'pendingDeliveries',
  'copiesWaiting',
  'shadowReadsWaiting',
  'lanes',
  'lanesByPrimary',
  'flipLanes',
  'legacyDiffers',
  'seededLanes',
  'exceptedLanes',
  'openDeadLetters',
  'unknownOutcomes',
  'restoredLanes',
  'wayBackLosses',
  'wayBackSeconds',
  'latched',
  'flagsOffWaiting',
  'flagPercentage',
  'interlockReasons',
  'reverseWaiting',
  'reverseAge',
  'reverseHalted',
  'lostWaysBack',
  'wayBackProven',
  ...RUN_GAUGES,
] as const;

/** The gauges that are queried at every scrape. */
class AskedGauges {
  /** Whether the last query succeeded. Otherwise OpenTelemetry would still show the values of the one before. */
  isKnown = false;
  readonly #ask: () => Promise<Gauges> | Gauges;
  readonly #observables: Readonly<Record<(typeof ASKED)[number], Observable>>;

  constructor(meter: Meter, ask: () => Promise<Gauges> | Gauges) {
    this.#ask = ask;
    const made = ASKED.map((key) => {
      const { name, description, unit } = GAUGES[key];
      return [key, meter.createObservableGauge(name, { description, unit })] as const;
    });
    this.#observables = Object.fromEntries(made) as Record<(typeof ASKED)[number], Observable>;
    meter.addBatchObservableCallback(
      (result) => this.#observe(result),
      made.map(([, gauge]) => gauge),
    );
  }

  /** The collected metrics without the unknown gauges. */
  leftOut({ resource, scopeMetrics }: ResourceMetrics): ResourceMetrics {
    const names = new Set<string>(ASKED.map((key) => GAUGES[key].name));
    return {
      resource,
      scopeMetrics: scopeMetrics.map(({ scope, metrics }) => ({
        scope,
        metrics: metrics.filter(({ descriptor }) => !names.has(descriptor.name)),
      })),
    };
  }

  async #observe(result: BatchObservableResult): Promise<void> {
    this.isKnown = false;
    const now = await this.#ask();
    result.observe(this.#observables.pendingDeliveries, now.pendingDeliveries);
    result.observe(this.#observables.copiesWaiting, now.copiesWaiting);
    result.observe(this.#observables.shadowReadsWaiting, now.shadowReadsWaiting);
    for (const [service, counts] of now.lanes) this.#observeLanes(result, service, counts);
    for (const [service, ready] of now.wayBack ?? []) this.#observeWayBack(result, service, ready);
    this.#observeFlips(result, now.flips);
    for (const [service, guarded] of now.guarded ?? []) this.#observeGuarded(result, service, guarded);
    if (now.runs !== undefined) observeRuns(result, this.#observables, now.runs);
    for (const [service, reverse] of now.reverse ?? []) this.#observeReverse(result, service, reverse);
    this.isKnown = true;
  }

  #observeReverse(
    result: BatchObservableResult,
    service: ServiceName,
    { standing, proof }: ReverseGauges,
  ): void {
    result.observe(this.#observables.reverseWaiting, standing.waitingWrites, { service });
    result.observe(this.#observables.reverseAge, standing.oldestSeconds ?? 0, { service });
    result.observe(this.#observables.reverseHalted, standing.haltedLanes, { service });
    result.observe(this.#observables.lostWaysBack, standing.lostWaysBack, { service });
    if (proof !== undefined) result.observe(this.#observables.wayBackProven, proof.atMs / 1_000, { service });
  }

  #observeGuarded(
    result: BatchObservableResult,
    service: ServiceName,
    { isLatched, isFlagsOffWaiting, verdict }: GuardedGauges,
  ): void {
    result.observe(this.#observables.latched, isLatched ? 1 : 0, { service });
    result.observe(this.#observables.flagsOffWaiting, isFlagsOffWaiting ? 1 : 0, { service });
    if (verdict === undefined) return;
    for (const flag of SERVICE_FLAGS) {
      const { asked, inEffect } = verdict.flags[flag];
      const share = flag === 'read-cutover' ? Math.min(inEffect, readsInEffect(verdict)) : inEffect;
      result.observe(this.#observables.flagPercentage, asked, { service, flag, stand: 'asked' });
      result.observe(this.#observables.flagPercentage, share, { service, flag, stand: 'in_effect' });
      for (const [reason, held] of heldBy(verdict, flag))
        result.observe(this.#observables.interlockReasons, held, { service, flag, reason });
    }
  }

  #observeFlips(result: BatchObservableResult, flips: Gauges['flips'] = new Map()): void {
    for (const [service, counts] of flips) {
      for (const state of ['eligible', 'waiting', 'stuck', 'moving', 'moved'] as const)
        result.observe(this.#observables.flipLanes, counts[state], { service, state });
    }
  }

  #observeWayBack(
    result: BatchObservableResult,
    service: ServiceName,
    { lostWrites, seconds }: ProvenReadiness,
  ): void {
    result.observe(this.#observables.wayBackLosses, lostWrites, { service });
    result.observe(this.#observables.wayBackSeconds, seconds, { service });
  }

  #observeLanes(result: BatchObservableResult, service: ServiceName, counts: LaneCounts): void {
    const { lanes, flipped, seeded, dirty, copying, stopped, excepted, legacyDiffers } = counts;
    const conditions = { clean: lanes - dirty - copying - stopped, dirty, copying, stopped };
    for (const [condition, count] of Object.entries(conditions)) {
      result.observe(this.#observables.lanes, count, { service, condition });
    }
    result.observe(this.#observables.lanesByPrimary, lanes - flipped, { service, primary: 'legacy' });
    result.observe(this.#observables.lanesByPrimary, flipped, { service, primary: 'orchestrator' });
    result.observe(this.#observables.legacyDiffers, legacyDiffers, { service });
    result.observe(this.#observables.seededLanes, seeded, { service });
    result.observe(this.#observables.exceptedLanes, excepted, { service });
    result.observe(this.#observables.openDeadLetters, counts.deadLetters, { service });
    result.observe(this.#observables.unknownOutcomes, counts.unknown, { service });
    result.observe(this.#observables.restoredLanes, counts.restored, { service });
  }
}

/** By interlock: 1 if it lowers the flag as a whole, otherwise the number of actions that it lowers. */
function heldBy({ flags, actions }: InterlockVerdict, flag: ServiceFlag): Map<InterlockWord, number> {
  const ofActions = flag === 'read-cutover' ? Object.values(actions).flatMap(({ reasons }) => reasons) : [];
  const held = new Map<InterlockWord, number>();
  for (const { word } of ofActions) held.set(word, (held.get(word) ?? 0) + 1);
  for (const { word } of flags[flag].reasons) held.set(word, 1);
  return held;
}
