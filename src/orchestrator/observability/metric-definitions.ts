import type { HistogramDefinition, MetricDefinition } from '../../telemetry/metric-definitions.ts';

/** The orchestrator's metrics. The values of every label are a closed set, and never a session or a user. */

/** A read by id takes a millisecond; a caller waits 10 s at most by default. */
const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counters. Prometheus adds `_total` to each name. */
export const COUNTERS = {
  requests: {
    name: 'crossfade_orchestrator_requests',
    description: 'Answered requests, by action and outcome (success, or the error code)',
    unit: '{request}',
    labels: ['action', 'outcome'],
  },
  cacheLookups: {
    name: 'crossfade_orchestrator_cache_lookups',
    description:
      'Cache lookups of reads, by result: hit, miss, stale (the session has changed), off (Redis is unreachable), skipped (the session changes between reads)',
    unit: '{lookup}',
    labels: ['result'],
  },
  statements: {
    name: 'crossfade_orchestrator_statements',
    description: 'Statements sent to the database, by result',
    unit: '{statement}',
    labels: ['result'],
  },
  slowStatements: {
    name: 'crossfade_orchestrator_slow_statements',
    description: 'Statements that took longer than telemetry.slowQueryMs; the log contains them',
    unit: '{statement}',
    labels: [],
  },
  lostReplies: {
    name: 'crossfade_orchestrator_lost_replies',
    description: 'Replies that could not be delivered because the agent had disconnected',
    unit: '{reply}',
    labels: [],
  },
} as const satisfies Record<string, MetricDefinition>;

export const HISTOGRAMS = {
  requestDuration: {
    name: 'crossfade_orchestrator_request_duration_seconds',
    description: 'Time from receiving a request to its answer',
    unit: 's',
    labels: ['action', 'outcome'],
    boundaries: LATENCY_SECONDS,
  },
  statementDuration: {
    name: 'crossfade_orchestrator_statement_duration_seconds',
    description: 'Duration of one statement, excluding the wait for a connection',
    unit: 's',
    labels: ['result'],
    boundaries: LATENCY_SECONDS,
  },
} as const satisfies Record<string, HistogramDefinition>;

/** Gauges, read at every scrape. */
export const GAUGES = {
  openRequests: {
    name: 'crossfade_orchestrator_open_requests',
    description: 'Requests in progress',
    unit: '{request}',
    labels: [],
  },
  connections: {
    name: 'crossfade_orchestrator_database_connections',
    description: 'Connections of the pool, by state; the embedded database has one connection',
    unit: '{connection}',
    labels: ['state'],
  },
  waitingForDatabase: {
    name: 'crossfade_orchestrator_database_waiting',
    description: 'Requests for a connection that are waiting',
    unit: '{request}',
    labels: [],
  },
  databaseCircuit: {
    name: 'crossfade_orchestrator_database_circuit_open',
    description: '1 while the circuit breaker of the database is open',
    unit: '1',
    labels: [],
  },
  embeddingQueue: {
    name: 'crossfade_orchestrator_embedding_queue',
    description: 'Memories that wait for an embedding',
    unit: '{memory}',
    labels: [],
  },
  embeddingQueueAge: {
    name: 'crossfade_orchestrator_embedding_queue_age_seconds',
    description: 'Age of the memory that has waited longest for an embedding',
    unit: 's',
    labels: [],
  },
  residentMemory: {
    name: 'crossfade_orchestrator_resident_memory_bytes',
    description: 'Resident memory of the orchestrator',
    unit: 'By',
    labels: [],
  },
} as const satisfies Record<string, MetricDefinition>;
