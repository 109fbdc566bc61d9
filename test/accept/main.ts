import { Command, Option } from 'commander';
import { table } from '../../src/operator/views/terminal.ts';
import { vector } from '@electric-sql/pglite-pgvector';
import { createPgliteDatabase, createPostgresDatabase } from '../../src/storage/database.ts';
import { createProgressBar, whileWaiting } from '../support/progress.ts';
import { ReplayingAgent } from './agents.ts';
import { readDialogues, type Dialogue } from './dialogues.ts';
import { CUT_OVER, SHADOWED, WALK } from './flags.ts';
import { parseCount, runToItsEnd } from './command-line.ts';
import { judge } from './judge.ts';
import { Ledger } from './ledger.ts';
import { SABOTAGES, type Sabotage } from './saboteur.ts';
import { readLegacyStores, readOrchestratorStore, type StoreContents } from './stores.ts';
import { startWorld, type ProxyStatus, type World } from './world.ts';

const AGENTS = 16;
const SETTLE_LIMIT_MS = 120_000;
/** What was broken on purpose need not settle: some of it never can. */
const SABOTAGED_LIMIT_MS = 15_000;
/** The originals clean up every 60 s. */
const ORIGINAL_CLEANUP_MS = 65_000;
const ORIGINAL_DIALOGUES = 150;

interface Options {
  readonly dialogues?: string;
  readonly limit?: number;
  readonly sabotage?: Sabotage;
  readonly embedded?: boolean;
  readonly originalLimits?: boolean;
  readonly json?: boolean;
}

/** Replays all dialogues, sixteen agents at a time, while the flags walk from off to a full read cutover. */
async function replay(world: World, dialogues: readonly Dialogue[], ledger: Ledger): Promise<void> {
  const bar = createProgressBar(dialogues.length);
  const walk = [...WALK];
  let note = '';
  let next = 0;
  let done = 0;
  const agents = Array.from({ length: AGENTS }, () => new ReplayingAgent(world.endpoints, ledger));
  await Promise.all(
    agents.map(async (agent) => {
      for (let index = next++; index < dialogues.length; index = next++) {
        while (walk[0] !== undefined && index >= walk[0].from * dialogues.length) {
          note = walk[0].name;
          ledger.step = note;
          world.ask(walk[0].asked);
          if (walk[0].asked.dualWrite && !ledger.isCovered) void watchCoverage(world, ledger);
          walk.shift();
        }
        const dialogue = dialogues[index];
        if (dialogue !== undefined) await agent.replay(dialogue, index);
        done += 1;
        bar.show(done, `dialogues, ${note}, ${ledger.agentErrors.length} errors`);
      }
    }),
  );
  for (const agent of agents) agent.close();
  bar.end();
}

