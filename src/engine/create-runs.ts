import { BackfillWork } from './runs/backfill-work.ts';
import type { Engine } from './engine.ts';
import { laneKeyOf } from '../domain/ids.ts';
import type { FlipEdges, MigrationParts, RunEdges } from './parts.ts';
import type { DivergenceStore } from './runs/divergence-ports.ts';
import type { LaneComparing } from './create-lane-comparing.ts';
import { fencedDivergences } from './runs/fenced-divergences.ts';
import type { LaneComparer } from './runs/lane-comparer.ts';
import { LaneRepairer } from './runs/lane-repairer.ts';
import { ReconcileWork } from './runs/reconcile-work.ts';
import { RepairCommands, type RepairCommandParts } from './runs/repair-commands.ts';
import { RepairWork } from './runs/repair-work.ts';
import { createEmbeddingLine, LiveLatency } from './runs/pace.ts';
import { RunCommands } from './runs/run-commands.ts';
import { RunWorker, type RunWorkerParts } from './runs/run-worker.ts';

export interface Runs {
  readonly desk: RunCommands;
  readonly worker: RunWorker;
  readonly repairCommands: RepairCommands;
}

interface RunParts {
  readonly edges: RunEdges;
  readonly comparing: Pick<LaneComparing, 'comparer' | 'laneFilter'>;
  readonly say: RepairCommandParts['say'];
}

/** Creates backfill, reconciliation and repair. */
export function createRuns(parts: MigrationParts, engine: Engine, { edges, comparing, say }: RunParts): Runs {
  const { services, journal, clock, orchestrator, settings } = parts;
  const { coverage } = engine;
  const { store, lostItems, repairs, audit } = edges;
  const { comparer } = comparing;
  const divergences = verifying(fencing(edges.divergences, engine), parts.flips);
  const repairer = createRepairer(parts, engine, { edges, comparer });
  const works = createWorks(parts, engine, { edges, comparing, divergences, repairer });
  const worker = createWorker(parts, engine, { store, works });
  const desk = new RunCommands({
    store,
    works,
    worker,
    isCovered: (service) => (coverage.get(service)?.number ?? 0) > 0,
  });
  const repairCommands = new RepairCommands({
    services,
    store,
    desk,
    divergences,
    lostItems,
    repairs,
    repairer,
    comparer,
    audit,
    orchestrator,
    journal,
    clock,
    timeoutMs: settings.delivery.timeoutMs,
    say,
  });
  return { desk, worker, repairCommands };
}

function createRepairer(
  { services, journal, orchestrator, clock, settings }: MigrationParts,
  { lanes, copies, copier, deliverer }: Engine,
  { edges, comparer }: { readonly edges: RunEdges; readonly comparer: LaneComparer },
): LaneRepairer {
  const { lostItems, repairs, history } = edges;
  return new LaneRepairer({
    services,
    lanes,
    journal,
    orchestrator,
    copies,
    comparer,
    lostItems,
    repairs,
    history,
    clock,
    timeoutMs: settings.delivery.timeoutMs,
    copy: (lane, advice) => copier.copy(lane, advice),
    quiet: (lane) => deliverer.quiet(lane),
  });
}

function createWorks(
  { services, journal, clock, events }: MigrationParts,
  { lanes, coverage, copies }: Engine,
  made: Omit<RunParts, 'say'> & { readonly divergences: DivergenceStore; readonly repairer: LaneRepairer },
): RunWorkerParts['works'] {
  const { edges, comparing, divergences, repairer } = made;
  const { baselines, directory, lostItems, repairs } = edges;
  const { comparer, laneFilter } = comparing;
  const { emit } = events;
  return {
    backfill: new BackfillWork({
      services,
      coverage,
      journal,
      lanes,
      baselines,
      directory,
      clock,
      emit,
      copy: (lane, reason) => copies.untilCopied(lane, reason),
    }),
    reconcile: new ReconcileWork({
      services,
      baselines,
      directory,
      divergences,
      lostItems,
      comparer,
      laneFilter,
      emit,
    }),
    repair: new RepairWork({ divergences, directory, comparer, repairer, repairs }),
  };
}

function fencing(store: DivergenceStore, { lanes, isAlone, takeOver }: Engine): DivergenceStore {
  return fencedDivergences(store, {
    lanes,
    isAlone,
    tellHome: (lane) => takeOver.tellHome(lane),
  });
}

/** The same store. A lane that a run finds equal is verified, so that it may be flipped. */
function verifying(store: DivergenceStore, flips: FlipEdges | undefined): DivergenceStore {
  if (flips === undefined) return store;
  return {
    ...store,
    async equal(service, owners) {
      const changed = await store.equal(service, owners);
      await flips.book.verified(
        owners.map((owner) => laneKeyOf(service, owner)),
        flips.digestOf(service),
      );
      return changed;
    },
  };
}

function createWorker(
  { clock, events, replica, settings, orchestrator }: MigrationParts,
  { membership }: Engine,
  { store, works }: Pick<RunWorkerParts, 'store' | 'works'>,
): RunWorker {
  const latency = new LiveLatency(clock);
  events.subscribe(latency.listener);
  return new RunWorker({
    store,
    works,
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
