import { availableParallelism, loadavg } from 'node:os';
import { startChild, type Child } from './child.ts';
import { measured, type Cleanup } from './cleanup.ts';
import { atLeast, atMost, printGoals, printTable, type Goal } from './goals.ts';
import { benchOptions } from './options.ts';
import { medianOf, paired, runRounds, type Cell, type Measured } from './rounds.ts';
import { rounded, type Sample } from './samples.ts';
import type { ZmqJob } from './zmq-load.ts';
import { startZmqWorld, type ZmqPath } from './zmq-world.ts';

// npm run bench:overhead -- [--rounds N] [--seconds-per-cell S] [--json] [--help]: what each stage of the proxy costs an agent.

interface ZmqCell extends Cell {
  readonly action: ZmqJob['action'];
}

type World = ReadonlyMap<string, ZmqPath>;

const CLIENTS = [1, 16] as const;
const WARM_UP_MS = 200;
/** Writes are measured where they differ: only dual_write journals them, and the later stages write as it does. */
const PATHS: Readonly<Record<ZmqJob['action'], readonly string[]>> = {
  get_context: ['direct', 'native proxy', 'off', 'dual_write', 'shadow_read', 'read_cutover'],
  add_interaction: ['direct', 'native proxy', 'off', 'dual_write'],
};

const cells: ZmqCell[] = CLIENTS.flatMap((clients) =>
  (['get_context', 'add_interaction'] as const).flatMap((action) =>
    PATHS[action].map((path) => ({ path, clients, action, group: `${action} ${clients}` })),
  ),
);

async function measure(
  cell: ZmqCell,
  { load, world, seconds }: { load: Child; world: World; seconds: number },
): Promise<Sample> {
  const path = world.get(cell.path);
  if (path === undefined) throw new Error(`There is no path ${cell.path}`);
  const { action, clients } = cell;
  const prefix = cell.path.replace(' ', '-');
  const job: ZmqJob = { endpoint: path.endpoint, prefix, action, clients, warmUpMs: WARM_UP_MS, seconds };
  const sample = await load.ask<Sample>(job);
  // What is still delivered or compared would load the machine under the next path.
  await path.crossfade?.settle();
  return sample;
}

function find(
  all: readonly Measured<ZmqCell>[],
  path: string,
  of: Pick<ZmqCell, 'action' | 'clients'>,
): Measured {
  const found = all.find(
    ({ cell }) => cell.path === path && cell.action === of.action && cell.clients === of.clients,
  );
  if (found === undefined) throw new Error(`${path} was not measured`);
  return found;
}

function added(
  all: readonly Measured<ZmqCell>[],
  path: string,
  of: { cell: Pick<ZmqCell, 'action' | 'clients'>; over: string },
) {
  const pair = [find(all, path, of.cell), find(all, of.over, of.cell)] as const;
  return {
    p50Ms: paired(pair, (left, right) => left.p50Ms - right.p50Ms),
    p99Ms: paired(pair, (left, right) => left.p99Ms - right.p99Ms),
    throughput: paired(pair, (left, right) => left.perSecond / right.perSecond),
  };
}

function goalsOf(all: readonly Measured<ZmqCell>[]): Goal[] {
  const one = { action: 'get_context', clients: 1 } as const;
  const many = { action: 'get_context', clients: 16 } as const;
  const off = added(all, 'off', { cell: one, over: 'direct' }).p50Ms;
  const native = added(all, 'native proxy', { cell: one, over: 'direct' }).p50Ms;
  const share = added(all, 'off', { cell: many, over: 'native proxy' }).throughput;
  return [
    atMost("stage off: added p50 as a multiple of the native proxy's, 1 client", 2.5, off / native),
    atLeast("stage off: throughput as a share of the native proxy's, 16 clients", 0.45, share),
    ...CLIENTS.flatMap((clients) => {
      const writes = added(all, 'dual_write', { cell: { action: 'add_interaction', clients }, over: 'off' });
      return [
        atMost(
          `dual_write: ms added to the p50 of add_interaction in stage off, ${clients} client(s)`,
          2,
          writes.p50Ms,
        ),
        atMost(
          `dual_write: ms added to the p99 of add_interaction in stage off, ${clients} client(s)`,
          10,
          writes.p99Ms,
        ),
      ];
    }),
  ];
}

function resultsOf(all: readonly Measured<ZmqCell>[]) {
  return all.map((measured) => {
    const { cell, samples } = measured;
    const more = added(all, cell.path, { cell, over: 'direct' });
    return {
      action: cell.action,
      clients: cell.clients,
      path: cell.path,
      p50_ms: rounded(medianOf(measured, ({ p50Ms }) => p50Ms)),
      p99_ms: rounded(medianOf(measured, ({ p99Ms }) => p99Ms)),
      operations_per_second: rounded(
        medianOf(measured, ({ perSecond }) => perSecond),
        0,
      ),
      added_p50_ms: rounded(more.p50Ms),
      added_p99_ms: rounded(more.p99Ms),
      errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    };
  });
}

/** What the stages did, by their own account: a stage that fell back or dropped its work was not measured as itself. */
async function accountOf(world: World): Promise<Record<string, object>> {
  const stages: Record<string, object> = {};
  for (const [name, { crossfade }] of world) {
    const status = await crossfade?.status();
    const service = status?.services[0];
    if (status === undefined || service === undefined) continue;
    const { stage, comparisons, not_comparable_by, shadow_dropped, reads_by, fallbacks, writes, lanes } =
      service;
    stages[name] = {
      stage,
      comparisons,
      not_comparable_by,
      shadow_dropped,
      reads_by,
      fallbacks,
      writes,
      lanes,
      backlog: status.backlog,
    };
  }
  return stages;
}

async function run(cleanup: Cleanup): Promise<void> {
  const {
    rounds,
    secondsPerCell: seconds,
    isJson,
  } = benchOptions({
    name: 'overhead',
    what: "What each stage of the proxy costs an agent, beside a direct connection and libzmq's own proxy.",
    secondsPerCell: 1,
  });
  const startedAtMs = performance.now();
  const machine = { cpus: availableParallelism(), load_average_before: rounded(loadavg()[0] ?? 0, 1) };
  const world = await startZmqWorld(cleanup);
  const load = cleanup.keep(await startChild('zmq-load.ts'));
  const all = await runRounds({
    cells,
    rounds,
    measure: (cell) => measure(cell, { load, world, seconds }),
  });
  const [results, goals, stages] = [resultsOf(all), goalsOf(all), await accountOf(world)];
  printTable(
    ['action', 'clients', 'path', 'p50 ms', 'p99 ms', 'per second', 'added p50', 'added p99', 'errors'],
    results.map((row) => [row.action, String(row.clients), ...Object.values(row).slice(2)]),
  );
  printGoals(goals);
  const total = rounded((performance.now() - startedAtMs) / 1_000, 1);
  if (isJson)
    console.log(
      JSON.stringify({
        goals,
        message_bytes: 512,
        rounds,
        seconds_per_cell: seconds,
        machine,
        results,
        stages,
        seconds: total,
      }),
    );
}

await measured('The overhead', run);
