import type { Config } from '../config/schema.ts';
import { type ReplicaId, serviceName, type ServiceName } from '../domain/ids.ts';
import type { EvidenceLimits } from '../engine/evidence/confidence.ts';
import { definitionDigest, OrchestratorRelease } from '../engine/evidence/orchestrator-release.ts';
import type { Events } from '../engine/ports/events.ts';
import { whyNotFlippable } from '../domain/flippable.ts';
import { FlagsAfterTrip } from '../engine/guard/flags-after-trip.ts';
import { GUARD_LIMITS } from '../engine/guard/triggers.ts';
import type {
  Alerts,
  AuditStore,
  DigestOf,
  FlagSwitch,
  MinuteStore,
  TripBundleStore,
} from '../engine/guard/guard-ports.ts';
import { GuardRecorder } from '../engine/guard/guard-recorder.ts';
import { GuardWatch, type GuardWatchParts } from '../engine/guard/guard-watch.ts';
import { Latches } from '../engine/guard/latches.ts';
import { createBackendProbes, InterlockKeeper } from '../engine/guard/interlock-keeper.ts';
import type { InterlockMode, InterlockStore } from '../engine/guard/interlock-facts.ts';
import type { Migration } from '../engine/migration.ts';
import type { FlipEdges } from '../engine/parts.ts';
import type { Clock } from '../shared/clock.ts';
import type { Flags, Orchestrator } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { NO_ALERTS, WebhookAlerts } from '../operator/alerts.ts';
import type { Part } from '../shared/parts.ts';
import { createAuditStore } from '../storage/audit.ts';
import type { Database } from '../storage/database.ts';
import { createEvidenceStore, createMinuteStore, createReleaseStore } from '../storage/evidence.ts';
import { createInterlockStore } from '../storage/interlocks.ts';
import { createLatchStore } from '../storage/latches.ts';
import { createTripBundleStore } from '../storage/trip-bundles.ts';
import { deskUrlOf } from './listeners.ts';

const DAY_MS = 86_400_000;
const SECONDS_PER_HOUR = 3_600;
const MS_PER_HOUR = 3_600_000;

interface GuardFacts {
  readonly config: Config;
  readonly version: string;
  readonly replica: ReplicaId;
  readonly database: Database;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly flags: Flags;
  readonly flagSwitch: FlagSwitch | undefined;
  readonly orchestrator: Orchestrator;
  readonly events: Events;
  readonly flips: Pick<FlipEdges, 'provenAt' | 'shares'>;
  readonly clock: Clock;
  /** Called once everything is created, because the engine itself uses the limits that are created here. */
  readonly migration: () => Migration;
  readonly onProblem: (problem: string) => void;
}

/** What lowers flags: the guard's latches, and the interlocks. */
export interface Guarding {
  readonly board: Latches;
  readonly watch: GuardWatch;
  readonly flagsAfterTrip: FlagsAfterTrip;
  readonly interlocks: InterlockKeeper;
  readonly interlockStore: InterlockStore;
  readonly audit: AuditStore;
  readonly minutes: MinuteStore;
  readonly bundles: TripBundleStore;
  readonly modes: ReadonlyMap<ServiceName, InterlockMode>;
  /** What evidence of an action depends on. */
  readonly digestOf: DigestOf;
  /** Latches are known before the engine starts; interlocks are judged by what the engine has found at its start. */
  readonly parts: { readonly guard: Part; readonly interlocks: Part };
}

export function createGuarding(facts: GuardFacts): Guarding {
  const { config, database, clock } = facts;
  const board = new Latches(clock);
  const release = new OrchestratorRelease({ ...facts, store: createReleaseStore(database) });
  const shared = {
    ...facts,
    emit: facts.events.emit,
    digestOf: createDigests(facts, release),
    board,
    evidence: createEvidenceStore(database),
    minutes: createMinuteStore(database),
    latches: createLatchStore(database),
    alerts: createAlerts(facts),
  };
  const watch = createWatch(shared);
  const flagsAfterTrip = new FlagsAfterTrip({ ...shared, services: [...facts.services.keys()] });
  const [interlockStore, modes] = [createInterlockStore(database), modesOf(config)];
  const interlocks = new InterlockKeeper({
    ...shared,
    modes,
    ...interlockLimitsOf(config),
    store: interlockStore,
    probes: createBackendProbes(facts),
    unwrittenEvidence: (service, action) => watch.unwrittenEvidence(service, action),
    addedP95Ms: (service) => watch.addedP95Ms(service),
    coverageOf: (service) => facts.migration().coverageOf(service),
    isBackfillListed: watchBackfills(facts.events),
    writeFacts: (service) => writeFactsOf(service, facts),
  });
  const guard: Part = {
    name: 'guard',
    start: async () => {
      await release.start();
      await watch.start();
      await flagsAfterTrip.start();
    },
    stop: async () => {
      await flagsAfterTrip.stop();
      await watch.stop();
      await release.stop();
      await shared.alerts.stop();
    },
  };
  const parts = { guard, interlocks: interlocksPart(interlocks) };
  const audit = createAuditStore(database);
  const { minutes, digestOf } = shared;
  const bundles = createTripBundleStore(database, { keep: config.guard.keepBundles });
  const stores = { interlockStore, audit, minutes, bundles };
  return { board, watch, flagsAfterTrip, interlocks, ...stores, modes, digestOf, parts };
}