/** Notes when dual writes have come into effect: a moment after they were asked for. */
async function watchCoverage(world: World, ledger: Ledger): Promise<void> {
  while (!ledger.isCovered) {
    const { services } = await world.status();
    ledger.isCovered = services.every(({ coverage }) => coverage > 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until nothing is on its way any more. A lane that waits for a person waits for ever: it does not count. */
async function settled(world: World, limitMs: number): Promise<ProxyStatus> {
  let waiting = '';
  return whileWaiting(() => `waiting for what is on its way: ${waiting}`, look());

  async function look(): Promise<ProxyStatus> {
    const startedAtMs = performance.now();
    for (;;) {
      const status = await world.status();
      const { deliveries, copies, shadow_reads } = status.backlog;
      const unsettled = sum(status, ({ lanes }) => lanes.dirty + lanes.copying);
      const isQuiet = deliveries + copies + shadow_reads + unsettled === 0;
      if (isQuiet || performance.now() - startedAtMs > limitMs) return status;
      waiting = `${deliveries} deliveries, ${copies} copies, ${shadow_reads} shadow reads, ${unsettled} lanes that are not settled`;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** What the numbers of the last line are made of. */
function explain({ services }: ProxyStatus): void {
  const rows = services.map(({ service, fallbacks, not_comparable_by, latency_ms, added_ms }) => [
    service,
    shownQuantiles(latency_ms.legacy),
    shownQuantiles(latency_ms.orchestrator),
    shownQuantiles(added_ms),
    shownCounts(fallbacks),
    shownCounts(not_comparable_by),
  ]);
  console.log(table(EXPLAINED, rows));
}

const EXPLAINED = [
  'p50 / p99, ms',
  'legacy',
  'orchestrator',
  'added by the proxy',
  'fallbacks',
  'not comparable',
] as const;

function shownQuantiles({ p50, p99 }: ProxyStatus['services'][number]['added_ms']): string {
  return [p50, p99].map((ms) => (ms === null ? '-' : ms.toFixed(1))).join(' / ');
}

function shownCounts(counts: Readonly<Record<string, number>>): string {
  const shown = Object.entries(counts).map(([word, count]) => `${count} ${word}`);
  return shown.length === 0 ? 'none' : shown.join(', ');
}

function sum(status: ProxyStatus, count: (service: ProxyStatus['services'][number]) => number): number {
  return status.services.reduce((total, service) => total + count(service), 0);
}

async function orchestratorContents(world: World): Promise<StoreContents> {
  const url = world.orchestratorDatabase;
  const database =
    url === undefined
      ? createPgliteDatabase({ folder: world.folders.orchestrator, extensions: { vector } })
      : createPostgresDatabase({ url, poolSize: 1 });
  try {
    return await readOrchestratorStore(database);
  } finally {
    await database.close();
  }
}

async function run(options: Options): Promise<Record<string, unknown>> {
  const startedAtMs = performance.now();
  const isOriginal = options.originalLimits === true;
  const limit = options.limit ?? (isOriginal ? ORIGINAL_DIALOGUES : undefined);
  const dialogues = repeated(
    await readDialogues(options.dialogues, limit),
    isOriginal ? ORIGINAL_DIALOGUES : 0,
  );
  const world = await startWorld({
    isEmbedded: options.embedded === true,
    hasOriginalLimits: isOriginal,
    ...(options.sabotage !== undefined && { sabotage: options.sabotage }),
  });
  const ledger = new Ledger();
  try {
    await replay(world, dialogues, ledger);
    const status = await settled(
      world,
      options.sabotage === undefined ? SETTLE_LIMIT_MS : SABOTAGED_LIMIT_MS,
    );
    if (isOriginal) await cleanedUp();
    const proxy_rss_mb = world.proxyPeakMegabytes();
    if (options.json !== true) explain(status);
    await world.stopPrograms();
    const judgement = judge(
      ledger,
      readLegacyStores(world.folders.legacy),
      await orchestratorContents(world),
    );
    for (const finding of [...judgement.findings, ...ledger.agentErrors.slice(0, 10)]) console.error(finding);
    return {
      ...facts(ledger, status),
      ...judgement.counts,
      proxy_rss_mb,
      seconds: seconds(startedAtMs),
    };
  } catch (error) {
    console.error(world.proxyOutput());
    throw error;
  } finally {
    await world.end();
  }
}

function cleanedUp(): Promise<void> {
  const passed = new Promise<void>((resolve) => setTimeout(resolve, ORIGINAL_CLEANUP_MS));
  return whileWaiting(() => `the stand-ins clean up after ${ORIGINAL_CLEANUP_MS / 1_000} s`, passed);
}

/** A set that is too small for the originals' limits is gone through again, under new ids. */
function repeated(dialogues: readonly Dialogue[], least: number): Dialogue[] {
  const rounds = Math.max(1, Math.ceil(least / dialogues.length));
  const all = Array.from({ length: rounds }, (_, round) =>
    dialogues.map((dialogue) => (round === 0 ? dialogue : { ...dialogue, id: `${dialogue.id}-${round}` })),
  ).flat();
  return least === 0 ? all : all.slice(0, least);
}

function facts(ledger: Ledger, status: ProxyStatus): Record<string, unknown> {
  const fallbacks = fallbacksByReason(status);
  return {
    operations: ledger.operations,
    acknowledged_writes: ledger.acknowledgedWrites,
    agent_errors: ledger.agentErrors.length,
    comparisons: sum(status, ({ comparisons }) => comparisons.match + comparisons.mismatch),
    mismatches: sum(status, ({ comparisons }) => comparisons.mismatch),
    not_comparable: sum(status, ({ comparisons }) => comparisons.not_comparable),
    reads_by_orchestrator: sum(status, ({ reads_by }) => reads_by.orchestrator),
    fallbacks: Object.values(fallbacks).reduce((total, count) => total + count, 0),
    fallbacks_by_reason: fallbacks,
    read_p99_ms_on_legacy: p99Of(ledger, SHADOWED),
    read_p99_ms_cut_over: p99Of(ledger, CUT_OVER),
    dead_letters: sum(status, ({ dead_letters }) => dead_letters),
    dirty_lanes: sum(status, ({ lanes }) => lanes.dirty + lanes.copying + lanes.stopped),
  };
}

/** Of all services. */
function fallbacksByReason({ services }: ProxyStatus): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { fallbacks } of services)
    for (const [reason, count] of Object.entries(fallbacks)) sums[reason] = (sums[reason] ?? 0) + count;
  return sums;
}

/** Of the reads of sessions during one step of the walk; null where there were none. */
function p99Of({ readsMs }: Ledger, step: string): number | null {
  const sorted = (readsMs.get(step) ?? []).toSorted((a, b) => a - b);
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))];
  return found === undefined ? null : Math.round(found * 10) / 10;
}

function seconds(startedAtMs: number): number {
  return Math.round((performance.now() - startedAtMs) / 100) / 10;
}

const MUST_BE_ZERO = [
  'missing_on_legacy',
  'missing_on_orchestrator',
  'extra_on_orchestrator',
  'misordered',
  'agent_errors',
  'mismatches',
  'dead_letters',
  'dirty_lanes',
  'lost',
] as const;

const program = new Command('accept')
  .description(
    'Replays dialogues through the whole of Crossfade while the flags rise from off to read-cutover 100 %, then compares both stores. Exit code 1: the stores differ, or another number that must be zero is not.',
  )
  .option(
    '--dialogues <file>',
    'file of dialogues, one JSON object per line (default: a small set that comes with Crossfade)',
  )
  .option('--limit <count>', 'replay only this number of dialogues', parseCount)
  .addOption(
    new Option(
      '--sabotage <kind>',
      'break the path to the orchestrator on purpose, so that the exit code must be 1',
    ).choices([...SABOTAGES]),
  )
  .option('--embedded', 'use the embedded PGlite instead of a real PostgreSQL')
  .option(
    '--original-limits',
    `the stand-ins forget as the original services do; replays ${ORIGINAL_DIALOGUES} dialogues, then waits for their cleanup`,
  )
  .option('--json', 'print only the JSON line')
  .action(async (options: Options) => {
    if (options.json !== true && options.originalLimits !== true) {
      console.log('The stand-ins run with maxSessions raised to 1,000,000 (the original keeps 100).');
    }
    const result = await run(options);
    const broken = MUST_BE_ZERO.filter((name) => result[name] !== 0);
    const hasForgotten = options.originalLimits !== true || Number(result['forgotten']) > 0;
    if (options.json !== true)
      for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(26)} ${String(value)}`);
    console.log(JSON.stringify(result));
    if (broken.length > 0) console.error(`Not zero: ${broken.join(', ')}`);
    if (!hasForgotten) console.error('Nothing was forgotten: the originals’ limits did not take effect.');
    process.exitCode = broken.length === 0 && hasForgotten ? 0 : 1;
  });

await runToItsEnd(program);
