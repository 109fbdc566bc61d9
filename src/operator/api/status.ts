import { Type } from 'typebox';
import { STAGES } from '../../domain/stage.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { LaneCounts } from './flips.ts';
import { GuardStatus, ToldInterlock, Trigger } from './guard.ts';
import { Count, Counts, oneOf, orNull, Service, Time } from './schemas.ts';

const Milliseconds = orNull(Type.Number());

/** A value with both ends of its 95 % interval. Null if too few lanes were seen. */
const ShownInterval = orNull(Type.Tuple([Type.Number(), Type.Number(), Type.Number()]));

export type ShownInterval = Of<typeof ShownInterval>;

const ARM = {
  reads: Count,
  /** Share that failed for the agent, 0–1. */
  failure_rate: ShownInterval,
  /** How long agents waited. */
  p50_ms: Milliseconds,
  p95_ms: Milliseconds,
};

const PairedP95 = Type.Object({
  orchestrator_ms: Milliseconds,
  legacy_ms: Milliseconds,
  /** Orchestrator / legacy. */
  ratio: orNull(Type.Number()),
  /** Orchestrator minus legacy, with its 95 % interval. Null below about 100 pairs, which are too few for a p95. */
  difference_ms: ShownInterval,
});

export type PairedP95 = Of<typeof PairedP95>;

const AB = {
  orchestrator: Type.Object({ ...ARM, fallbacks: Count }),
  legacy: Type.Object(ARM),
  /** Ratio of the geometric means of the agents' waiting times: orchestrator lanes / legacy lanes. */
  latency_ratio: ShownInterval,
  /** Orchestrator minus legacy, 0–1. */
  failure_difference: ShownInterval,
  paired: Type.Object({
    pairs: Count,
    /** Orchestrator / legacy, each backend's own time for the same request. */
    latency_ratio: ShownInterval,
    failure_difference: ShownInterval,
    /** The p95 of each backend over the same reads. */
    p95: PairedP95,
  }),
};

const AbNumbers = Type.Object(AB);

/**
 * Compares lanes that read from the orchestrator with lanes that read from legacy, and reads that were sent to both. Covers all
 * replicas.
 */
export type AbNumbers = Of<typeof AbNumbers>;

const AbStatus = Type.Object({ ...AB, window_minutes: Count });

/** The same for the last hour. Other replicas report what they saw every ten seconds. */
export type AbStatus = Of<typeof AbStatus>;

export const ActionStatus = Type.Object({
  asked: Type.Number(),
  in_effect: Type.Number(),
  interlocks: Type.Array(ToldInterlock),
  /** A person accepted the action by name, so it moves without evidence. */
  accepted: Type.Boolean(),
  comparable: Count,
  /**
   * How many of these compared whole lanes. 0 after a wrong answer of the action, because then only its own answers count as
   * proof.
   */
  whole_lanes: Count,
  not_errors: Count,
  mismatches: Count,
  /** Two-sided exact 95 % interval of the mismatch rate, 0–1. */
  mismatch_interval: Type.Tuple([Type.Number(), Type.Number()]),
  /** One-sided exact 95 % bound, which must be below 0.001. */
  mismatch_upper_bound: Type.Number(),
  /** How many further comparisons are needed if all of them match. */
  comparisons_missing: Count,
  /** At the traffic of the last 24 hours that counts as evidence. Null if there were fewer than 100 comparisons. */
  days_missing: orNull(Type.Number()),
});

/** One action's part of read-cutover. Percent. */
export type ActionStatus = Of<typeof ActionStatus>;

