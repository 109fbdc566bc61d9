import type { Status } from '../operator/api/status.ts';
import type { Config } from '../config/schema.ts';
import type { ReplicaId, ServiceName } from '../domain/ids.ts';
import type { DifferenceStore, SignatureStore } from '../engine/compare/comparison-stores.ts';
import type { Events } from '../engine/ports/events.ts';
import type { AuditStore, MinuteStore, TripBundleStore } from '../engine/guard/guard-ports.ts';
import type { Latch } from '../engine/ports/finding.ts';
import type { Migration } from '../engine/migration.ts';
import type { Clock } from '../shared/clock.ts';
import { printedReport } from '../operator/routes/comparison-routes.ts';
import { shownSignature } from '../operator/shown-signature.ts';
import { printedComparison } from '../operator/printed-comparison.ts';
import { printedMinute } from '../operator/printed-minutes.ts';
import { shownSettings } from '../operator/shown-settings.ts';
import { type BundleSection, gatherBundle } from '../operator/trip-bundle.ts';
import type { Part } from '../shared/parts.ts';
import type { FlagSource } from '../rollout/flag-source.ts';
import { backoffMs } from '../shared/backoff.ts';

/** The minutes before a trip that a bundle holds. */
const MINUTES = 60;
const MINUTE_MS = 60_000;
const SIGNATURES = 50;
const DIFFERENCES = 50;
const AUDIT_ENTRIES = 50;
/** Signatures and minutes are stored every five seconds. After this time, those that led to the trip are stored too. */
const AGAIN_AFTER_MS = 7_000;
const TRIES = 6;
const RETRY = { firstMs: 1_000 };

interface BundleFacts {
  readonly config: Config;
  readonly version: string;
  readonly replica: { readonly id: ReplicaId };
  readonly databaseKind: string;
  readonly flags: FlagSource;
  readonly signatures: SignatureStore;
  readonly differences: DifferenceStore;
  readonly minutes: MinuteStore;
  readonly audit: AuditStore;
  readonly bundles: TripBundleStore;
  readonly migration: Pick<Migration, 'comparisonsOf'>;
  readonly status: () => Promise<Status>;
  readonly events: Events;
  readonly clock: Clock;
  readonly onProblem: (problem: string) => void;
}

/**
 * Writes a bundle for every latch that this replica sets, at once. Writes it again when the records of the last seconds are stored.
 */
export function createTripBundles(facts: BundleFacts): Part {
  const stopped = new AbortController();
  const underWay = new Set<Promise<void>>();
  const { events, clock } = facts;
  const writeTwice = async (latch: Latch): Promise<void> => {
    await write(latch, facts, stopped.signal);
    await clock.sleep(AGAIN_AFTER_MS, stopped.signal);
    // Also when the proxy ends, because a bundle of its last seconds is worth the short wait.
    await write(latch, facts, stopped.signal);
  };
  events.subscribe((name, event) => {
    if (name !== 'guard:latched' || !('latch' in event) || typeof event.latch !== 'object') return;
    const work = writeTwice(event.latch).finally(() => underWay.delete(work));
    underWay.add(work);
  });
  return {
    name: 'bundles of trips',
    start: async () => undefined,
    stop: async () => {
      stopped.abort();
      await Promise.all(underWay);
    },
  };
}

async function write(latch: Latch, facts: BundleFacts, stopped: AbortSignal): Promise<void> {
  const { bundles, clock, onProblem } = facts;
  for (let tried = 1; ; tried += 1) {
    try {
      return await bundles.put(latch, await gatherBundle(latch, sectionsOf(latch, facts)));
    } catch {
      // A database's message may hold values, so it is not repeated.
      if (tried === TRIES || stopped.aborted)
        return onProblem(`the bundle of the trip of ${latch.service} could not be stored`);
      await clock.sleep(backoffMs(tried, RETRY), stopped);
    }
  }
}

function sectionsOf({ service, trippedAtMs }: Latch, facts: BundleFacts): Record<string, BundleSection> {
  const { flags, signatures, differences, minutes, audit, migration, config } = facts;
  return {
    written_at: () => new Date(facts.clock.wallMs()).toISOString(),
    versions: () => versionsOf(facts),
    status: () => statusOf(service, facts),
    flags: () => ({ ...flags.describe(), definitions: flags.shown(service) }),
    // Newest first: when a bundle is too long, the end of a list is left out.
    minutes: async () =>
      (await minutes.since(trippedAtMs - MINUTES * MINUTE_MS))
        .filter((row) => row.service === service)
        .map(printedMinute)
        .toReversed(),
    signatures: async () => (await signatures.list(service, SIGNATURES)).map(shownSignature),
    comparisons: () => printedReport(migration.comparisonsOf(service)),
    differences: async () =>
      (await differences.recent(service, DIFFERENCES)).map(
        ({ atMs, operationId, action, primary, comparison }) => ({
          at: new Date(atMs).toISOString(),
          operation_id: operationId,
          action,
          primary,
          ...printedComparison(comparison),
        }),
      ),
    audit: () => audit.recent({ service, limit: AUDIT_ENTRIES }),
    settings: () => shownSettings(config),
  };
}

function versionsOf({ version, replica, databaseKind }: BundleFacts): object {
  return {
    crossfade: version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    journal: databaseKind,
    replica: replica.id,
  };
}

async function statusOf(service: ServiceName, { status }: BundleFacts): Promise<object> {
  const { services, ...rest } = await status();
  return { ...rest, service: services.find((one) => one.service === service) };
}
