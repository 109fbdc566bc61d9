import { createProgressBar } from '../support/progress.ts';
import { createCleanup, type Cleanup } from './cleanup.ts';
import { startLiveAgents } from './drain-agents.ts';
import { drainOptions, type DrainOptions } from './drain-options.ts';
import { compareStores, type Equality } from './drain-stores.ts';
import { lanesWaiting, multiply, writeTemplate } from './drain-volume.ts';
import { startDrainWorld, type DrainWorld } from './drain-world.ts';
import { atLeast, atMost, printGoals, printTable, type Goal } from './goals.ts';
import { rounded, type Sample } from './samples.ts';

// npm run bench:drain -- [--writes N] [--json]

const HOUR_OF_WRITES = 1_800_000;
const LOOK_EVERY_MS = 250;
/** Without one lane more it has come to a standstill. */
const STANDSTILL_MS = 60_000;

interface Measured {
  readonly proxyStartSeconds: number;
  readonly drainSeconds: number;
  readonly proxyPeakMegabytes: number;
  readonly live: Sample;
  readonly stores: Equality;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const secondsSince = (startedAtMs: number): number => (performance.now() - startedAtMs) / 1_000;

/** Puts the backlog there; ends without a proxy. */
async function fill(world: DrainWorld, lanes: number): Promise<void> {
  const proxy = await world.startProxy();
  await writeTemplate(world);
  await proxy.stop();
  await multiply(world, lanes);
}

/** Resolves when every lane of the volume is delivered to its end. @throws Error where it comes to a standstill */
async function drained({ journal }: DrainWorld, lanes: number): Promise<void> {
  const bar = createProgressBar(lanes);
  let [fewest, sinceMs] = [Infinity, performance.now()];
  for (;;) {
    const waiting = await lanesWaiting(journal);
    bar.show(lanes - waiting, 'lanes drained');
    if (waiting === 0) break;
    if (waiting < fewest) [fewest, sinceMs] = [waiting, performance.now()];
    if (performance.now() - sinceMs > STANDSTILL_MS)
      throw new Error(`${waiting} lanes wait, and none went on for ${STANDSTILL_MS / 1_000} s`);
    await sleep(LOOK_EVERY_MS);
  }
  bar.end();
}

async function measure(cleanup: Cleanup, options: DrainOptions): Promise<Measured> {
  const world = await startDrainWorld(cleanup);
  await fill(world, options.lanes);
  const startedAtMs = performance.now();
  const proxy = await world.startProxy();
  const proxyStartSeconds = secondsSince(startedAtMs);
  const agents = startLiveAgents(world.endpoint, options.liveCalls);
  await sleep(options.outageSeconds * 1_000);
  await world.startOrchestrator();
  const backAtMs = performance.now();
  await drained(world, options.lanes);
  const drainSeconds = secondsSince(backAtMs);
  const live = await agents.stop();
  await proxy.settle();
  const proxyPeakMegabytes = proxy.peakMegabytes();
  await proxy.stop();
  const stores = await compareStores(world, agents.acknowledged);
  return { proxyStartSeconds, drainSeconds, proxyPeakMegabytes, live, stores };
}

function goalsOf({ writes, lanes }: DrainOptions, measured: Measured): Goal[] {
  const { live, stores } = measured;
  return [
    atMost('proxy, highest resident size, MiB', 299, measured.proxyPeakMegabytes),
    atLeast('writes drained a second', 2_000, writes / measured.drainSeconds),
    atMost('live calls that failed', 0, live.errors),
    atMost('lanes that are not equal on both stores', 0, stores.unequal),
    atMost('acknowledged interactions that legacy does not hold', 0, stores.lost),
    // A comparison that saw nothing proves nothing.
    atLeast('lanes that were compared', lanes + 1, stores.lanes),
  ];
}

async function run(options: DrainOptions): Promise<void> {
  const cleanup = createCleanup();
  const share = rounded((options.writes / HOUR_OF_WRITES) * 100, 1);
  console.log(
    `Simulated by volume: ${options.writes} applied writes in ${options.lanes} lanes wait (${share} % of an hour at 500 writes/s), ` +
      'put into the journal and the legacy store as likenesses of one lane that an agent wrote through the proxy.\n',
  );
  try {
    const measured = await measure(cleanup, options);
    const { live, stores } = measured;
    const goals = goalsOf(options, measured);
    printTable(
      ['what', 'result'],
      [
        ['proxy ready with the backlog behind it, s', rounded(measured.proxyStartSeconds)],
        ['backlog drained, s after the orchestrator came', rounded(measured.drainSeconds)],
        ['live calls', live.operations],
        ['live calls, p50 ms', rounded(live.p50Ms)],
        ['live calls, p99 ms', rounded(live.p99Ms)],
        ['lanes compared', stores.lanes],
        ['interactions compared', stores.interactions],
      ],
    );
    printGoals(goals);
    for (const finding of [live.firstError, ...stores.findings])
      if (finding !== undefined) console.error(finding);
    if (options.isJson) console.log(JSON.stringify({ ...options, ...measured, goals }));
    process.exitCode = goals.every(({ met }) => met) ? 0 : 1;
  } catch (error) {
    if (!cleanup.isInterrupted) throw error;
  } finally {
    await cleanup.end();
  }
}

await run(drainOptions());
