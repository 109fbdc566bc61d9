import type { MetricDefinition } from './metric-definitions.ts';

export const GAUGES = {
  coverage: {
    name: 'crossfade_coverage_number',
    description: 'Number of the coverage under which writes are journaled; 0 while they pass unjournaled',
    unit: '1',
    labels: ['service'],
  },
  pendingDeliveries: {
    name: 'crossfade_pending_deliveries',
    description: 'Writes that wait to be delivered to the secondary',
    unit: '{write}',
    labels: [],
  },
  copiesWaiting: {
    name: 'crossfade_copies_waiting',
    description: 'Lanes that wait to be copied or are being copied',
    unit: '{lane}',
    labels: [],
  },
  spilling: {
    name: 'crossfade_spilling',
    description: '1 while the journal is away, or what was spilled is not all in it yet',
    unit: '1',
    labels: [],
  },
  spillWrites: {
    name: 'crossfade_spill_writes',
    description: 'Spilled writes that the journal does not hold yet',
    unit: '{write}',
    labels: [],
  },
  spillBytes: {
    name: 'crossfade_spill_bytes',
    description: 'Size of the spill',
    unit: 'By',
    labels: [],
  },
  spillAge: {
    name: 'crossfade_spill_age_seconds',
    description: 'For how long writes have been spilled; 0 while they are not',
    unit: 's',
    labels: [],
  },
  shadowReadsWaiting: {
    name: 'crossfade_shadow_reads_waiting',
    description: 'Shadow reads that wait, run, or will be looked at again',
    unit: '{read}',
    labels: [],
  },
  lanes: {
    name: 'crossfade_lanes',
    description: 'Lanes that the journal knows, by condition',
    unit: '{lane}',
    labels: ['service', 'condition'],
  },
  seededLanes: {
    name: 'crossfade_seeded_lanes',
    description: 'Lanes of which the orchestrator holds everything',
    unit: '{lane}',
    labels: ['service'],
  },
  exceptedLanes: {
    name: 'crossfade_excepted_lanes',
    description: 'Lanes whose last copy left out what the orchestrator refuses, and nobody has accepted it',
    unit: '{lane}',
    labels: ['service'],
  },
  openDeadLetters: {
    name: 'crossfade_open_dead_letters',
    description: 'Dead letters that nobody has dealt with: their lanes wait behind them',
    unit: '{write}',
    labels: ['service'],
  },
  unknownOutcomes: {
    name: 'crossfade_unknown_outcomes',
    description: 'Writes of which nobody knows yet whether they took effect on the primary',
    unit: '{write}',
    labels: ['service'],
  },
  latched: {
    name: 'crossfade_latched',
    description: '1 while a latch keeps the reads of a service on legacy',
    unit: '1',
    labels: ['service'],
  },
  flagsFresh: {
    name: 'crossfade_flags_fresh',
    description: '1 while the flags are as their source says them, 0 while they may be older',
    unit: '1',
    labels: [],
  },
  flagsAge: {
    name: 'crossfade_flags_age_seconds',
    description: 'Since the flags were last read from their source',
    unit: 's',
    labels: [],
  },
  unleashRequests: {
    name: 'crossfade_unleash_requests',
    description: 'Requests to Unleash, by API (client, admin) and by how they ended',
    unit: '{request}',
    labels: ['api', 'result'],
  },
  flagsOffWaiting: {
    name: 'crossfade_flags_off_waiting',
    description:
      '1 while a trip has not been shown in Unleash yet: its flags are still to be switched off there',
    unit: '1',
    labels: ['service'],
  },
  flagPercentage: {
    name: 'crossfade_flag_percentage',
    description: 'Percent that a flag asks for, and percent that is in effect behind interlocks and latch',
    unit: '1',
    labels: ['service', 'flag', 'stand'],
  },
  interlockReasons: {
    name: 'crossfade_interlock_reasons',
    description:
      'Interlocks that stand between what a flag asks for and its being in effect, binding or not: 1 where they hold the flag as a whole, else the number of its actions that they hold',
    unit: '1',
    labels: ['service', 'flag', 'reason'],
  },
  abReads: {
    name: 'crossfade_ab_reads',
    description:
      'Reads of the last hour, of all replicas, by the backend that their lanes read from; paired: asked of both',
    unit: '{read}',
    labels: ['service', 'action', 'arm'],
  },
  abLatencyRatio: {
    name: 'crossfade_ab_latency_ratio',
    description:
      'Latency of the orchestrator / of legacy, between lanes or in pairs of the same read: value, and both ends of its 95 % interval',
    unit: '1',
    labels: ['service', 'action', 'design', 'bound'],
  },
  abFailureDifference: {
    name: 'crossfade_ab_failure_difference',
    description:
      'Failure rate of the orchestrator less that of legacy, between lanes or in pairs of the same read: value, and both ends of its 95 % interval',
    unit: '1',
    labels: ['service', 'action', 'design', 'bound'],
  },
  abP95Difference: {
    name: 'crossfade_ab_p95_difference_seconds',
    description:
      'p95 of the orchestrator less that of legacy, of the same reads of the last hour: value, both ends of its 95 % interval, and the limit of the upper end (criteria.readLatencyToleranceMs)',
    unit: 's',
    labels: ['service', 'action', 'bound'],
  },
  openRuns: {
    name: 'crossfade_open_runs',
    description: 'Backfills, reconciliations and repairs that are under way',
    unit: '{run}',
    labels: ['kind'],
  },
  runLanes: {
    name: 'crossfade_run_lanes',
    description: 'Lanes of the runs that are under way: done, and waiting',
    unit: '{lane}',
    labels: ['kind', 'state'],
  },
  lastRun: {
    name: 'crossfade_last_run_timestamp_seconds',
    description: 'When the newest run of a kind finished',
    unit: 's',
    labels: ['kind'],
  },
  agentsSeen: {
    name: 'crossfade_agents_seen',
    description: 'Agents that sent a request to the service in the last hour, through any replica',
    unit: '{agent}',
    labels: ['service'],
  },
  divergentLanes: {
    name: 'crossfade_divergent_lanes',
    description:
      'Lanes that a reconciliation found unequal, and that are neither repaired, copied nor accepted by name',
    unit: '{lane}',
    labels: ['service'],
  },
  openLostItems: {
    name: 'crossfade_open_lost_items',
    description: 'Items that legacy lost and that wait for a person',
    unit: '{item}',
    labels: ['service'],
  },
  lastReport: {
    name: 'crossfade_last_report_timestamp_seconds',
    description: 'When the newest daily report was made, by whichever replica',
    unit: 's',
    labels: [],
  },
  failedReportDeliveries: {
    name: 'crossfade_failed_report_deliveries',
    description: 'Tries to take a daily report to its webhook or folder that failed',
    unit: '{try}',
    labels: ['target'],
  },
  replicas: {
    name: 'crossfade_replicas',
    description:
      'Replicas that share the journal, by state: silent ones have sent no heartbeat for longer than their lease, and may still write',
    unit: '{replica}',
    labels: ['state'],
  },
  expiredRules: {
    name: 'crossfade_expired_rules',
    description: 'Comparison rules that are off because they have expired',
    unit: '{rule}',
    labels: ['service'],
  },
  residentMemory: {
    name: 'crossfade_resident_memory_bytes',
    description: 'Resident memory of the proxy',
    unit: 'By',
    labels: [],
  },
} as const satisfies Record<string, MetricDefinition>;
