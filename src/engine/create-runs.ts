import { BackfillWork } from './runs/backfill-work.ts';
import type { Engine } from './engine.ts';
import type { MigrationParts, RunEdges } from './parts.ts';
import type { DivergenceStore } from './runs/divergence-ports.ts';
import type { LaneComparing } from './create-lane-comparing.ts';
import { fencedDivergences } from './runs/fenced-divergences.ts';
import { LaneRepairer } from './runs/lane-repairer.ts';
import { ReconcileWork } from './runs/reconcile-work.ts';
import { RepairDesk, type RepairDeskParts } from './runs/repair-desk.ts';
import { RepairWork } from './runs/repair-work.ts';
import { createEmbeddingLine, LiveLatency } from './runs/pace.ts';
import { RunDesk } from './runs/run-desk.ts';
import { RunWorker, type RunWorkerParts } from './runs/run-worker.ts';

export interface Runs {
  readonly desk: RunDesk;
  readonly worker: RunWorker;
  readonly repairDesk: RepairDesk;
}

/** Creates backfill, reconciliation and repair. */
export function createRuns(
  parts: MigrationParts,
  engine: Engine,
  {
    say,
    comparer,
    sieve,
    ...edges
  }: RunEdges & Pick<LaneComparing, 'comparer' | 'sieve'> & Pick<RepairDeskParts, 'say'>,
): Runs {
  const { services, journal, clock, orchestrator, settings } = parts;
  const { emit } = parts.events;
  const { lanes, coverage, copies } = engine;
  const timeoutMs = settings.delivery.timeoutMs;
  const shared = {
    ...edges,
    divergences: fencing(edges.divergences, engine),
    services,
    coverage,
    journal,
    lanes,
    clock,
    emit,
    orchestrator,
    copies,
    timeoutMs,
  };
  const repairer = new LaneRepairer({
    ...shared,
    comparer,
    copy: (lane, advice) => engine.copier.copy(lane, advice),
    quiet: (lane) => engine.deliverer.quiet(lane),
  });
  const works = {
    backfill: new BackfillWork({ ...shared, copy: (lane, reason) => copies.untilCopied(lane, reason) }),
    reconcile: new ReconcileWork({ ...shared, comparer, sieve }),
    repair: new RepairWork({ ...shared, comparer, repairer }),
  };
  const worker = createWorker(parts, engine, { store: edges.store, works });
  const desk = new RunDesk({
    store: edges.store,
    works,
    worker,
    isCovered: (service) => (coverage.get(service)?.number ?? 0) > 0,
  });
  const repairDesk = new RepairDesk({ ...shared, desk, comparer, repairer, say });
  return { desk, worker, repairDesk };
}

function fencing(store: DivergenceStore, { lanes, membership, takeOver }: Engine): DivergenceStore {
  return fencedDivergences(store, {
    lanes,
    isAlone: () => membership.isAlone,
    tellHome: (lane) => takeOver.tellHome(lane),
  });
}

function createWorker(
  { clock, events, replica, settings, orchestrator }: MigrationParts,
  { membership }: Engine,
  edges: Pick<RunWorkerParts, 'store' | 'works'>,
): RunWorker {
  const latency = new LiveLatency(clock);
  events.subscribe(latency.listener);
  return new RunWorker({
    ...edges,
    replica,
    clock,
    emit: events.emit,
    liveReplicas: () => membership.counts().live,
    concurrency: settings.copyConcurrency,
    liveP95: () => latency.lastSecond(),
    calmP95: () => latency.lately(),
    slower: (thanMs) => latency.slower(thanMs),
    embeddingLine: createEmbeddingLine(orchestrator, clock),
  });
}
