import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import type { RunFigures } from '../engine/runs/run-ports.ts';
import type { MetricDefinition } from './metric-definitions.ts';

export const GAUGES = {
  coverage: {
    name: 'crossfade_coverage_number',
    description: 'Number of the current coverage; 0 while writes are not journaled',
    unit: '1',
    labels: ['service'],
  },
  pendingDeliveries: {
    name: 'crossfade_pending_deliveries',
    description: 'Writes waiting to be delivered to the secondary',
    unit: '{write}',
    labels: [],
  },
  copiesWaiting: {
    name: 'crossfade_copies_waiting',
    description: 'Lanes being copied or waiting to be copied',
    unit: '{lane}',
    labels: [],
  },
  spilling: {
    name: 'crossfade_spilling',
    description: '1 while the journal is away, and until it holds every spilled write',
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
    description: 'Time since writes began to be spilled; 0 while nothing is spilled',
    unit: 's',
    labels: [],
  },
  shadowReadsWaiting: {
    name: 'crossfade_shadow_reads_waiting',
    description: 'Shadow reads that are waiting, running, or due to be repeated',
    unit: '{read}',
    labels: [],
  },
  lanes: {
    name: 'crossfade_lanes',
    description: 'Lanes in the journal, by condition',
    unit: '{lane}',
    labels: ['service', 'condition'],
  },
  lanesByPrimary: {
    name: 'crossfade_lanes_by_primary',
    description: 'Lanes in the journal, by the backend that is primary for their writes',
    unit: '{lane}',
    labels: ['service', 'primary'],
  },
  flipLanes: {
    name: 'crossfade_flip_lanes',
    description:
      'Lanes inside the share of a service: eligible, waiting or stuck on legacy, moving (primary changed in the last minute), or moved',
    unit: '{lane}',
    labels: ['service', 'state'],
  },
  legacyDiffers: {
    name: 'crossfade_flipped_lanes_legacy_differs',
    description: 'Flipped lanes in which a reconciliation found that legacy differs, not accepted yet',
    unit: '{lane}',
    labels: ['service'],
  },
  seededLanes: {
    name: 'crossfade_seeded_lanes',
    description: 'Seeded lanes: under the current coverage the orchestrator was made equal to legacy',
    unit: '{lane}',
    labels: ['service'],
  },
  exceptedLanes: {
    name: 'crossfade_excepted_lanes',
    description:
      'Excepted lanes: their last copy left out items that the orchestrator refuses, and no person has accepted that',
    unit: '{lane}',
    labels: ['service'],
  },
  openDeadLetters: {
    name: 'crossfade_open_dead_letters',
    description: 'Open dead letters; later writes of their lanes wait',
    unit: '{write}',
    labels: ['service'],
  },
  wayBackLosses: {
    name: 'crossfade_way_back_lost_writes',
    description: 'Acknowledged writes that legacy would lack if every lane returned to it now',
    unit: '{write}',
    labels: ['service'],
  },
  wayBackSeconds: {
    name: 'crossfade_way_back_seconds',
    description: 'Estimated time until every lane would have returned to legacy',
    unit: 's',
    labels: ['service'],
  },
  restoredLanes: {
    name: 'crossfade_restored_lanes',
    description: 'Lanes that a restored database has only in part; they give errors until a person decides',
    unit: '{lane}',
    labels: ['service'],
  },
  unknownOutcomes: {
    name: 'crossfade_unknown_outcomes',
    description: 'Writes for which it is not yet known whether they took effect on the primary',
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
    description:
      '1 while the flags are current, 0 while their source cannot be read and they may be outdated',
    unit: '1',
    labels: [],
  },
  flagsAge: {
    name: 'crossfade_flags_age_seconds',
    description: 'Time since the flags were last read from their source',
    unit: 's',
    labels: [],
  },
  unleashRequests: {
    name: 'crossfade_unleash_requests',
    description: 'Requests to Unleash, by API (client, admin) and result',
    unit: '{request}',
    labels: ['api', 'result'],
  },
  flagsOffWaiting: {
    name: 'crossfade_flags_off_waiting',
    description: '1 while flags of a tripped service are still to be switched off in Unleash',
    unit: '1',
    labels: ['service'],
  },
  flagPercentage: {
    name: 'crossfade_flag_percentage',
    description: 'Percentage that a flag requests, and percentage that is active after interlocks and latch',
    unit: '1',
    labels: ['service', 'flag', 'stand'],
  },
  interlockReasons: {
    name: 'crossfade_interlock_reasons',
    description:
      'Interlocks that lower a flag, enforced or not: 1 if they lower the whole flag, otherwise the number of its actions that they lower',
    unit: '1',
    labels: ['service', 'flag', 'reason'],
  },
  abReads: {
    name: 'crossfade_ab_reads',
    description:
      'Reads of the last hour on all replicas, by the backend from which their lanes read; paired: sent to both',
    unit: '{read}',
    labels: ['service', 'action', 'arm'],
  },
  abLatencyRatio: {
    name: 'crossfade_ab_latency_ratio',
    description:
      'Latency of the orchestrator divided by that of legacy, between lanes or in pairs of one read: value and ends of its 95 % interval',
    unit: '1',
    labels: ['service', 'action', 'design', 'bound'],
  },
  abFailureDifference: {
    name: 'crossfade_ab_failure_difference',
    description:
      'Failure rate of the orchestrator minus that of legacy, between lanes or in pairs of one read: value and ends of its 95 % interval',
    unit: '1',
    labels: ['service', 'action', 'design', 'bound'],
  },
  abP95Difference: {
    name: 'crossfade_ab_p95_difference_seconds',
    description:
      'p95 of the orchestrator minus that of legacy, over the same reads of the last hour. Bounds: value, both ends of its 95 % interval, and the limit of the upper end (criteria.readLatencyToleranceMs)',
    unit: 's',
    labels: ['service', 'action', 'bound'],
  },
  openRuns: {
    name: 'crossfade_open_runs',
    description: 'Backfills, reconciliations and repairs in progress',
    unit: '{run}',
    labels: ['kind'],
  },
  runLanes: {
    name: 'crossfade_run_lanes',
    description: 'Lanes of the runs in progress, done and waiting',
    unit: '{lane}',
    labels: ['kind', 'state'],
  },
  lastRun: {
    name: 'crossfade_last_run_timestamp_seconds',
    description: 'Time at which the newest run of a kind finished',
    unit: 's',
    labels: ['kind'],
  },
  agentsSeen: {
    name: 'crossfade_agents_seen',
    description: 'Agents that sent a request to the service in the last hour, on all replicas',
    unit: '{agent}',
    labels: ['service'],
  },
  divergentLanes: {
    name: 'crossfade_divergent_lanes',
    description:
      'Lanes with open findings: a reconciliation found them different, and they are not repaired, copied or accepted',
    unit: '{lane}',
    labels: ['service'],
  },
  openLostItems: {
    name: 'crossfade_open_lost_items',
    description: 'Items that legacy lost and that need a decision',
    unit: '{item}',
    labels: ['service'],
  },
  reverseWaiting: {
    name: 'crossfade_reverse_waiting_writes',
    description: 'Writes with the orchestrator as primary that legacy lacks',
    unit: '{write}',
    labels: ['service'],
  },
  reverseAge: {
    name: 'crossfade_reverse_oldest_seconds',
    description: 'Age of the oldest write that legacy lacks; 0 if it lacks none',
    unit: 's',
    labels: ['service'],
  },
  reverseHalted: {
    name: 'crossfade_reverse_halted_lanes',
    description: 'Lanes whose next write to legacy waits for a decision of a person',
    unit: '{lane}',
    labels: ['service'],
  },
  lostWaysBack: {
    name: 'crossfade_lost_ways_back',
    description:
      'Lanes that cannot return to legacy, because more writes waited for it than the limit allows',
    unit: '{lane}',
    labels: ['service'],
  },
  wayBackProven: {
    name: 'crossfade_way_back_proven_timestamp_seconds',
    description:
      'Time at which a write that the orchestrator had applied was last read back on legacy; absent if none ever was',
    unit: 's',
    labels: ['service'],
  },
  lastReport: {
    name: 'crossfade_last_report_timestamp_seconds',
    description: 'Time at which the newest daily report was made, by any replica',
    unit: 's',
    labels: [],
  },
  failedReportDeliveries: {
    name: 'crossfade_failed_report_deliveries',
    description: 'Failed attempts to deliver a daily report to its webhook or folder',
    unit: '{try}',
    labels: ['target'],
  },
  replicas: {
    name: 'crossfade_replicas',
    description:
      'Replicas that share the journal, by state. Silent replicas have sent no heartbeat for longer than their lease, and may still write',
    unit: '{replica}',
    labels: ['state'],
  },
  expiredRules: {
    name: 'crossfade_expired_rules',
    description: 'Expired comparison rules, which are off',
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

/** Values that this replica knows without the journal. */
export interface MemoryGauges {
  /** By `live` and `silent`. */
  readonly replicas: Readonly<Record<'live' | 'silent', number>>;
  /** Agents that asked in the last hour, by service. */
  readonly agentsSeen: ReadonlyMap<string, number>;
  /** Expired comparison rules, by service. */
  readonly expiredRules: ReadonlyMap<string, number>;
}

export function observeMemoryGauges(meter: Meter, known: () => MemoryGauges): void {
  const { replicas, expiredRules, agentsSeen } = GAUGES;
  meter.createObservableGauge(replicas.name, replicas).addCallback((result) => {
    for (const [state, count] of Object.entries(known().replicas)) result.observe(count, { state });
  });
  meter.createObservableGauge(agentsSeen.name, agentsSeen).addCallback((result) => {
    for (const [service, count] of known().agentsSeen) result.observe(count, { service });
  });
  meter.createObservableGauge(expiredRules.name, expiredRules).addCallback((result) => {
    for (const [service, count] of known().expiredRules) result.observe(count, { service });
  });
}

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