const FlagStatus = Type.Object({
  /** Percent that the flag's definition requests. */
  asked: Type.Number(),
  /** Percent that is active now. */
  in_effect: Type.Number(),
  /** What lowered the flag, or `on` if nothing did. `shadow_load_dropped`: the guard reduces load on both backends. */
  reason: oneOf([
    'on',
    'off',
    'beginning',
    'ending',
    'not_covered',
    'kill_switch',
    'latched',
    'interlock',
    'shadow_load_dropped',
    'waits_for_person',
  ]),
  /** Every interlock of the flag, whether it lowers the flag or not. Absent if there is none. */
  interlocks: Type.Optional(Type.Array(ToldInterlock)),
  /**
   * For read-cutover: actions with a lower active share than the others. Each shows its own reasons. Absent if there is none.
   */
  held_actions: Type.Optional(Type.Array(Type.String())),
  /** The findings for which shadow load is dropped. Absent while it is not dropped. */
  dropped_for: Type.Optional(Type.Array(Trigger)),
});

export type FlagStatus = Of<typeof FlagStatus>;

const Quantiles = Type.Object({ p50: Milliseconds, p95: Milliseconds, p99: Milliseconds, count: Count });

/** The figures shown for durations. All null while nothing was recorded. */
export type Quantiles = Of<typeof Quantiles>;

const Verdicts = Type.Object({ match: Count, mismatch: Count, not_comparable: Count });
const ReasonsOfActions = Type.Array(Type.Object({ action: Type.String(), reason: Type.String() }));
/** One for each flag of a service. */
const FlagStatuses = Type.Object({
  'dual-write': FlagStatus,
  'shadow-read': FlagStatus,
  'read-cutover': FlagStatus,
  'write-cutover': FlagStatus,
  'legacy-read-only': FlagStatus,
});

