import type { Histogram } from '@opentelemetry/api';
import type { EventName, MigrationEvents } from '../engine/ports/events.ts';
import { LabelSeries } from './label-series.ts';
import { GAUGES } from './gauge-definitions.ts';
import { COUNTERS, HISTOGRAMS, type MetricDefinition } from './metric-definitions.ts';

export type Handlers = { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void };
export type Histograms = Readonly<Record<keyof typeof HISTOGRAMS, Histogram>>;

const MS_PER_SECOND = 1_000;

function seriesOf<Name extends string>(
  definitions: Readonly<Record<Name, MetricDefinition>>,
): Record<Name, LabelSeries> {
  const entries = Object.entries<MetricDefinition>(definitions);
  return Object.fromEntries(entries.map(([key, { labels }]) => [key, new LabelSeries(labels)])) as Record<
    Name,
    LabelSeries
  >;
}

/** Counts and measures events. Counters are plain numbers that a scrape reads; only histograms are recorded at once. */
export class MetricRecorder {
  readonly counters = seriesOf(COUNTERS);
  readonly coverage = new LabelSeries(GAUGES.coverage.labels);
  readonly handlers: Handlers = {
    'operation:replied': (event) => this.#replied(event),
    'operation:refused': ({ service, problem }) => {
      this.counters.badInput.at(service).at(problem).total += 1;
    },
    'backend:called': (event) => this.#called(event),
    'write:journaled': ({ service, durationMs }) => {
      const { labels } = this.#measured.journalCommitDuration.at(service);
      this.#histograms.journalCommitDuration.record(durationMs / MS_PER_SECOND, labels);
    },
    'write:answered': ({ service, outcome }) => {
      this.counters.writes.at(service).at(outcome).total += 1;
    },
    'write:unmapped': ({ service, outcome }) => {
      this.counters.unmappedWrites.at(service).at(outcome).total += 1;
    },
    'service:foreign_change': ({ service, kind }) => {
      this.counters.foreignChanges.at(service).at(kind).total += 1;
    },
    'write:repeated': ({ service, result }) => {
      this.counters.repeatedWrites.at(service).at(result).total += 1;
    },
    'write:named': ({ service, result }) => {
      this.counters.namedWrites.at(service).at(result).total += 1;
    },
    'delivery:applied': (event) => this.#delivered(event),
    'delivery:awaited': ({ service, durationMs }) => {
      const { labels } = this.#measured.readDeliveryWait.at(service);
      this.#histograms.readDeliveryWait.record(durationMs / MS_PER_SECOND, labels);
    },
    'delivery:failed': () => {
      this.counters.deliveryFailures.total += 1;
    },
    'delivery:altered': ({ service }) => {
      this.counters.deliveriesAltered.at(service).total += 1;
    },
    'reverse:sent': ({ service, result }) => {
      this.counters.reverseWrites.at(service).at(result).total += 1;
    },
    'reverse:halted': ({ service, reason }) => {
      this.counters.haltedReverseSends.at(service).at(reason).total += 1;
    },
    'delivery:dead_letter': ({ service, code }) => {
      this.counters.deadLetters.at(service).at(code).total += 1;
    },
    'lane:dirty': ({ service, reason }) => {
      this.counters.lanesDirtied.at(service).at(reason).total += 1;
    },
    'lane:copied': (event) => this.#copied(event),
    'lane:copy_failed': ({ service }) => {
      this.counters.copyFailures.at(service).total += 1;
    },
    'lane:stopped': ({ service, lost }) => {
      this.counters.itemsLost.at(service).total += lost;
    },
    'lane:diverged': ({ service, bypassed }) => {
      this.counters.lanesDiverged.at(service).at(String(bypassed)).total += 1;
    },
    'run:finished': ({ kind }) => {
      this.counters.runsFinished.at(kind).total += 1;
    },
    'run:failed': () => {
      this.counters.runFailures.total += 1;
    },
    'lane:flipped': ({ service, heldMs }) => {
      this.counters.lanesFlipped.at(service).total += 1;
      this.#histograms.flipHold.record(heldMs / MS_PER_SECOND, this.#measured.flipHold.at(service).labels);
    },
    'lane:born': ({ service }) => {
      this.counters.lanesBorn.at(service).total += 1;
    },
    'flip:failed': ({ service, reason }) => {
      this.counters.flipFailures.at(service).at(reason).total += 1;
    },
    'flip:compared': ({ service, result }) => {
      this.counters.flipsCompared.at(service).at(result).total += 1;
    },
    'coverage:began': ({ service, number }) => {
      this.coverage.at(service).total = number;
    },
    'coverage:ended': ({ service }) => {
      this.coverage.at(service).total = 0;
    },
    'read:fell_back': ({ service, reason }) => {
      this.counters.readsFellBack.at(service).at(reason).total += 1;
    },
    'read:unanswered': ({ service, reason }) => {
      this.counters.readsUnanswered.at(service).at(reason).total += 1;
    },
    'shadow:compared': (event) => {
      const { service, action, comparison } = event;
      this.counters.comparisons.at(service).at(action).at(comparison.verdict).total += 1;
      if (comparison.isRepeat === true) this.counters.comparisonRepeats.at(service).at(action).total += 1;
      this.#found(event);
    },
    'lane:compared': (event) => {
      this.counters.laneComparisons.at(event.service).at(event.comparison.verdict).total += 1;
      this.#found(event);
    },
    'flipped:compared': ({ service, by, comparison }) => {
      this.counters.flippedComparisons.at(service).at(by).at(comparison.verdict).total += 1;
    },
    'comparison:deleted_returned': ({ service, items }) => {
      this.counters.deletedReturned.at(service).total += items;
    },
    'flipped:deleted_returned': ({ service, items }) => {
      this.counters.deletedReturned.at(service).total += items;
    },
    'shadow:dropped': ({ service, reason }) => {
      this.counters.shadowDropped.at(service).at(reason).total += 1;
    },
    'guard:tripped': ({ service, finding }) => {
      this.counters.guardTrips.at(service).at(finding.trigger).total += 1;
    },
    'guard:flags_failed': ({ service }) => {
      this.counters.flagsOffFailures.at(service).total += 1;
    },
    'write:spilled': ({ service }) => {
      this.counters.spilled.at(service).total += 1;
    },
    'spill:failed': ({ reason }) => {
      this.counters.spillFailures.at(reason).total += 1;
    },
    'spill:replayed': ({ writes }) => {
      this.counters.spillReplayed.total += writes;
    },
    'journal:failed': () => {
      this.counters.journalFailures.total += 1;
    },
  };
  readonly #histograms: Histograms;
  readonly #measured = seriesOf(HISTOGRAMS);

