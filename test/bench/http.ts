import { availableParallelism, loadavg } from 'node:os';
import { startChild, type Child } from './child.ts';
import { measured, type Cleanup } from './cleanup.ts';
import { atLeast, printGoals, printTable, type Goal } from './goals.ts';
import type { HttpJob } from './http-load.ts';
import { SHADOW, startHttpWorld, type HttpPath } from './http-world.ts';
import { nginxVersion } from './nginx.ts';
import { benchOptions } from './options.ts';
import { medianOf, paired, runRounds, type Cell, type Measured } from './rounds.ts';
import { median, rounded, type Sample } from './samples.ts';

// npm run bench:http -- [--rounds N] [--seconds-per-cell S] [--json] [--help]: the reverse-proxy route beside other reverse proxies.

interface HttpSample extends Sample {
  readonly reads: number;
}

type World = ReadonlyMap<string, HttpPath>;

/** What was left to do when the load had ended, and how much was compared, over the whole run. */
interface Shadowing {
  reads: number;
  readonly settledMs: number[];
}

const CONNECTIONS = [1, 16, 64] as const;
const WARM_UP_MS = 200;
const SHADOWED = 'dual_write + shadow_read';

async function measure(
  cell: Cell,
  { load, world, seconds, shadowing }: { load: Child; world: World; seconds: number; shadowing: Shadowing },
): Promise<Sample> {
  const path = world.get(cell.path);
  if (path === undefined) throw new Error(`There is no path ${cell.path}`);
  const { origin, prefix } = path;
  const job: HttpJob = {
    kind: 'load',
    origin,
    prefix,
    connections: cell.clients,
    warmUpMs: WARM_UP_MS,
    seconds,
  };
  const sample = await load.ask<HttpSample>(job);
  // What is still delivered or compared would load the machine under the next path.
  const settledMs = await path.crossfade?.settle();
  if (cell.path === SHADOWED) {
    shadowing.reads += sample.reads;
    shadowing.settledMs.push(settledMs ?? 0);
  }
  return sample;
}

function find(all: readonly Measured[], path: string, clients: number): Measured | undefined {
  return all.find(({ cell }) => cell.path === path && cell.clients === clients);
}

/** The median over the rounds of one path's throughput as a share of another's; NaN where one was not measured. */
function throughput(
  all: readonly Measured[],
  path: string,
  { over, clients }: { over: string; clients: number },
): number {
  const [left, right] = [find(all, path, clients), find(all, over, clients)];
  if (left === undefined || right === undefined) return Number.NaN;
  return paired([left, right], (one, other) => one.perSecond / other.perSecond);
}

function goalsOf(all: readonly Measured[]): Goal[] {
  const off = throughput(all, 'off', { over: '@fastify/http-proxy', clients: 16 });
  const shadowed = throughput(all, SHADOWED, { over: 'nginx mirror', clients: 16 });
  return [
    atLeast("stage off: throughput as a share of @fastify/http-proxy's, 16 connections", 1.3, off),
    atLeast(
      "dual writes and compared shadow reads: throughput as a share of nginx mirror's, 16 connections",
      0.7,
      shadowed,
    ),
  ];
}

function resultsOf(all: readonly Measured[]) {
  return all.map((measured) => {
    const { path, clients } = measured.cell;
    return {
      connections: clients,
      path,
      p50_ms: rounded(medianOf(measured, ({ p50Ms }) => p50Ms)),
      p99_ms: rounded(medianOf(measured, ({ p99Ms }) => p99Ms)),
      operations_per_second: rounded(
        medianOf(measured, ({ perSecond }) => perSecond),
        0,
      ),
      share_of_direct: rounded(throughput(all, path, { over: 'direct', clients })),
      errors: measured.samples.reduce((sum, { errors }) => sum + errors, 0),
    };
  });
}

/** How much was compared, by the proxy's own account. @throws Error where nothing was, or the sides differ: then no comparing was measured */
async function comparedOf(world: World, { reads, settledMs }: Shadowing) {
  const status = await world.get(SHADOWED)?.crossfade?.status();
  const service = status?.services[0];
  if (service === undefined) throw new Error('The proxy with shadow reads says nothing of its service');
  const { comparisons, not_comparable_by, shadow_dropped, lanes, writes } = service;
  if (comparisons.match === 0 || comparisons.mismatch > 0)
    throw new Error(`Answers were not compared as they should be: ${JSON.stringify(comparisons)}`);
  return {
    reads,
    comparisons,
    compared_share: rounded((comparisons.match + comparisons.mismatch) / reads, 5),
    not_comparable_by,
    dropped: shadow_dropped,
    lanes,
    writes,
    backlog: status?.backlog,
    settled_after_load_ms: rounded(median(settledMs), 0),
    shadow: SHADOW,
  };
}

async function run(cleanup: Cleanup): Promise<void> {
  const {
    rounds,
    secondsPerCell: seconds,
    isJson,
  } = benchOptions({
    name: 'http',
    what: 'Compares the route for legacy services that speak HTTP with other reverse proxies.',
    secondsPerCell: 1,
  });
  const startedAtMs = performance.now();
  const machine = { cpus: availableParallelism(), load_average_before: rounded(loadavg()[0] ?? 0, 1) };
  const load = cleanup.keep(await startChild('http-load.ts'));
  const world = await startHttpWorld(load, cleanup);
  const cells = CONNECTIONS.flatMap((clients) =>
    [...world.keys()].map((path) => ({ path, clients, group: String(clients) })),
  );
  const shadowing: Shadowing = { reads: 0, settledMs: [] };
  const all = await runRounds({
    cells,
    rounds,
    measure: (cell) => measure(cell, { load, world, seconds, shadowing }),
  });
  const [results, goals, compared] = [resultsOf(all), goalsOf(all), await comparedOf(world, shadowing)];
  printTable(
    ['connections', 'path', 'p50 ms', 'p99 ms', 'per second', 'of direct', 'errors'],
    results.map((row) => [String(row.connections), ...Object.values(row).slice(1)]),
  );
  process.stdout.write(
    `compared ${rounded(compared.compared_share * 100, 2)} % of ${compared.reads} shadowed reads; dropped ${JSON.stringify(compared.dropped)}, not comparable ${JSON.stringify(compared.not_comparable_by)}\n\n`,
  );
  printGoals(goals);
  const total = rounded((performance.now() - startedAtMs) / 1_000, 1);
  if (isJson)
    console.log(
      JSON.stringify({
        goals,
        rounds,
        seconds_per_cell: seconds,
        machine,
        nginx: nginxVersion() ?? null,
        results,
        compared,
        seconds: total,
      }),
    );
}

await measured('The HTTP route', run);
