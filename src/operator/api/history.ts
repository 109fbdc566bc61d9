import { Type } from 'typebox';
import { SERVICE_FLAGS } from '../../domain/flags.ts';
import type { CriterionName } from '../report/criterion-words.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { Count, Counts, OfService, oneOf, orNull, Time } from './schemas.ts';

const ByBackend = Type.Object({ legacy: Type.Number(), orchestrator: Type.Number() });
const Milliseconds = orNull(Type.Number());
const LatencyByBackend = Type.Object({ legacy: Milliseconds, orchestrator: Milliseconds });

const History = Type.Object({
  service: Type.String(),
  step_seconds: Count,
  /** What happened within one step, over all replicas. */
  samples: Type.Array(
    Type.Object({
      /** When the step began. */
      at: Time,
      reads: ByBackend,
      writes: Count,
      match: Count,
      mismatch: Count,
      /** Upper end of its bucket; null without a measurement. */
      added_p95_ms: Milliseconds,
    }),
  ),
});

export type History = Of<typeof History>;

const LiveSample = Type.Object({
  /** Wall-clock time of its end. */
  atMs: Type.Number(),
  reads: ByBackend,
  writes: Count,
  /** Answers of the backend to agents and shadow reads. Null if there was none. */
  p50: LatencyByBackend,
  p95: LatencyByBackend,
  addedP95: Milliseconds,
  match: Count,
  mismatch: Count,
  /** The longest time from a write to its delivery. */
  lagMs: Milliseconds,
  /** Decisions about reads and writes, by reason. */
  reasons: Counts,
});

/** What happened to a service within two seconds, in this process. Counts and milliseconds. */
export type LiveSample = Of<typeof LiveSample>;

const Consistency = Type.Object({
  /** A whole minute. */
  from: Time,
  compared: Count,
  differ: Count,
});

/** The counts of a window over all replicas, independent of restarts. */
export type Consistency = Of<typeof Consistency>;

const ShownConsistency = Type.Object({
  /** The zone in which the day begins at midnight. */
  zone: Type.String(),
  services: Type.Record(Type.String(), Type.Object({ last_hour: Consistency, today: Consistency })),
});

export type ShownConsistency = Of<typeof ShownConsistency>;

const Criterion = Type.Object({
  name: Type.Unsafe<CriterionName>(Type.String()),
  /** `stay`: needed to remain in the stage. `go_on`: needed to raise the next flag, or this one further. */
  for: oneOf(['stay', 'go_on']),
  action: orNull(Type.String()),
  /** The present value; 0 or 1 for yes or no. Null: never, or not measured. */
  have: orNull(Type.Number()),
  limit: Type.Number(),
  /** `not_judged`: the proxy does not have the function yet. */
  verdict: oneOf(['pass', 'fail', 'not_judged']),
  /** Why the verdict differs from what the numbers alone would give. */
  note: orNull(Type.String()),
});

export type Criterion = Of<typeof Criterion>;

const RaiseCheck = Type.Object({
  service: Type.String(),
  flag: oneOf(SERVICE_FLAGS),
  /** Under `warn` a failed criterion lowers nothing. */
  mode: oneOf(['warn', 'enforce', 'off']),
  criteria: Type.Array(Criterion),
  lanes: Count,
  /** Of agents, over all replicas. */
  reads_last_hour: Count,
});

export type RaiseCheck = Of<typeof RaiseCheck>;

export const HISTORY = {
  showHistory: {
    method: 'GET',
    path: '/v1/services/:service/history',
    summary: 'Shows the last hour or the last 24 hours of a service, over all replicas.',
    caller: 'viewer',
    params: OfService,
    query: Type.Object({ hours: Type.Optional(oneOf(['1', '24'])) }),
    checkedBy: 'handler',
    answer: { json: History },
  },
  showLive: {
    method: 'GET',
    path: '/v1/services/:service/live',
    summary: 'Shows the last 15 minutes of a service in this process, in steps of two seconds.',
    caller: 'viewer',
    params: OfService,
    answer: { json: Type.Object({ service: Type.String(), samples: Type.Array(LiveSample) }) },
  },
  showConsistency: {
    method: 'GET',
    path: '/v1/consistency',
    summary: 'Shows the consistency of each service in the last hour and today, over all replicas.',
    caller: 'viewer',
    answer: { json: ShownConsistency },
  },
  checkRaise: {
    method: 'GET',
    path: '/v1/services/:service/raise/:flag',
    summary: 'Shows the criteria for raising a flag, and what the change would affect.',
    caller: 'viewer',
    params: Type.Object({ service: Type.String(), flag: Type.String() }),
    answer: { json: RaiseCheck },
  },
} satisfies Record<string, Endpoint>;
