import { availableParallelism, loadavg } from 'node:os';
import { startBusyCores } from '../support/busy-cores.ts';
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
  /** Measured beside one busy loop per core. */
  readonly isBusy: boolean;
}

/** Reads that were to be answered by the orchestrator, by who answered them. */
interface CutOverReads {
  readonly byOrchestrator: number;
  readonly fallbacks: Readonly<Record<string, number>>;
}

type ZmqSample = Sample & { readonly reads?: CutOverReads };
type MeasuredCell = Measured<ZmqCell, ZmqSample>;

type World = ReadonlyMap<string, ZmqPath>;

const CLIENTS = [1, 16] as const;
const WARM_UP_MS = 200;
/**
 * Writes are measured where they differ: only dual_write journals them, and the later stages write as it does. Agents that read right
 * after they write need their delivery at once; in dual_write the same reads go to legacy.
 */
const PATHS: Readonly<Record<ZmqJob['action'], readonly string[]>> = {
  get_context: ['direct', 'native proxy', 'off', 'dual_write', 'shadow_read', 'read_cutover'],
  add_interaction: ['direct', 'native proxy', 'off', 'dual_write'],
  write_then_read: ['direct', 'dual_write', 'read_cutover'],
};

const cells: ZmqCell[] = [
  ...CLIENTS.flatMap((clients) =>
    (['get_context', 'add_interaction'] as const).flatMap((action) =>
      PATHS[action].map((path) => ({
        path,
        clients,
        action,
        isBusy: false,
        group: `${action} ${clients}`,
      })),
    ),
  ),
  ...[false, true].flatMap((isBusy) =>
    PATHS.write_then_read.map((path) => ({
      path,
      clients: 16,
      action: 'write_then_read' as const,
      isBusy,
      group: `write_then_read ${isBusy ? 'busy' : 'quiet'}`,
    })),
  ),
];

async function measure(
  cell: ZmqCell,
  { load, world, seconds }: { load: Child; world: World; seconds: number },
): Promise<ZmqSample> {
  const path = world.get(cell.path);
  if (path === undefined) throw new Error(`There is no path ${cell.path}`);
  const { action, clients } = cell;
  const prefix = cell.path.replace(' ', '-');
  const job: ZmqJob = { endpoint: path.endpoint, prefix, action, clients, warmUpMs: WARM_UP_MS, seconds };
  const before = await cutOverReads(path);
  const endLoad = cell.isBusy ? startBusyCores() : undefined;
  const sample = await load.ask<Sample>(job).finally(endLoad);
  // What is still delivered or compared would load the machine under the next path.
  await path.crossfade?.settle();
  const after = await cutOverReads(path);
  return after === undefined ? sample : { ...sample, reads: difference(after, before) };
}

/** Since the start of the path's proxy. */
async function cutOverReads({ crossfade }: ZmqPath): Promise<CutOverReads | undefined> {
  const service = (await crossfade?.status())?.services[0];
  return service && { byOrchestrator: service.reads_by.orchestrator, fallbacks: service.fallbacks };
}

function difference(after: CutOverReads, before: CutOverReads | undefined): CutOverReads {
  const counts = Object.entries(after.fallbacks).map(
    ([reason, count]) => [reason, count - (before?.fallbacks[reason] ?? 0)] as const,
  );
  return {
    byOrchestrator: after.byOrchestrator - (before?.byOrchestrator ?? 0),
    fallbacks: Object.fromEntries(counts.filter(([, count]) => count > 0)),
  };
}

/** Those of all rounds together. */
function readsOf(samples: readonly ZmqSample[]): CutOverReads {
  const fallbacks: Record<string, number> = {};
  let byOrchestrator = 0;
  for (const { reads } of samples) {
    byOrchestrator += reads?.byOrchestrator ?? 0;
    for (const [reason, count] of Object.entries(reads?.fallbacks ?? {}))
      fallbacks[reason] = (fallbacks[reason] ?? 0) + count;
  }
  return { byOrchestrator, fallbacks };
}

function percentFallenBack({ byOrchestrator, fallbacks }: CutOverReads): number {
  const fell = Object.values(fallbacks).reduce((sum, count) => sum + count, 0);
  return (100 * fell) / (fell + byOrchestrator);
}

type Compared = Pick<ZmqCell, 'action' | 'clients'> & Partial<Pick<ZmqCell, 'isBusy'>>;

function find(all: readonly MeasuredCell[], path: string, of: Compared): MeasuredCell {
  const found = all.find(
    ({ cell }) =>
      cell.path === path &&
      cell.action === of.action &&
      cell.clients === of.clients &&
      cell.isBusy === (of.isBusy ?? false),
  );
  if (found === undefined) throw new Error(`${path} was not measured`);
  return found;
}

function added(all: readonly MeasuredCell[], path: string, of: { cell: Compared; over: string }) {
  const pair = [find(all, path, of.cell), find(all, of.over, of.cell)] as const;
  return {
    p50Ms: paired(pair, (left, right) => left.p50Ms - right.p50Ms),
    p99Ms: paired(pair, (left, right) => left.p99Ms - right.p99Ms),
    throughput: paired(pair, (left, right) => left.perSecond / right.perSecond),
  };
}

function goalsOf(all: readonly MeasuredCell[]): Goal[] {
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
    ...[false, true].flatMap((isBusy) => goalsOfFreshReads(all, isBusy)),
  ];
}

function goalsOfFreshReads(all: readonly MeasuredCell[], isBusy: boolean): Goal[] {
  const cell = { action: 'write_then_read', clients: 16, isBusy } as const;
  const { samples } = find(all, 'read_cutover', cell);
  const more = added(all, 'read_cutover', { cell, over: 'dual_write' });
  const where = `of agents that write and then read, 16 clients, ${isBusy ? 'one busy loop per core' : 'quiet cores'}`;
  return [
    atMost(
      `read_cutover: percent of reads that fall back, ${where}`,
      isBusy ? 10 : 2,
      percentFallenBack(readsOf(samples)),
    ),
    atMost(`read_cutover: ms above legacy's p99 of reads, ${where}`, 25, more.p99Ms),
  ];
}

function resultsOf(all: readonly MeasuredCell[]) {
  return all.map((measured) => {
    const { cell, samples } = measured;
    const more = added(all, cell.path, { cell, over: 'direct' });
    return {
      action: cell.action,
      clients: cell.clients,
      path: cell.path,
      busy_cores: cell.isBusy,
      p50_ms: rounded(medianOf(measured, ({ p50Ms }) => p50Ms)),
      p99_ms: rounded(medianOf(measured, ({ p99Ms }) => p99Ms)),
      operations_per_second: rounded(
        medianOf(measured, ({ perSecond }) => perSecond),
        0,
      ),
      added_p50_ms: rounded(more.p50Ms),
      added_p99_ms: rounded(more.p99Ms),
      errors: samples.reduce((sum, { errors }) => sum + errors, 0),
      ...(cell.action === 'write_then_read' && { reads: readsOf(samples) }),
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
    what: "Measures what each stage of the proxy costs an agent, compared with a direct connection and with libzmq's own proxy.",
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
    [
      'action',
      'clients',
      'path',
      'cores',
      'p50 ms',
      'p99 ms',
      'per second',
      'added p50',
      'added p99',
      'errors',
    ],
    results.map((row) => [
      row.action,
      String(row.clients),
      row.path,
      row.busy_cores ? 'busy' : 'quiet',
      row.p50_ms,
      row.p99_ms,
      row.operations_per_second,
      row.added_p50_ms,
      row.added_p99_ms,
      row.errors,
    ]),
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
