import { createCleanup, type Cleanup } from './cleanup.ts';
import { runToItsEnd, type RunShown } from './crossfade.ts';
import { atLeast, atMost, printGoals, printTable, type Goal } from './goals.ts';
import type { BareJob, BareResult } from './reconcile-bare.ts';
import { ITEMS_PER_LANE } from './reconcile-legacy.ts';
import { reconcileOptions, type ReconcileOptions } from './reconcile-options.ts';
import { SERVICE, startReconcileWorld, type ReconcileWorld } from './reconcile-world.ts';
import { rounded } from './samples.ts';

// npm run bench:reconcile -- [--lanes N] [--json]

/** One of so many lanes is altered. */
const ALTERED_SHARE = 1_000;

interface Measured {
  readonly backfillSeconds: number;
  readonly backfilledItems: number;
  /** Of three rounds, in turns with reconciliations: the best one. */
  readonly bareSeconds: number;
  /** Right after the backfill: every content is read and hashed. */
  readonly firstSeconds: number;
  /** Of the two behind it, the better one. */
  readonly unchangedSeconds: number;
  readonly alteredSeconds: number;
  readonly altered: number;
  readonly found: number;
  readonly bareFound: number;
  readonly falseFindings: number;
  readonly proxyPeakMegabytes: number;
  readonly orchestratorPeakMegabytes: number;
}

function countOf(run: RunShown, name: string): number {
  return run.services[SERVICE]?.[name] ?? 0;
}

/** The last item of one lane in a thousand, in the orchestrator's database: nobody else was told. */
async function alter(world: ReconcileWorld): Promise<number> {
  const rows = await world.store(`
    update memory_entries m set content = jsonb_set(content, '{text}', to_jsonb((content ->> 'text') || '!'))
    from (
      select distinct on (session_id) memory_id from memory_entries
      where substr(session_id, 6)::int % ${ALTERED_SHARE} = 0 order by session_id, position desc) last
    where last.memory_id = m.memory_id returning 1`);
  return rows.length;
}

async function measure(cleanup: Cleanup, options: ReconcileOptions): Promise<Measured> {
  const world = await startReconcileWorld(cleanup, options);
  const backfill = await runToItsEnd(world.proxyUrl, 'backfill');
  for (const database of [world.store, world.journal]) await database('vacuum analyze');
  const job: BareJob = { lanes: options.lanes };
  const bare: BareResult[] = [];
  const unchanged: (RunShown & { seconds: number })[] = [];
  for (let round = 0; round < 3; round += 1) {
    bare.push(await world.bare.ask<BareResult>(job));
    unchanged.push(await runToItsEnd(world.proxyUrl, 'reconcile'));
  }
  const altered = await alter(world);
  const found = await runToItsEnd(world.proxyUrl, 'reconcile');
  const { different } = await world.bare.ask<BareResult>(job);
  return {
    backfillSeconds: backfill.seconds,
    backfilledItems: countOf(backfill, 'items_copied'),
    bareSeconds: Math.min(...bare.map(({ seconds }) => seconds)),
    firstSeconds: unchanged[0]?.seconds ?? Number.NaN,
    unchangedSeconds: Math.min(...unchanged.slice(1).map(({ seconds }) => seconds)),
    alteredSeconds: found.seconds,
    altered,
    found: countOf(found, 'altered_on_orchestrator'),
    bareFound: different,
    falseFindings:
      countOf(found, 'findings') -
      countOf(found, 'altered_on_orchestrator') +
      unchanged.reduce((sum, run) => sum + options.lanes - countOf(run, 'lanes_equal'), 0),
    proxyPeakMegabytes: world.proxy.peakMegabytes(),
    orchestratorPeakMegabytes: world.orchestrator.peakMegabytes(),
  };
}

function goalsOf({ lanes }: ReconcileOptions, measured: Measured): Goal[] {
  const { backfilledItems, backfillSeconds, unchangedSeconds, bareSeconds } = measured;
  return [
    atLeast('items backfilled', lanes * ITEMS_PER_LANE, backfilledItems),
    atLeast('items backfilled a second', 5_000, backfilledItems / backfillSeconds),
    atMost('an unchanged set, times reading and hashing both sides', 1.2, unchangedSeconds / bareSeconds),
    atMost('proxy, highest resident size, MiB', 299, measured.proxyPeakMegabytes),
    atLeast('altered lanes found', measured.altered, measured.found),
    atMost('findings of what nobody altered', 0, measured.falseFindings),
  ];
}

async function run(options: ReconcileOptions): Promise<void> {
  const cleanup = createCleanup();
  try {
    const measured = await measure(cleanup, options);
    const goals = goalsOf(options, measured);
    const perSecond = (seconds: number): number => rounded(options.lanes / seconds);
    printTable(
      ['what', 'seconds', 'lanes/s', 'items/s'],
      (
        [
          ['backfill', measured.backfillSeconds],
          ['both sides read and hashed, and nothing else', measured.bareSeconds],
          ['reconciliation right after the backfill', measured.firstSeconds],
          ['reconciliation, nothing changed', measured.unchangedSeconds],
          ['reconciliation, 0.1 % altered', measured.alteredSeconds],
        ] as const
      ).map(([what, seconds]) => [what, seconds, perSecond(seconds), perSecond(seconds) * ITEMS_PER_LANE]),
    );
    printTable(
      ['highest resident size', 'MiB'],
      [
        ['proxy', measured.proxyPeakMegabytes],
        ['orchestrator', measured.orchestratorPeakMegabytes],
      ],
    );
    printGoals(goals);
    if (options.isJson) console.log(JSON.stringify({ ...options, ...measured, goals }));
    process.exitCode = goals.every(({ met }) => met) ? 0 : 1;
  } catch (error) {
    if (!cleanup.isInterrupted) throw error;
  } finally {
    await cleanup.end();
  }
}

await run(reconcileOptions());
