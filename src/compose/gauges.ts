import type { Config } from '../config/schema.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlipCounts } from '../engine/flips/flipper.ts';
import type { ProvenReadiness } from '../engine/flips/way-back.ts';
import type { Migration } from '../engine/migration.ts';
import type { RunFigures, RunStore } from '../engine/runs/run-ports.ts';
import type { Journal } from '../engine/ports/ports.ts';
import type { ReverseLedger, ReverseProofs } from '../engine/ports/reverse-ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import { abStatuses } from '../operator/ab-status.ts';
import type { AgentBook } from '../operator/agents.ts';
import type { Arms } from '../operator/arms.ts';
import type { ReportCounts } from '../operator/report/daily-reports.ts';
import type { FlagSource } from '../rollout/flag-source.ts';
import type { RequestCounts } from '../rollout/unleash-poll.ts';
import type { AbGauges, MemoryGauges } from '../telemetry/gauge-definitions.ts';
import { createMetrics, type Metrics } from '../telemetry/metrics.ts';
import type { Guarding } from './guard.ts';

interface GaugeFacts {
  readonly config: Pick<Config, 'criteria'>;
  readonly migration: Migration;
  readonly journal: Journal;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly guarding: Guarding;
  readonly runs: { readonly store: RunStore };
  readonly reverseProofs: ReverseProofs;
  readonly reverseLedger: Pick<ReverseLedger, 'standing'>;
  readonly flags: Pick<FlagSource, 'describe'>;
  readonly flagRequests: RequestCounts;
  readonly arms: Arms;
  readonly reports: () => ReportCounts;
  readonly agents: Pick<AgentBook, 'seenLastHour'>;
}

/** The metrics, with the values that must be queried at every scrape. */
export function createProxyMetrics(facts: GaugeFacts): Metrics {
  return createMetrics({
    gauges: () => gaugesOf(facts),
    reports: facts.reports,
    spill: () => facts.migration.spillStatus(),
    flags: () => ({ ...facts.flags.describe(), requests: facts.flagRequests.list() }),
    ab: () => abGaugesOf(facts),
    known: () => memoryGaugesOf(facts),
  });
}

/** Of every service, found or not. */
async function runFiguresOf(store: RunStore, services: GaugeFacts['services']): Promise<RunFigures> {
  const figures = await store.figures();
  const found = new Map(figures.services.map((one) => [one.service, one]));
  const none = { divergentLanes: 0, lostItems: 0 };
  return {
    ...figures,
    services: [...services.keys()].map((service) => found.get(service) ?? { service, ...none }),
  };
}

async function reverseGaugesOf({ reverseProofs, reverseLedger, services }: GaugeFacts) {
  const gauges = [...services.keys()].map(async (service) => {
    const standing = await reverseLedger.standing(service);
    return [service, { standing, proof: await reverseProofs.provenAt(service) }] as const;
  });
  return new Map(await Promise.all(gauges));
}

async function readinessOfAll({
  migration: { wayBack },
  services,
}: Pick<GaugeFacts, 'migration' | 'services'>): Promise<ReadonlyMap<ServiceName, ProvenReadiness>> {
  if (wayBack === undefined) return new Map();
  const names = [...services.keys()];
  return new Map(
    await Promise.all(names.map(async (name) => [name, await wayBack.readiness(name)] as const)),
  );
}

async function flipCountsOf({
  migration: { flipper },
  services,
}: Pick<GaugeFacts, 'migration' | 'services'>): Promise<ReadonlyMap<ServiceName, FlipCounts>> {
  if (flipper === undefined) return new Map();
  const moving = [...services.keys()].filter((name) => flipper.isMoving(name));
  return new Map(await Promise.all(moving.map(async (name) => [name, await flipper.counts(name)] as const)));
}

async function gaugesOf(facts: GaugeFacts) {
  const { migration, journal, services, guarding, runs } = facts;
  const { deliveries, copies, shadowReads } = migration.backlog();
  const lanes = await Promise.all(
    [...services.keys()].map(async (service) => [service, await journal.counts(service)] as const),
  );
  return {
    runs: await runFiguresOf(runs.store, services),
    pendingDeliveries: deliveries,
    copiesWaiting: copies,
    shadowReadsWaiting: shadowReads,
    lanes: new Map(lanes),
    wayBack: await readinessOfAll({ migration, services }),
    flips: await flipCountsOf({ migration, services }),
    reverse: await reverseGaugesOf(facts),
    guarded: new Map(
      [...services.keys()].map((service) => {
        const { board, interlocks, flagsAfterTrip } = guarding;
        const verdict = interlocks.judged(service)?.verdict;
        const isLatched = board.holdOf(service) !== undefined;
        const isFlagsOffWaiting = flagsAfterTrip.stateOf(service)?.state === 'waiting';
        return [service, { isLatched, isFlagsOffWaiting, verdict }] as const;
      }),
    ),
  };
}

function memoryGaugesOf({ migration, services, agents }: GaugeFacts): MemoryGauges {
  const expiredOf = (service: ServiceName): number =>
    migration.comparisonsOf(service).rules.filter(({ isExpired }) => isExpired).length;
  return {
    replicas: migration.replicas(),
    agentsSeen: agents.seenLastHour(),
    expiredRules: new Map([...services.keys()].map((service) => [service, expiredOf(service)])),
  };
}

function abGaugesOf({ config, services, arms }: GaugeFacts): AbGauges[] {
  return [...services.keys()].flatMap((service) =>
    Object.entries(abStatuses(arms, service)).map(([action, ab]) => ({
      service,
      action,
      reads: { orchestrator: ab.orchestrator.reads, legacy: ab.legacy.reads, paired: ab.paired.pairs },
      latencyRatio: { lanes: ab.latency_ratio, paired: ab.paired.latency_ratio },
      failureDifference: { lanes: ab.failure_difference, paired: ab.paired.failure_difference },
      p95DifferenceMs: ab.paired.p95.difference_ms,
      p95LimitMs: config.criteria.readLatencyToleranceMs,
    })),
  );
}
