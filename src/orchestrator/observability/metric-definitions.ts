import type { HistogramDefinition, MetricDefinition } from '../../telemetry/metric-definitions.ts';

/** What is measured of the orchestrator, in the words of Prometheus. Labels have closed sets of values; never a session or a user. */

/** A read by id takes a millisecond; a caller waits 10 s at most by default. */
const LATENCY_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Rising numbers. Prometheus shows each with `_total` behind its name. */
export const COUNTERS = {
  requests: {
    name: 'crossfade_orchestrator_requests',
    description: 'Requests that were answered, by action and by outcome: success or the code of the error',
    unit: '{request}',
    labels: ['action', 'outcome'],
  },
  cacheLookups: {
    name: 'crossfade_orchestrator_cache_lookups',
    description:
      'Reads that looked for a kept answer: hit, miss, stale (of an older session), off (Redis is out of reach), skipped (the session is written to between reads)',
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
    description: 'Statements that took longer than telemetry.slowQueryMs; each is in the log',
    unit: '{statement}',
    labels: [],
  },
  lostReplies: {
    name: 'crossfade_orchestrator_lost_replies',
    description: 'Replies whose agent had left',
    unit: '{reply}',
    labels: [],
  },
} as const satisfies Record<string, MetricDefinition>;

export const HISTOGRAMS = {
  requestDuration: {
    name: 'crossfade_orchestrator_request_duration_seconds',
    description: 'From receiving a request to its answer',
    unit: 's',
    labels: ['action', 'outcome'],
    boundaries: LATENCY_SECONDS,
  },
  statementDuration: {
    name: 'crossfade_orchestrator_statement_duration_seconds',
    description: 'Duration of one statement, without the wait for a connection',
    unit: 's',
    labels: ['result'],
    boundaries: LATENCY_SECONDS,
  },
} as const satisfies Record<string, HistogramDefinition>;

/** Asked for when somebody scrapes. */
export const GAUGES = {
  openRequests: {
    name: 'crossfade_orchestrator_open_requests',
    description: 'Requests that are not answered yet',
    unit: '{request}',
    labels: [],
  },
  connections: {
    name: 'crossfade_orchestrator_database_connections',
    description: 'Connections of the pool, by state; the embedded database has one',
    unit: '{connection}',
    labels: ['state'],
  },
  waitingForDatabase: {
    name: 'crossfade_orchestrator_database_waiting',
    description: 'Pieces of work that wait for a connection',
    unit: '{request}',
    labels: [],
  },
  databaseCircuit: {
    name: 'crossfade_orchestrator_database_circuit_open',
    description: '1 while the database does not answer and is left alone',
    unit: '1',
    labels: [],
  },
  embeddingQueue: {
    name: 'crossfade_orchestrator_embedding_queue',
    description: 'Memories that wait for their vector',
    unit: '{memory}',
    labels: [],
  },
  embeddingQueueAge: {
    name: 'crossfade_orchestrator_embedding_queue_age_seconds',
    description: 'Age of the memory that waits longest for its vector',
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