/** Counts are those of this process since its start. Lanes come from the journal. */
const ServiceStatus = Type.Object({
  service: Service,
  /** The stage that is active. */
  stage: oneOf(STAGES),
  /** The stage that the flags request. If it differs, `flags` gives the reason. */
  requested_stage: oneOf(STAGES),
  /** `enforce` lowers what a flag permits while it would be unsafe. `warn` only reports it. */
  interlocks: oneOf(['warn', 'enforce', 'off']),
  coverage: Count,
  flags: FlagStatuses,
  /** read-cutover by action, with the evidence for it. Absent before the first judgement. */
  actions: Type.Optional(Type.Record(Type.String(), ActionStatus)),
  guard: Type.Optional(GuardStatus),
  /** Lanes that read from the orchestrator, compared with lanes that read from legacy, by action. */
  ab: Type.Record(Type.String(), AbStatus),
  lanes: orNull(
    Type.Object({
      total: Count,
      /** Lanes whose primary is the orchestrator. Neither a trip nor the kill switch moves them. */
      flipped: Count,
      seeded: Count,
      dirty: Count,
      copying: Count,
      stopped: Count,
      /**
       * Lanes whose last copy left out items that the orchestrator refuses. Their reads stay on legacy until a person accepts
       * that.
       */
      excepted: Count,
      /**
       * Lanes that a reconciliation found different. Their reads stay on legacy until they are repaired, copied or accepted by
       * name, except those of lanes that differ only by lost items.
       */
      differs: Count,
      /** Flipped lanes in which a reconciliation found that legacy differs. No reads move because of them. */
      legacy_differs: Count,
    }),
  ),
  /** Writes of the service that wait for delivery. */
  pending: Count,
  /** What the orchestrator lacks, over all replicas. Null while the journal is away. */
  lag: orNull(
    Type.Object({
      writes: Count,
      lanes: Count,
      /** Age of the oldest write that it lacks. Null if it lacks none. */
      oldest_seconds: orNull(Type.Number()),
    }),
  ),
  /** What legacy lacks of the lanes whose primary is the orchestrator. Null while the journal is away. */
  reverse: orNull(
    Type.Object({
      /** Lanes whose primary is the orchestrator. */
      lanes: Count,
      waiting_lanes: Count,
      waiting_writes: Count,
      /** Age of the oldest write that legacy lacks. Null if it lacks none. */
      oldest_seconds: orNull(Type.Number()),
      /** Lanes whose next write waits for a decision. */
      halted_lanes: Count,
      /** Lanes that cannot return to legacy, because too many writes waited. */
      lost_ways_back: Count,
      /** Writes that legacy never gets, because a person has skipped them. */
      skipped_writes: Count,
    }),
  ),
  dead_letters: orNull(Count),
  /** If the service's store cannot be read, only a person can decide. `open` is null while the journal is away. */
  unknown_outcomes: Type.Object({ open: orNull(Count), readable: Type.Boolean() }),
  /** Items that legacy lost and that wait for a decision. Null while the journal is away. */
  lost_items: orNull(Count),
  /** How ready the service is to go back to legacy. Null while the journal is away. */
  way_back: orNull(
    Type.Object({
      /** Lanes by the primary of their writes. */
      lanes: Type.Object({ legacy: Count, orchestrator: Count }),
      /** Acknowledged writes that legacy would lack now. */
      would_be_lost: Count,
      /** Writes that wait for legacy. */
      waiting_writes: Count,
      /** How long a return of every lane would take. An estimate. */
      seconds: Count,
      /** Lanes to which nothing is sent any more, because too many writes waited. */
      lost_ways_back: Count,
      /** Lanes that are returning now. */
      returning: Count,
      /** When a write was last read back on legacy, and whose. Null: never. */
      proven_at: orNull(Time),
      proven_by: orNull(oneOf(['agent', 'canary'])),
    }),
  ),
  /** Lanes that a restored database lacks something of. They give errors until a person decides. Null while the journal is away. */
  restored_lanes: orNull(Count),
  /** When the oldest open difference, and the oldest open lost item, were found. Absent if there is none. */
  open_since: Type.Object({ differs: Type.Optional(Time), lost: Type.Optional(Time) }),
  comparisons: Verdicts,
  lane_comparisons: Verdicts,
  /** Comparisons of flipped lanes. A mismatch counts against legacy, and is in no other number. */
  flipped_comparisons: Verdicts,
  /** Percent of the reads with side effects on legacy that get a comparison of their whole lane. 0: none. */
  lane_percentage: Type.Number(),
  not_comparable_by: Counts,
  /** Comparisons of answers that count as evidence, and why the others do not. */
  proofs: Count,
  no_proof_by: Counts,
  /** Mismatches per comparison with a verdict, 0–1; null while there is none. */
  mismatch_rate: orNull(Type.Number()),
  latency_ms: Type.Object({ legacy: Quantiles, orchestrator: Quantiles }),
  added_ms: Quantiles,
  reads_by: Type.Object({ legacy: Count, orchestrator: Count }),
  writes: Type.Object({ applied: Count, refused: Count, unknown: Count, not_applied: Count }),
  /** Writes equal to one whose agent got no reply: `answered`, `waited`, or `suspected_duplicate`. */
  repeats: Counts,
  /** Writes that name items by place or condition: `found`, or why not. */
  named_writes: Counts,
  /** Writes that legacy took, `applied` or `unknown`, and that the orchestrator lacks: they name no owner that a lane can hold. */
  unmapped_writes: Counts,
  fallbacks: Counts,
  shadow_dropped: Counts,
  bad_input: Counts,
  forgotten: Count,
  lost: Count,
  copied_lanes: Count,
  legacy_only: ReasonsOfActions,
  passthrough: ReasonsOfActions,
  /** How far its writes have moved. Absent while no lane may be flipped, and while the journal is away. */
  flips: Type.Optional(
    Type.Object({
      /** Percent of the lanes that may be flipped. */
      share: Count,
      lanes: LaneCounts,
      /** Why no further lane is flipped now, as closed words. */
      blocked_by: Type.Array(Type.String()),
    }),
  ),
  /** Writes for which no lane of the service can be flipped. Empty: the writes can be moved. */
  not_flippable: ReasonsOfActions,
  /** What cannot be mapped, with the reason. */
  unmapped: Type.Array(Type.Object({ what: Type.String(), reason: Type.String() })),
  /** What agents and operators notice once the writes of a lane have moved. */
  after_flip: Type.Array(Type.String()),
});

