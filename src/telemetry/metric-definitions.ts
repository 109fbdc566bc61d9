/** What is measured, in the words of Prometheus. Every label's values are a closed set; never an owner, a lane or an id. */
export interface MetricDefinition {
  readonly name: `crossfade_${string}`;
  readonly description: string;
  /** UCUM; `{x}` counts x. */
  readonly unit: string;
  readonly labels: readonly string[];
}

export interface HistogramDefinition extends MetricDefinition {
  /** Upper ends of the buckets, in the unit. */
  readonly boundaries: readonly number[];
}

/** An agent waits 5 s; the proxy itself adds well under a millisecond. */
const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const ADDED_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.025, 0.1, 1,
];
/** A delivery waits for the outage of the secondary to end. */
const LAG_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200];

/** Rising numbers. Prometheus shows each with `_total` behind its name. */
export const COUNTERS = {
  operations: {
    name: 'crossfade_operations',
    description: 'Agent requests that were answered, by how they ended for the agent',
    unit: '{operation}',
    labels: ['service', 'action', 'kind', 'status'],
  },
  badInput: {
    name: 'crossfade_bad_input',
    description: 'Requests that the proxy refused because a legacy service would have choked on them',
    unit: '{request}',
    labels: ['service', 'problem'],
  },
  backendCalls: {
    name: 'crossfade_backend_calls',
    description: 'Calls of a backend, by purpose and by how they ended',
    unit: '{call}',
    labels: ['service', 'backend', 'purpose', 'result'],
  },
  writes: {
    name: 'crossfade_writes',
    description: 'Journaled writes, by what is known of their effect on the primary',
    unit: '{write}',
    labels: ['service', 'outcome'],
  },
  repeatedWrites: {
    name: 'crossfade_repeated_writes',
    description:
      'Writes that equal one whose agent got no reply: answered from the reply kept, told to come again, or sent as suspected duplicates',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  namedWrites: {
    name: 'crossfade_named_writes',
    description:
      'Writes that name items by place or condition, by whether these could be found before they were sent',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  deliveries: {
    name: 'crossfade_deliveries',
    description: 'Writes that reached the secondary, by what they did there',
    unit: '{write}',
    labels: ['service', 'result'],
  },
  deliveryFailures: {
    name: 'crossfade_delivery_failures',
    description: 'Attempts to deliver a batch that failed and are repeated',
    unit: '{attempt}',
    labels: [],
  },
  deadLetters: {
    name: 'crossfade_dead_letters',
    description: 'Writes that the secondary refused for good',
    unit: '{write}',
    labels: ['service', 'code'],
  },
  journalFailures: {
    name: 'crossfade_journal_failures',
    description: 'Failures of the journal',
    unit: '{failure}',
    labels: [],
  },
  spilled: {
    name: 'crossfade_spilled_writes',
    description: 'Writes that were noted down beside the journal while that was away',
    unit: '{write}',
    labels: ['service'],
  },
  spillFailures: {
    name: 'crossfade_spill_failures',
    description: 'Writes that were rejected because the spill could not take them, by reason',
    unit: '{write}',
    labels: ['reason'],
  },
  spillReplayed: {
    name: 'crossfade_spill_replayed_writes',
    description: 'Spilled writes that the journal holds since',
    unit: '{write}',
    labels: [],
  },
  lanesDirtied: {
    name: 'crossfade_lanes_dirtied',
    description: 'Times that the history of a lane became uncertain',
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
    description: 'Copies of a lane that failed and are repeated',
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
    description: 'Items that the legacy service has forgotten by its own rules',
    unit: '{item}',
    labels: ['service'],
  },
  itemsLost: {
    name: 'crossfade_items_lost',
    description: 'Items that vanished from the primary and that no rule accounts for',
    unit: '{item}',
    labels: ['service'],
  },
  lanesDiverged: {
    name: 'crossfade_lanes_diverged',
    description:
      'Lanes that a reconciliation of this replica found unequal, by whether somebody wrote to legacy past the proxy',
    unit: '{lane}',
    labels: ['service', 'bypassed'],
  },
  runsFinished: {
    name: 'crossfade_runs_finished',
    description: 'Backfills, reconciliations and repairs whose last page this replica did',
    unit: '{run}',
    labels: ['kind'],
  },
  runFailures: {
    name: 'crossfade_run_failures',
    description: 'Pages and listings of runs that failed and are tried again',
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
      'Shadow reads that showed again what was compared within a quarter of an hour: no further proof',
    unit: '{comparison}',
    labels: ['service', 'action'],
  },
  laneComparisons: {
    name: 'crossfade_lane_comparisons',
    description: 'Lanes compared whole because of a read that does something to legacy, by verdict',
    unit: '{comparison}',
    labels: ['service', 'verdict'],
  },
  differences: {
    name: 'crossfade_differences',
    description: 'Differences found by comparisons, by class',
    unit: '{difference}',
    labels: ['service', 'action', 'class'],
  },
  deletedReturned: {
    name: 'crossfade_deleted_items_returned',
    description: 'Items that the orchestrator returned although they were deleted',
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
    description: 'Shadow reads and comparisons of whole lanes that were not made, by reason',
    unit: '{read}',
    labels: ['service', 'reason'],
  },
  guardTrips: {
    name: 'crossfade_guard_trips',
    description: 'Times that the guard sent the reads of a service back to legacy, by trigger',
    unit: '{trip}',
    labels: ['service', 'trigger'],
  },
  flagsOffFailures: {
    name: 'crossfade_flags_off_failures',
    description:
      'Attempts to switch flags off after a trip that failed and are repeated; the latch holds all the same',
    unit: '{attempt}',
    labels: ['service'],
  },
  readsFellBack: {
    name: 'crossfade_reads_fell_back',
    description: 'Reads that the orchestrator was to answer and legacy answered, by reason',
    unit: '{read}',
    labels: ['service', 'reason'],
  },
} as const satisfies Record<string, MetricDefinition>;

export const HISTOGRAMS = {
  operationDuration: {
    name: 'crossfade_operation_duration_seconds',
    description: 'From receiving a request to its reply',
    unit: 's',
    labels: ['service', 'action', 'kind'],
    boundaries: LATENCY_SECONDS,
  },
  primaryDuration: {
    name: 'crossfade_primary_duration_seconds',
    description: 'The part of an operation spent waiting for the primary',
    unit: 's',
    labels: ['service', 'kind', 'backend'],
    boundaries: LATENCY_SECONDS,
  },
  addedDuration: {
    name: 'crossfade_added_duration_seconds',
    description: 'The part of an operation that was not spent waiting for the primary: what the proxy costs',
    unit: 's',
    labels: ['service', 'kind'],
    boundaries: ADDED_SECONDS,
  },
  backendCallDuration: {
    name: 'crossfade_backend_call_duration_seconds',
    description: 'Duration of a call of a backend',
    unit: 's',
    labels: ['service', 'backend', 'purpose', 'result'],
    boundaries: LATENCY_SECONDS,
  },
  journalCommitDuration: {
    name: 'crossfade_journal_commit_duration_seconds',
    description: 'From handing an intent to the journal until it is durable',
    unit: 's',
    labels: ['service'],
    boundaries: LATENCY_SECONDS,
  },
  readDeliveryWait: {
    name: 'crossfade_read_delivery_wait_seconds',
    description:
      'From the moment a cut-over read asks for the deliveries that it needs until they are on the secondary',
    unit: 's',
    labels: ['service'],
    boundaries: LATENCY_SECONDS,
  },
  deliveryLag: {
    name: 'crossfade_delivery_lag_seconds',
    description: 'From accepting a write until it is on the secondary',
    unit: 's',
    labels: ['service'],
    boundaries: LAG_SECONDS,
  },
} as const satisfies Record<string, HistogramDefinition>;
