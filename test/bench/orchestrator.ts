import { availableParallelism, loadavg } from 'node:os';
import { startChild, type Child } from './child.ts';
import { measured, type Cleanup } from './cleanup.ts';
import { printGoals, printTable } from './goals.ts';
import { checkAgreement, measureRecall } from './orchestrator-agreement.ts';
import { orchestratorGoals, timesBare, type OrchestratorCell, type Outcome } from './orchestrator-goals.ts';
import type { OrchestratorJob } from './orchestrator-load.ts';
import { orchestratorBenchOptions } from './orchestrator-options.ts';
import { MIX, NEEDS_VECTORS, OPERATIONS } from './orchestrator-requests.ts';
import { soak } from './orchestrator-soak.ts';
import { startOrchestratorWorld, type OrchestratorWorld, type Side } from './orchestrator-world.ts';
import { medianOf, runRounds } from './rounds.ts';
import { rounded, type Sample } from './samples.ts';

// npm run bench:orchestrator -- [--items N] [--soak] [--json]: the orchestrator beside the bare SQL behind a bare REP socket, on a
// copy of the same store. PGlite with 5,000 memories, or 100,000 in databases of their own on the server of ORCHESTRATOR_DATABASE_URL.

const CLIENTS = [1, 16, 64] as const;
const SIDES: readonly Side[] = ['orchestrator', 'bare SQL'];
const WARM_UP_MS = 200;

interface Measuring {
  readonly load: Child;
  readonly world: OrchestratorWorld;
  readonly items: number;
  readonly seconds: number;
}

function cellsOf({ hasVectors }: OrchestratorWorld): OrchestratorCell[] {
  return OPERATIONS.filter((operation) => hasVectors || !NEEDS_VECTORS.has(operation)).flatMap((operation) =>
    CLIENTS.flatMap((clients) =>
      SIDES.map((path) => ({ path, clients, operation, group: `${operation} ${clients}` })),
    ),
  );
}

/** Measures a cell; the n-th time with the n-th seed, so that both sides are asked the same in the same round. */
function measurer({ load, world, items, seconds }: Measuring): (cell: OrchestratorCell) => Promise<Sample> {
  const times = new Map<OrchestratorCell, number>();
  return (cell) => {
    const round = times.get(cell) ?? 0;
    times.set(cell, round + 1);
    const { operation, clients, path } = cell;
    const seed =
      round * 1_000 +
      OPERATIONS.indexOf(operation) * CLIENTS.length +
      CLIENTS.findIndex((count) => count === clients);
    const endpoint = world.endpoints[path];
    const job: OrchestratorJob = { endpoint, operation, clients, items, seed, warmUpMs: WARM_UP_MS, seconds };
    return load.ask<Sample>(job);
  };
}

function resultsOf(all: Outcome['all']) {
  return all.map((measured) => {
    const { cell, samples } = measured;
    return {
      operation: cell.operation,
      clients: cell.clients,
      path: cell.path,
      p50_ms: rounded(medianOf(measured, ({ p50Ms }) => p50Ms)),
      p99_ms: rounded(medianOf(measured, ({ p99Ms }) => p99Ms)),
      operations_per_second: rounded(
        medianOf(measured, ({ perSecond }) => perSecond),
        0,
      ),
      p50_times_bare: rounded(timesBare(all, cell.operation, cell.clients), 2),
      errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    };
  });
}

async function run(cleanup: Cleanup): Promise<void> {
  const options = orchestratorBenchOptions(process.env);
  const { items, rounds, secondsPerCell: seconds, databaseUrl } = options;
  const startedAtMs = performance.now();
  const machine = { cpus: availableParallelism(), load_average_before: rounded(loadavg()[0] ?? 0, 1) };
  const world = await startOrchestratorWorld(cleanup, { items, databaseUrl });
  await checkAgreement(world, items);
  const load = cleanup.keep(await startChild('orchestrator-load.ts'));
  const recall = world.hasVectors ? await measureRecall(world.endpoints.orchestrator) : undefined;
  const measure = measurer({ load, world, items, seconds });
  const all = await runRounds({ cells: cellsOf(world), rounds, measure });
  const soaked = options.isSoak ? await soak({ load, world, items }, options.soakMinutes) : undefined;
  const { peak_mb: barePeak } = await world.bare.ask<{ peak_mb: number }>({});
  const peaks = { orchestrator: world.orchestrator.peakMegabytes(), bare_sql: barePeak };
  const [results, goals] = [resultsOf(all), orchestratorGoals({ all, recall, soak: soaked })];
  printTable(
    ['operation', 'clients', 'path', 'p50 ms', 'p99 ms', 'per second', 'p50 × bare', 'errors'],
    results.map((row) => [row.operation, String(row.clients), ...Object.values(row).slice(2)]),
  );
  printTable(['process', 'peak MB'], Object.entries(peaks));
  printGoals(goals);
  if (options.isJson)
    console.log(
      JSON.stringify({
        goals,
        database: databaseUrl === undefined ? 'pglite' : 'postgres',
        items,
        rounds,
        seconds_per_cell: seconds,
        mix_percent: MIX,
        machine,
        peak_mb: peaks,
        fill_seconds: rounded(world.fillSeconds, 1),
        recall,
        soak: soaked,
        results,
        seconds: rounded((performance.now() - startedAtMs) / 1_000, 1),
      }),
    );
}

await measured('The orchestrator', run);
