import type { Verdict } from '../domain/comparison.ts';
import { SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import { noticedAfterFlip, whyNotFlippable } from '../domain/flippable.ts';
import { type ActionDefinition, isReadable, type ServiceDefinition } from '../domain/service-definition.ts';
import type { Flipper } from '../engine/flips/flipper.ts';
import { type Stage, stageAtTheEnd, stageOf, type WritesState } from '../domain/stage.ts';
import type { Migration } from '../engine/migration.ts';
import type { LaneCounts, ReplicationLag } from '../engine/ports/journal-facts.ts';
import type { ReverseStanding } from '../engine/ports/reverse-ports.ts';
import type { Clock } from '../shared/clock.ts';
import type { Flags, Journal } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import type { SpillStatus } from '../engine/spill/spill.ts';
import type { Readiness, ServiceStatus, Status } from './api/status.ts';
import { abStatuses } from './ab-status.ts';
import type { Arms } from './arms.ts';
import { actionStatuses, type GuardSource, guardStatus } from './guard-status.ts';
import { flagsInEffect, sharesOf } from './flags-in-effect.ts';
import { shownCounts } from './shown-flips.ts';
import type { ServiceStatistics, Statistics } from './statistics.ts';

/** The source and the age of the flags. */
interface FlagSource {
  readonly source: string;
  readonly fresh: boolean;
  readonly lastError?: string;
  readonly from?: 'journal' | 'files';
  readonly ageMs?: number;
}

interface StatusParts {
  readonly statistics: Statistics;
  readonly arms: Pick<Arms, 'of'>;
  readonly flags: Flags & { describe(): FlagSource };
  readonly journal: Pick<Journal, 'counts'>;
  /** @throws StorageError */
  readonly lagOf: (service: ServiceName) => Promise<ReplicationLag>;
  /** @throws StorageError */
  readonly reverseOf: (service: ServiceName) => Promise<ReverseStanding>;
  readonly migration: Pick<Migration, 'backlog' | 'coverageOf' | 'replicas' | 'spillStatus'> & {
    pendingOf(service: ServiceName): number;
    readonly wayBack?: Pick<NonNullable<Migration['wayBack']>, 'readiness'> | undefined;
  };
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  /** Absent: no lane is flipped. */
  readonly flipper?: Pick<Flipper, 'isMoving' | 'standing' | 'counts'> | undefined;
  readonly clock: Clock;
  readonly readiness: () => Promise<Readiness>;
  readonly facts: {
    readonly version: string;
    readonly journal: Status['proxy']['journal'];
    readonly encrypted: boolean;
    /** `shadow.lanePercentage`. */
    readonly lanePercentage: number;
  };
  /** Latches, findings and verdicts. @defaultValue absent from the status */
  readonly guarding?: GuardSource;
  /** Whether legacy still takes writes of a service. */
  readonly writesStateOf: (service: ServiceName) => WritesState;
  /** @defaultValue enforce, for a service that is not in the map */
  readonly interlocks: ReadonlyMap<ServiceName, ServiceStatus['interlocks']>;
}

export interface StatusReader {
  /** @throws StorageError */
  read(): Promise<Status>;
}

/** Puts together the status. The uptime counts from this call. */
export function createStatusReader(parts: StatusParts): StatusReader {
  const startedAtMs = parts.clock.now();
  const startedAt = new Date(parts.clock.wallMs()).toISOString();
  return {
    async read() {
      const services = [...parts.services.values()];
      const uptimeSeconds = Math.round((parts.clock.now() - startedAtMs) / 1_000);
      const { deliveries, copies, listings, shadowReads } = parts.migration.backlog();
      return {
        proxy: { ...proxyOf(parts), started_at: startedAt, uptime_seconds: uptimeSeconds },
        readiness: await parts.readiness(),
        replicas: parts.migration.replicas(),
        spill: spillShown(parts.migration.spillStatus()),
        backlog: { deliveries, copies, listings, shadow_reads: shadowReads },
        services: await Promise.all(services.map((service) => serviceOf(service, parts))),
      };
    },
  };
}

function proxyOf({ facts, flags }: StatusParts): Omit<Status['proxy'], 'started_at' | 'uptime_seconds'> {
  const { source, fresh, lastError, from, ageMs } = flags.describe();
  return {
    version: facts.version,
    memory_rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
    journal: facts.journal,
    encrypted: facts.encrypted,
    flags: {
      source,
      kill_switch: flags.killSwitch(),
      fresh,
      ...(from !== undefined && { from }),
      ...(ageMs !== undefined && { age_seconds: Math.round(ageMs / 100) / 10 }),
      ...(lastError !== undefined && { last_error: lastError }),
    },
  };
}

async function serviceOf(service: ServiceRuntime, parts: StatusParts): Promise<ServiceStatus> {
  const { name, definition } = service;
  const journaled = await journaledOf(service, parts);
  const asked = percentagesOf(name, parts.flags);
  const coverage = parts.migration.coverageOf(name);
  const judged = parts.guarding?.judged(name);
  const flags = flagsInEffect({
    service: name,
    asked,
    coverage,
    isKilled: parts.flags.killSwitch(),
    isHeld: parts.guarding?.holdOf(name) !== undefined,
    shadowDroppedFor: parts.guarding?.shadowDroppedFor(name) ?? [],
    verdict: judged?.verdict,
    writes: parts.writesStateOf(name),
  });
  return {
    service: name,
    stage: stageInEffect(flags, parts.writesStateOf(name)),
    requested_stage: stageOf(asked),
    interlocks: parts.interlocks.get(name) ?? 'enforce',
    coverage,
    flags,
    ...(judged !== undefined && { actions: actionStatuses(name, judged) }),
    ...(parts.guarding !== undefined && { guard: guardStatus(parts.guarding, name) }),
    ab: abStatuses(parts.arms, name),
    pending: parts.migration.pendingOf(name),
    ...journaled,
    ...(journaled.lanes !== null && (await flipsOf(name, parts))),
    lane_percentage: parts.facts.lanePercentage,
    ...happened(parts.statistics.of(name)),
    ...actionReasons(definition),
    unmapped: definition.unmapped,
    after_flip: noticedAfterFlip(definition),
  };
}

function stageInEffect(flags: ServiceStatus['flags'], writes: WritesState): Stage {
  return stageAtTheEnd(writes) ?? stageOf(sharesOf(flags, 'in_effect'));
}

function percentagesOf(service: ServiceName, flags: Flags): Record<ServiceFlag, number> {
  const entries = SERVICE_FLAGS.map((flag) => [flag, flags.percentage(flag, service)]);
  return Object.fromEntries(entries) as Record<ServiceFlag, number>;
}

/** While the journal is away the lanes are unknown, and everything else is known. */
async function journaledOf(
  service: ServiceRuntime,
  { migration, journal, lagOf, reverseOf }: StatusParts,
): Promise<
  Pick<
    ServiceStatus,
    | 'lanes'
    | 'lag'
    | 'reverse'
    | 'dead_letters'
    | 'unknown_outcomes'
    | 'lost_items'
    | 'restored_lanes'
    | 'way_back'
    | 'open_since'
  >
> {
  const readable = isReadable(service);
  if (migration.spillStatus()?.isSpilling === true)
    return { ...UNTOLD, unknown_outcomes: { open: null, readable } };
  const counts = await journal.counts(service.name);
  const unknown = { open: counts.unknown, readable };
  const lag = lagShown(await lagOf(service.name));
  const { deadLetters, lostItems, restored } = counts;
  const open = {
    dead_letters: deadLetters,
    unknown_outcomes: unknown,
    lost_items: lostItems,
    restored_lanes: restored,
    way_back: await wayBackOf(service.name, migration),
    open_since: openSince(counts),
  };
  const reverse = reverseShown(await reverseOf(service.name));
  return { lanes: lanesOf(counts), lag, reverse, ...open };
}

async function flipsOf(
  service: ServiceName,
  { flipper }: StatusParts,
): Promise<Pick<ServiceStatus, 'flips'>> {
  if (flipper?.isMoving(service) !== true) return {};
  const { facts, judged } = await flipper.standing(service);
  const blockedBy = judged.flatMap(({ reason }) => (reason === undefined ? [] : [reason]));
  const lanes = shownCounts(await flipper.counts(service));
  return { flips: { share: facts.share?.percentage ?? 0, lanes, blocked_by: blockedBy } };
}

async function wayBackOf(
  service: ServiceName,
  { wayBack }: StatusParts['migration'],
): Promise<ServiceStatus['way_back']> {
  const ready = await wayBack?.readiness(service);
  if (ready === undefined) return null;
  return {
    lanes: ready.lanes,
    would_be_lost: ready.lostWrites,
    waiting_writes: ready.waitingWrites,
    seconds: ready.seconds,
    lost_ways_back: ready.lostWaysBack,
    returning: ready.returning,
    proven_at: ready.proof === undefined ? null : new Date(ready.proof.atMs).toISOString(),
    proven_by: ready.proof?.by ?? null,
  };
}

const UNTOLD = {
  lanes: null,
  lag: null,
  reverse: null,
  dead_letters: null,
  lost_items: null,
  restored_lanes: null,
  way_back: null,
  open_since: {},
};

function openSince({ differsSince, lostSince }: LaneCounts): ServiceStatus['open_since'] {
  return {
    ...(differsSince && { differs: differsSince.toISOString() }),
    ...(lostSince && { lost: lostSince.toISOString() }),
  };
}

function lanesOf({ lanes, ...counts }: LaneCounts): NonNullable<ServiceStatus['lanes']> {
  const { flipped, seeded, dirty, copying, stopped, excepted, differs, legacyDiffers } = counts;
  const unwell = { dirty, copying, stopped, excepted, differs, legacy_differs: legacyDiffers };
  return { total: lanes, flipped, seeded, ...unwell };
}

function happened(statistics: ServiceStatistics) {
  return {
    comparisons: statistics.comparisons,
    lane_comparisons: statistics.laneComparisons,
    flipped_comparisons: statistics.flippedComparisons,
    not_comparable_by: statistics.notComparableBy,
    proofs: statistics.proofs,
    no_proof_by: statistics.noProofBy,
    mismatch_rate: mismatchRate(statistics.comparisons),
    latency_ms: statistics.latencyMs,
    added_ms: statistics.addedMs,
    reads_by: statistics.readsBy,
    writes: statistics.writes,
    repeats: statistics.repeats,
    named_writes: statistics.namedWrites,
    unmapped_writes: statistics.unmappedWrites,
    fallbacks: statistics.fallbacks,
    shadow_dropped: statistics.shadowDropped,
    bad_input: statistics.badInput,
    forgotten: statistics.forgotten,
    lost: statistics.lost,
    copied_lanes: statistics.copiedLanes,
  };
}

function mismatchRate({ match, mismatch }: Readonly<Record<Verdict, number>>): number | null {
  const judged = match + mismatch;
  return judged === 0 ? null : mismatch / judged;
}

function lagShown({ writes, lanes, oldestSeconds }: ReplicationLag): NonNullable<ServiceStatus['lag']> {
  return { writes, lanes, oldest_seconds: tenths(oldestSeconds) };
}

function reverseShown(standing: ReverseStanding): NonNullable<ServiceStatus['reverse']> {
  return {
    lanes: standing.lanes,
    waiting_lanes: standing.waitingLanes,
    waiting_writes: standing.waitingWrites,
    oldest_seconds: tenths(standing.oldestSeconds),
    halted_lanes: standing.haltedLanes,
    lost_ways_back: standing.lostWaysBack,
    skipped_writes: standing.skippedWrites,
  };
}

function tenths(seconds: number | null): number | null {
  return seconds === null ? null : Math.round(seconds * 10) / 10;
}

function spillShown(status: SpillStatus | undefined): Status['spill'] {
  if (status === undefined) return null;
  const { isSpilling, ageMs, writes, bytes, limitBytes, oldestAtMs } = status;
  return {
    spilling: isSpilling,
    seconds: Math.round(ageMs / 1_000),
    writes,
    bytes,
    limit_bytes: limitBytes,
    oldest_at: oldestAtMs === undefined ? null : new Date(oldestAtMs).toISOString(),
  };
}

/** Reads that only legacy can answer, requests that are passed through, and writes that cannot be moved, each with the reason. */
function actionReasons(
  definition: ServiceDefinition,
): Pick<ServiceStatus, 'legacy_only' | 'passthrough' | 'not_flippable'> {
  return {
    not_flippable: whyNotFlippable(definition),
    legacy_only: reasonsOf(definition, legacyOnlyReason),
    passthrough: reasonsOf(definition, passthroughReason),
  };
}

function legacyOnlyReason(action: ActionDefinition): string | undefined {
  return action.kind === 'read' ? action.legacyOnly : undefined;
}

function passthroughReason(action: ActionDefinition): string | undefined {
  return action.kind === 'passthrough' ? action.reason : undefined;
}

function reasonsOf(
  definition: ServiceDefinition,
  reasonOf: (action: ActionDefinition) => string | undefined,
): ServiceStatus['legacy_only'] {
  return Object.entries(definition.actions).flatMap(([action, is]) => {
    const reason = reasonOf(is);
    return reason === undefined ? [] : [{ action, reason }];
  });
}
