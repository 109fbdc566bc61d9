import { BackfillWork } from '../backfill/backfill-work.ts';
import type { Engine } from '../engine.ts';
import type { MigrationParts } from '../migration.ts';
import { createEmbeddingLine } from './embedding-line.ts';
import { LiveLatency } from './live-latency.ts';
import { RunDesk } from './run-desk.ts';
import type { BaselineStore, LaneDirectory, RunStore } from './run-ports.ts';
import { RunWorker } from './run-worker.ts';

/** What runs are kept in. */
export interface RunEdges {
  readonly store: RunStore;
  readonly baselines: BaselineStore;
  readonly directory: LaneDirectory;
}

export interface Runs {
  readonly desk: RunDesk;
  readonly worker: RunWorker;
}

/** Backfill, reconciliation and repair, over the engine's own parts. */
export function createRuns(parts: MigrationParts, engine: Engine, edges: RunEdges): Runs {
  const { services, journal, clock, orchestrator, events, settings, replica } = parts;
  const { emit } = events;
  const { lanes, coverage, copies, membership } = engine;
  const latency = new LiveLatency(clock);
  events.subscribe(latency.listener);
  const shared = { ...edges, services, coverage, journal, lanes, clock, emit };
  const backfill = new BackfillWork({
    ...shared,
    copy: (lane, reason) => copies.untilCopied(lane, reason),
  });
  const works = { backfill, reconcile: backfill, repair: backfill };
  const worker = new RunWorker({
    store: edges.store,
    works,
    replica,
    clock,
    emit,
    liveReplicas: () => membership.counts().live,
    concurrency: settings.copyConcurrency,
    liveP95: () => latency.lastSecond(),
    calmP95: () => latency.lately(),
    embeddingLine: createEmbeddingLine(orchestrator, clock),
  });
  const desk = new RunDesk({
    store: edges.store,
    works,
    worker,
    isCovered: (service) => (coverage.get(service)?.number ?? 0) > 0,
  });
  return { desk, worker };
}