/** What a person should know before writes move, and whether the way back works. */
async function writeFactsOf(service: ServiceName, { services, config, flips, clock }: GuardFacts) {
  const { soakHours, provenHours } = config.flips;
  const definition = services.get(service)?.definition;
  const proof = await flips.provenAt(service);
  return {
    soakSeconds: soakHours * SECONDS_PER_HOUR,
    isReverseProven: proof !== undefined && clock.wallMs() - proof.atMs <= provenHours * MS_PER_HOUR,
    isFirstLaneNamed: (await flips.shares.firstLane(service)) !== undefined,
    openRollbacks: definition === undefined ? 0 : whyNotFlippable(definition).length,
  };
}

function interlocksPart(interlocks: InterlockKeeper): Part {
  return { name: 'interlocks', start: () => interlocks.start(), stop: () => interlocks.stop() };
}

type WatchFacts = GuardFacts &
  Omit<
    GuardWatchParts,
    'services' | 'limits' | 'isBinding' | 'recorder' | 'firstCoolDownMs' | 'keepMinutesMs'
  >;

function createWatch(facts: WatchFacts): GuardWatch {
  const { config, services, events, clock } = facts;
  const recorder: GuardRecorder = new GuardRecorder(clock, (service, count) =>
    watch.seenAgain(service, count),
  );
  events.subscribe(recorder.listener);
  const watch: GuardWatch = new GuardWatch({
    ...facts,
    services: [...services.keys()],
    limits: GUARD_LIMITS,
    isBinding: config.guard.mode === 'enforce',
    recorder,
    firstCoolDownMs: config.guard.coolDownSeconds * 1_000,
    keepMinutesMs: config.guard.keepDays * DAY_MS,
  });
  return watch;
}

function createAlerts({ config, clock, onProblem }: GuardFacts): Alerts & { stop(): Promise<void> } {
  const { alertUrl, alertKey, alertFormat: format } = config.guard;
  if (alertUrl === undefined) return NO_ALERTS;
  const deskUrl = deskUrlOf(config);
  return new WebhookAlerts({
    url: alertUrl,
    clock,
    onProblem,
    format,
    ...(alertKey !== undefined && { key: alertKey }),
    ...(deskUrl !== undefined && { deskUrl }),
  });
}

/** All that evidence depends on: the definition and this version, the rules, and the orchestrator's version. */
function createDigests(
  { services, version, migration }: GuardFacts,
  release: Pick<OrchestratorRelease, 'number'>,
): DigestOf {
  const digests = new Map(
    [...services].map(([name, { definition }]) => [name, definitionDigest(definition, version)]),
  );
  return (service, action) =>
    `${digests.get(service) ?? ''}-${migration().rulesVersion(service, action)}-${release.number}`;
}

function interlockLimitsOf({ criteria, readOnly: { bypassFreeSeconds } }: Config) {
  const { comparisons, withoutError, mismatchRate } = criteria;
  const evidenceLimits: EvidenceLimits = { comparable: comparisons, notErrors: withoutError, mismatchRate };
  return { evidenceLimits, bypassFreeSeconds };
}

function modesOf({ services, interlocks }: Config): Map<ServiceName, InterlockMode> {
  return new Map(
    Object.entries(services).map(([name, service]) => [serviceName(name), service.interlocks ?? interlocks]),
  );
}

/** Whether all owners of a service were listed since its present coverage began. */
function watchBackfills(events: Events): (service: ServiceName) => boolean {
  const listed = new Set<ServiceName>();
  events.subscribe((name, event) => {
    if (name === 'backfill:queued' && 'owners' in event) listed.add(event.service);
    if (name === 'coverage:began' && 'number' in event) listed.delete(event.service);
  });
  return (service) => listed.has(service);
}