  constructor(histograms: Histograms) {
    this.#histograms = histograms;
  }

  #replied(event: MigrationEvents['operation:replied']): void {
    const { service, action, kind, status, backend, durationMs, primaryMs } = event;
    this.counters.operations.at(service).at(action).at(kind).at(status).total += 1;
    const { labels } = this.#measured.operationDuration.at(service).at(action).at(kind);
    this.#histograms.operationDuration.record(durationMs / MS_PER_SECOND, labels);
    // Without an answer of the primary the proxy's own part is unknown.
    if (backend === undefined) return;
    const primary = this.#measured.primaryDuration.at(service).at(kind).at(backend);
    this.#histograms.primaryDuration.record(primaryMs / MS_PER_SECOND, primary.labels);
    const added = this.#measured.addedDuration.at(service).at(kind);
    this.#histograms.addedDuration.record(Math.max(0, durationMs - primaryMs) / MS_PER_SECOND, added.labels);
  }

  #called(event: MigrationEvents['backend:called']): void {
    const { service, backend, purpose, result, durationMs } = event;
    this.counters.backendCalls.at(service).at(backend).at(purpose).at(result).total += 1;
    const { labels } = this.#measured.backendCallDuration.at(service).at(backend).at(purpose).at(result);
    this.#histograms.backendCallDuration.record(durationMs / MS_PER_SECOND, labels);
  }

  #delivered({ service, result, lagMs }: MigrationEvents['delivery:applied']): void {
    this.counters.deliveries.at(service).at(result).total += 1;
    // The lag is wall-clock time, which may be set back.
    const lagSeconds = Math.max(0, lagMs) / MS_PER_SECOND;
    this.#histograms.deliveryLag.record(lagSeconds, this.#measured.deliveryLag.at(service).labels);
  }

  #copied({ service, written, deleted, forgotten }: MigrationEvents['lane:copied']): void {
    this.counters.lanesCopied.at(service).total += 1;
    this.counters.itemsWritten.at(service).total += written;
    this.counters.itemsDeleted.at(service).total += deleted;
    this.counters.itemsForgotten.at(service).total += forgotten;
  }

  #found({ service, action, comparison }: MigrationEvents['shadow:compared' | 'lane:compared']): void {
    if (comparison.reason !== undefined) {
      this.counters.notComparable.at(service).at(comparison.reason).total += 1;
    }
    const classes = this.counters.differences.at(service).at(action);
    for (const difference of comparison.differences) classes.at(difference.class).total += 1;
    for (const { by } of comparison.explained ?? []) classes.at(by).total += 1;
  }
}
