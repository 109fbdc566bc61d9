/** A metric of Prometheus. The values of every label are a closed set, and never an owner, a lane or an id. */
export interface MetricDefinition {
  readonly name: `crossfade_${string}`;
  readonly description: string;
  /** UCUM; `{x}` counts x. */
  readonly unit: string;
  readonly labels: readonly string[];
}

export interface HistogramDefinition extends MetricDefinition {
  /** Upper bounds of the buckets, in the metric's unit. */
  readonly boundaries: readonly number[];
}

/** An agent waits 5 s; the proxy itself adds well under a millisecond. */
const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const ADDED_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 1,
];
/** A delivery can wait for the end of an outage of the secondary. */
const LAG_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200];

/** Counters. Prometheus adds `_total` to each name. */
export const COUNTERS = {
  operations: {
    name: 'crossfade_operations',
    description: 'Answered agent requests, by result for the agent',
    unit: '{operation}',
    labels: ['service', 'action', 'kind', 'status'],
  },
  badInput: {
    name: 'crossfade_bad_input',
    description: 'Requests that the proxy refused because they could crash or block a legacy service',
    unit: '{request}',
    labels: ['service', 'problem'],
  },
  backendCalls: {
    name: 'crossfade_backend_calls',
    description: 'Calls to a backend, by purpose and result',
    unit: '{call}',
    labels: ['service', 'backend', 'purpose', 'result'],
  },
  writes: {
    name: 'crossfade_writes',
    description: 'Journaled writes, by outcome on the primary',
    unit: '{write}',
    labels: ['service', 'outcome'],
  },
  unmappedWrites: {
    name: 'crossfade_unmapped_writes',
    description:
      'Writes that legacy took and that the orchestrator lacks, because they name no owner that a lane can hold',
    unit: '{write}',
    labels: ['service', 'outcome'],
  },
  foreignChanges: {
    name: 'crossfade_foreign_changes',
    description: 'Changes and uses of a read-only legacy service that Crossfade did not make, by kind',
    unit: '{change}',
    labels: ['service', 'kind'],
  },
  repeatedWrites: {
    name: 'crossfade_repeated_writes',
    description:
      'Writes that repeat one whose agent got no reply: answered with the kept reply, asked to retry later, or sent as suspected duplicates',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  namedWrites: {
    name: 'crossfade_named_writes',
    description:
      'Writes that name items by place or condition, by whether the items could be determined before the write was sent',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  deliveries: {
    name: 'crossfade_deliveries',
    description: 'Writes delivered to the secondary, by their effect there',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  deliveryFailures: {
    name: 'crossfade_delivery_failures',
    description: 'Failed attempts to deliver a batch, which are repeated',
    unit: '{attempt}',
    labels: [],
  },
  reverseWrites: {
    name: 'crossfade_reverse_writes',
    description:
      'Writes with the orchestrator as primary that were sent to legacy: applied there, forgotten by its retention, or ended by a person',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  haltedReverseSends: {
    name: 'crossfade_halted_reverse_sends',
    description: 'Writes that cannot be sent to legacy without a decision of a person, by reason',
    unit: '{write}',
    labels: ['service', 'reason'],
  },
  deadLetters: {
    name: 'crossfade_dead_letters',
    description: 'Writes that the secondary refused for good',
    unit: '{write}',
    labels: ['service', 'code'],
  },
  deliveriesAltered: {
    name: 'crossfade_altered_deliveries',
    description:
      'Deliveries that were read back, and that the orchestrator stores differently from what was sent',
    unit: '{write}',
    labels: ['service'],
  },
  journalFailures: {
    name: 'crossfade_journal_failures',
    description: 'Failures of the journal',
    unit: '{failure}',
    labels: [],
  },
  spilled: {
    name: 'crossfade_spilled_writes',
    description: 'Writes spilled to disk while the journal was away',
    unit: '{write}',
    labels: ['service'],
  },
  spillFailures: {
    name: 'crossfade_spill_failures',
    description: 'Writes rejected because the spill could not store them, by reason',
    unit: '{write}',
    labels: ['reason'],
  },
  spillReplayed: {
    name: 'crossfade_spill_replayed_writes',
    description: 'Spilled writes that the journal has taken over',
    unit: '{write}',
    labels: [],
  },
  lanesDirtied: {
    name: 'crossfade_lanes_dirtied',
    description: 'Number of times that a lane became dirty',
    unit: '{lane}',
    labels: ['service', 'reason'],
  },
  lanesCopied: {
    name: 'crossfade_lanes_copied',
    description: 'Lanes made equal by a copy',
    unit: '{lane}',
    labels: ['service'],
  },
  copyFailures: {
    name: 'crossfade_lane_copy_failures',
    description: 'Failed copies of a lane, which are repeated',
    unit: '{attempt}',
    labels: ['service'],
  },
  itemsWritten: {
    name: 'crossfade_items_written',
    description: 'Items that copies wrote to the secondary',
    unit: '{item}',
    labels: ['service'],
  },
  itemsDeleted: {
    name: 'crossfade_items_deleted',
    description: 'Items that copies deleted from the secondary',
    unit: '{item}',
    labels: ['service'],
  },
  itemsForgotten: {
    name: 'crossfade_items_forgotten',
    description: 'Items that the legacy service forgot by its declared retention',
    unit: '{item}',
    labels: ['service'],
  },
  itemsLost: {
    name: 'crossfade_items_lost',
    description: 'Items that disappeared from the primary without an explanation',
    unit: '{item}',
    labels: ['service'],
  },
  lanesDiverged: {
    name: 'crossfade_lanes_diverged',
    description:
      'Lanes that a reconciliation of this replica found different, by whether a writer bypassed the proxy',
    unit: '{lane}',
    labels: ['service', 'bypassed'],
  },
  runsFinished: {
    name: 'crossfade_runs_finished',
    description: 'Backfills, reconciliations and repairs that this replica finished',
    unit: '{run}',
    labels: ['kind'],
  },
  runFailures: {
    name: 'crossfade_run_failures',
    description: 'Failed pages and listings of runs, which are repeated',
    unit: '{failure}',
    labels: [],
  },
  comparisons: {
    name: 'crossfade_comparisons',
    description: 'Shadow reads that were compared, by verdict',
    unit: '{comparison}',
    labels: ['service', 'action', 'verdict'],
  },
  comparisonRepeats: {
    name: 'crossfade_comparison_repeats',
    description:
      'Shadow reads that repeated a comparison of the last 15 minutes, and so are no further evidence',
    unit: '{comparison}',
    labels: ['service', 'action'],
  },
  laneComparisons: {
    name: 'crossfade_lane_comparisons',
    description: 'Whole lanes compared because of a read with side effects on legacy, by verdict',
    unit: '{comparison}',
    labels: ['service', 'verdict'],
  },
  flippedComparisons: {
    name: 'crossfade_flipped_comparisons',
    description:
      'Comparisons of flipped lanes, by verdict; a mismatch counts against legacy and moves no reads',
    unit: '{comparison}',
    labels: ['service', 'by', 'verdict'],
  },
  differences: {
    name: 'crossfade_differences',
    description: 'Differences found by comparisons, by class',
    unit: '{difference}',
    labels: ['service', 'action', 'class'],
  },
  deletedReturned: {
    name: 'crossfade_deleted_items_returned',
    description: 'Deleted items that the orchestrator returned, or in a flipped lane any backend',
    unit: '{item}',
    labels: ['service'],
  },
  notComparable: {
    name: 'crossfade_not_comparable',
    description: 'Shadow reads and whole lanes that could not be compared, by reason',
    unit: '{comparison}',
    labels: ['service', 'reason'],
  },
  shadowDropped: {
    name: 'crossfade_shadow_reads_dropped',
    description: 'Shadow reads and comparisons of whole lanes that were skipped, by reason',
    unit: '{read}',
    labels: ['service', 'reason'],
  },
  guardTrips: {
    name: 'crossfade_guard_trips',
    description: 'Trips: the guard sent the reads of a service back to legacy, by trigger',
    unit: '{trip}',
    labels: ['service', 'trigger'],
  },
  flagsOffFailures: {
    name: 'crossfade_flags_off_failures',
    description:
      'Failed attempts to switch flags off after a trip, which are repeated; the latch still keeps reads on legacy',
    unit: '{attempt}',
    labels: ['service'],
  },
  readsFellBack: {
    name: 'crossfade_reads_fell_back',
    description: 'Fallbacks: reads that legacy answered instead of the orchestrator, by reason',
    unit: '{read}',
    labels: ['service', 'reason'],
  },
  readsUnanswered: {
    name: 'crossfade_reads_unanswered',
    description:
      'Reads of flipped lanes that failed because the orchestrator did not answer and legacy may lack something, by reason',
    unit: '{read}',
    labels: ['service', 'reason'],
  },
  lanesFlipped: {
    name: 'crossfade_lanes_flipped',
    description: 'Lanes whose writes have moved to the orchestrator',
    unit: '{lane}',
    labels: ['service'],
  },
  lanesBorn: {
    name: 'crossfade_lanes_born',
    description: 'New owners whose writes go to the orchestrator from the first one on',
    unit: '{lane}',
    labels: ['service'],
  },
  flipFailures: {
    name: 'crossfade_flip_failures',
    description: 'Failed flips of lanes, which are tried again, by reason; the lane stays on legacy',
    unit: '{attempt}',
    labels: ['service', 'reason'],
  },
  flipsCompared: {
    name: 'crossfade_flips_compared',
    description: 'Flipped lanes that were compared once both backends had all writes, by result',
    unit: '{lane}',
    labels: ['service', 'result'],
  },
} as const satisfies Record<string, MetricDefinition>;

export const HISTOGRAMS = {
  operationDuration: {
    name: 'crossfade_operation_duration_seconds',
    description: 'Time from receiving a request to its reply',
    unit: 's',
    labels: ['service', 'action', 'kind'],
    boundaries: LATENCY_SECONDS,
  },
  primaryDuration: {
    name: 'crossfade_primary_duration_seconds',
    description: 'Time that an operation waits for the primary',
    unit: 's',
    labels: ['service', 'kind', 'backend'],
    boundaries: LATENCY_SECONDS,
  },
  addedDuration: {
    name: 'crossfade_added_duration_seconds',
    description: 'Time that the proxy adds to an operation: everything except waiting for the primary',
    unit: 's',
    labels: ['service', 'kind'],
    boundaries: ADDED_SECONDS,
  },
  backendCallDuration: {
    name: 'crossfade_backend_call_duration_seconds',
    description: 'Duration of a call to a backend',
    unit: 's',
    labels: ['service', 'backend', 'purpose', 'result'],
    boundaries: LATENCY_SECONDS,
  },
  journalCommitDuration: {
    name: 'crossfade_journal_commit_duration_seconds',
    description: 'Time until a write intent is durable in the journal',
    unit: 's',
    labels: ['service'],
    boundaries: LATENCY_SECONDS,
  },
  readDeliveryWait: {
    name: 'crossfade_read_delivery_wait_seconds',
    description: 'Time that a read by the orchestrator waits for the delivery of earlier writes',
    unit: 's',
    labels: ['service'],
    boundaries: LATENCY_SECONDS,
  },
  deliveryLag: {
    name: 'crossfade_delivery_lag_seconds',
    description: 'Time from accepting a write until it is on the secondary',
    unit: 's',
    labels: ['service'],
    boundaries: LAG_SECONDS,
  },
  flipHold: {
    name: 'crossfade_flip_hold_seconds',
    description: 'Time that writes of a lane wait while it is flipped',
    unit: 's',
    labels: ['service'],
    boundaries: LATENCY_SECONDS,
  },
} as const satisfies Record<string, HistogramDefinition>;