/** One service in the status. */
export type ServiceStatus = Of<typeof ServiceStatus>;

const PartReadiness = Type.Object({ ok: Type.Boolean(), reason: Type.Optional(Type.String()) });

/** Whether a part of the proxy can do its work, and if not, why. A problem that is not an outage is ok, with a message. */
export type PartReadiness = Of<typeof PartReadiness>;

const Readiness = Type.Record(Type.String(), PartReadiness);

/** The answer of each part, by name. */
export type Readiness = Of<typeof Readiness>;

const Status = Type.Object({
  proxy: Type.Object({
    version: Type.String(),
    started_at: Time,
    uptime_seconds: Type.Number(),
    memory_rss_mb: Type.Number(),
    journal: oneOf(['postgres', 'pglite']),
    /** Whether requests are encrypted in the journal. */
    encrypted: Type.Boolean(),
    flags: Type.Object({
      source: Type.String(),
      kill_switch: Type.Boolean(),
      /** False while the active flags may be older than those of the source. */
      fresh: Type.Boolean(),
      /** Where the flags come from while their source has not answered since the start. */
      from: Type.Optional(oneOf(['journal', 'files'])),
      /** Seconds since the flags were last read; absent if they never were. */
      age_seconds: Type.Optional(Type.Number()),
      last_error: Type.Optional(Type.String()),
    }),
  }),
  readiness: Readiness,
  /** Proxies that share the journal. `silent`: without a lease, and their work is not taken over yet. */
  replicas: Type.Object({ live: Count, silent: Count }),
  /** Writes that are not in the journal yet. Null if spilling is not configured. */
  spill: orNull(
    Type.Object({
      /** Whether the journal is away, or some of them are not in it yet. */
      spilling: Type.Boolean(),
      seconds: Type.Number(),
      writes: Count,
      bytes: Count,
      limit_bytes: Type.Number(),
      /** When the oldest of them was accepted. Null if none waits. */
      oldest_at: orNull(Time),
    }),
  ),
  backlog: Type.Object({ deliveries: Count, copies: Count, listings: Count, shadow_reads: Count }),
  services: Type.Array(ServiceStatus),
});

export type Status = Of<typeof Status>;

export const STATUS = {
  showLiveness: {
    method: 'GET',
    path: '/health/live',
    summary: 'Shows that the process runs.',
    caller: 'open',
    answer: { json: Type.Object({ status: Type.Literal('live') }) },
  },
  showReadiness: {
    method: 'GET',
    path: '/health/ready',
    summary: 'Shows whether each part can do its work; 503 if one cannot.',
    caller: 'open',
    answer: { json: Type.Object({ ready: Type.Boolean(), parts: Readiness }) },
  },
  showMetrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics as Prometheus text.',
    caller: 'viewer',
    answer: { document: 'text/plain; version=0.0.4; charset=utf-8' },
  },
  showOpenApi: {
    method: 'GET',
    path: '/openapi.json',
    summary: 'Describes every route of this API.',
    caller: 'viewer',
    answer: {
      json: Type.Object({
        openapi: Type.String(),
        info: Type.Object({ title: Type.String(), version: Type.String(), description: Type.String() }),
        paths: Type.Record(Type.String(), Type.Object({}, { additionalProperties: true })),
        components: Type.Object({}, { additionalProperties: true }),
      }),
    },
  },
  showStatus: {
    method: 'GET',
    path: '/v1/status',
    summary: 'Shows what each flag requests, what is active, what blocks the rest, and what was counted.',
    caller: 'viewer',
    answer: { json: Status },
  },
} satisfies Record<string, Endpoint>;
