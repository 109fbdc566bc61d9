import { Command } from 'commander';
import { createPostgresDatabase, type Database } from '../../../src/storage/database.ts';
import { resultOf, runCommand } from '../../support/command.ts';
import { createProgressBar } from '../../support/progress.ts';
import { parseCount, runToItsEnd } from '../command-line.ts';
import { readDialogues, type Dialogue } from '../dialogues.ts';
import { readLegacyStores, readOrchestratorStore, type StoreContents } from '../stores.ts';
import { startWorld, type World } from '../world.ts';
import { BREAKAGES, breakItems, type Breakage } from './breakages.ts';
import { compareStores } from './equality.ts';
import { fillLegacy, LegacyWriter } from './fill.ts';
import { judge, type FoundDivergence, type Say } from './findings.ts';
import { LiveTraffic } from './live-traffic.ts';
import { problemsOf } from './problems.ts';

/** Every breakage gets a session of its own. */
const LEAST_DIALOGUES = 200;
const BY = ['--person', 'accept', '--reason', 'an acceptance test'];
const SETTLE_LIMIT_MS = 120_000;
/**
 * A lane whose copy a kill interrupted is copied once more a minute after it was taken up again. What is broken before that may be
 * mended before anybody looks for it.
 */
const LAST_COPY_MS = 70_000;

interface Options {
  readonly dialogues?: string;
  readonly limit?: number;
  readonly json?: boolean;
}

interface RunResult {
  readonly run: number;
  readonly state: string;
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

async function run(options: Options, say: Say): Promise<Record<string, number>> {
  const startedAtMs = performance.now();
  const dialogues = repeated(await readDialogues(options.dialogues, options.limit));
  const world = await startWorld({
    isEmbedded: false,
    hasOriginalLimits: false,
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
    config: { copies: { concurrency: 4, automatic: false } },
    beforeTheProxy: async (legacy) => {
      say('filling the legacy services, before there is a proxy');
      const bar = createProgressBar(dialogues.length);
      await fillLegacy(legacy, dialogues, (done) => bar.show(done, 'dialogues'));
      bar.end();
    },
  });
  const database = createPostgresDatabase({ url: world.orchestratorDatabase ?? '', poolSize: 1 });
  const live = new LiveTraffic(world.endpoints, dialogues);
  try {
    live.start();
    const facts = await reconcileAll({ world, database, dialogues, say, stopLive: () => live.stop() });
    say(`${live.operations} live operations beside it, ${live.interrupted} interrupted by a kill`);
    return { ...facts, seconds: Math.round((performance.now() - startedAtMs) / 100) / 10 };
  } catch (error) {
    console.error(world.proxyOutput());
    throw error;
  } finally {
    await live.stop();
    await database.close();
    await world.end();
  }
}

interface Stage {
  readonly world: World;
  readonly database: Database;
  readonly dialogues: readonly Dialogue[];
  readonly say: Say;
  readonly stopLive: () => Promise<void>;
}

async function reconcileAll(stage: Stage): Promise<Record<string, number>> {
  const { world, database, dialogues, say } = stage;
  const filled = countItems(readLegacyStores(world.folders.legacy));
  const killedAtMs = await backfill(stage);
  const backfilled = countItems(await readOrchestratorStore(database));
  const sessions = dialogues.filter(({ turns }) => isBreakable(turns)).map(({ id }) => id);
  const lanes = assign(sessions);
  say('agents clear sessions through the proxy: what is deleted must stay so');
  await clearSessions(world, lanes);
  say('waiting for the last copies of what the kills interrupted');
  await pause(Math.max(0, killedAtMs + LAST_COPY_MS - performance.now()));
  await settled(world);
  say('breaking items on either store, behind the proxy');
  const stores = { orchestrator: database, legacyFolder: world.folders.legacy, legacy: world.direct };
  await breakItems(lanes, stores);
  say('reconciling, with agents at work');
  const first = await command<RunResult>(world, 'reconcile', '--repair', 'plan', ...BY);
  const judged = judge(await divergencesOf(world, first.run), lanes, say);
  say('repairing');
  const repair = await command<RunResult>(
    world,
    'repair',
    'apply',
    String(first.run),
    '--limit-share',
    '1',
    ...BY,
  );
  say(`the repair is ${repair.state}: ${JSON.stringify(repair.services)}`);
  say('reconciling again');
  await stage.stopLive();
  await settled(world);
  const second = await command<RunResult>(world, 'reconcile', ...BY);
  const left = await divergencesOf(world, second.run);
  const lostOnLegacy = sum(second, 'lost');
  const { surplus, unequal } = compareStores(
    readLegacyStores(world.folders.legacy),
    await readOrchestratorStore(database),
  );
  const expected = new Set([...lanes].filter(([, breakage]) => breakage === 'lost').map(([owner]) => owner));
  for (const owner of unequal.filter((one) => !expected.has(one))) say(`not equal at the end: ${owner}`);
  return {
    items: filled,
    backfilled,
    broken: lanes.size,
    ...judged,
    repaired: sum(repair, 'findings_repaired'),
    lost_on_legacy: lostOnLegacy,
    left: left.reduce((total, { findings }) => total + findings.length, 0),
    // Beyond what legacy lost, which stays where it is.
    duplicates: surplus - lostOnLegacy,
    resurrected: await resurrected(database, lanes),
    unequal: unequal.filter((one) => !expected.has(one)).length,
  };
}

/** Kills the proxy twice on the way. @returns when, the second time */
async function backfill({ world, say }: Stage): Promise<number> {
  await covered(world);
  const survey = await runCommand(['backfill', '--dry-run', '--json', '--url', world.httpUrl]);
  say(`dry run: ${survey.stdout.length} characters of survey, exit code ${survey.code}`);
  const running = command<RunResult>(world, 'backfill', ...BY);
  let isOver = false;
  void running.finally(() => {
    isOver = true;
  });
  const seeded = async (): Promise<number> => {
    const { services } = await world.status();
    return services.reduce((total, { lanes }) => total + lanes.seeded, 0);
  };
  const before = await seeded();
  let killedAtMs = 0;
  for (const share of [30, 120]) {
    while (!isOver && (await seeded()) < before + share) await pause(20);
    if (isOver) throw new Error('the backfill was over before it was killed twice');
    say(`killing the proxy in the middle of the backfill (${(await seeded()) - before} lanes are copied)`);
    await world.crash();
    killedAtMs = performance.now();
  }
  const result = await running;
  if (result.state !== 'finished')
    throw new Error(`the backfill is ${result.state}: ${JSON.stringify(result)}`);
  return killedAtMs;
}

async function command<Result>(world: World, ...args: readonly string[]): Promise<Result> {
  const result = await runCommand([...args, '--json', '--url', world.httpUrl]);
  if (result.code === 1) throw new Error(`crossfade ${args.join(' ')}: ${result.stderr}${result.stdout}`);
  return resultOf<Result>(result);
}

async function divergencesOf(world: World, run: number): Promise<readonly FoundDivergence[]> {
  const response = await fetch(`${world.httpUrl}/v1/runs/${run}/divergences`);
  return ((await response.json()) as { divergences: readonly FoundDivergence[] }).divergences;
}

function assign(sessions: readonly string[]): Map<string, Breakage> {
  const breakages = Object.entries(BREAKAGES).flatMap(([name, count]) =>
    Array.from({ length: count }, () => name as Breakage),
  );
  if (sessions.length < breakages.length)
    throw new Error(
      `${breakages.length} dialogues of three different turns are needed, there are ${sessions.length}`,
    );
  return new Map(breakages.map((breakage, index) => [sessions[index] ?? '', breakage]));
}

/** Its first three turns can be told apart. */
function isBreakable(turns: Dialogue['turns']): boolean {
  return new Set(turns.slice(0, 3).map(({ text }) => text)).size === 3;
}

async function clearSessions(world: World, lanes: ReadonlyMap<string, Breakage>): Promise<void> {
  const writer = new LegacyWriter(world.endpoints);
  for (const [session, breakage] of lanes) {
    if (breakage !== 'resurrected_on_orchestrator') continue;
    const reply = await writer.ask('session', { action: 'clear_session', session_id: session });
    if (reply['status'] !== 'success') throw new Error(`clear_session: ${JSON.stringify(reply)}`);
  }
  writer.close();
}

async function resurrected(database: Database, lanes: ReadonlyMap<string, Breakage>): Promise<number> {
  const cleared = [...lanes]
    .filter(([, breakage]) => breakage === 'resurrected_on_orchestrator')
    .map(([id]) => id);
  const rows = await database.query('select 1 from memory_entries where is_active and session_id = any($1)', [
    cleared,
  ]);
  return rows.length;
}

async function covered(world: World): Promise<void> {
  while (!(await world.status()).services.every(({ coverage }) => coverage > 0)) await pause(50);
}

async function settled(world: World): Promise<void> {
  const untilMs = performance.now() + SETTLE_LIMIT_MS;
  for (;;) {
    const { backlog, services } = await world.status();
    const uneasy = services.reduce((total, { lanes }) => total + lanes.dirty + lanes.copying, 0);
    if (backlog.deliveries + backlog.copies + uneasy === 0) return;
    // Live agents are never done: their last writes may be on their way.
    if (performance.now() > untilMs)
      throw new Error(`not settled: ${JSON.stringify(backlog)}, ${uneasy} lanes`);
    await pause(100);
  }
}

function repeated(dialogues: readonly Dialogue[]): Dialogue[] {
  const rounds = Math.max(1, Math.ceil(LEAST_DIALOGUES / dialogues.length));
  return Array.from({ length: rounds }, (_, round) =>
    dialogues.map((dialogue) => (round === 0 ? dialogue : { ...dialogue, id: `${dialogue.id}-${round}` })),
  ).flat();
}

/** Of the lanes that were there before the proxy. */
function countItems(contents: StoreContents): number {
  const lists = [contents.sessions, contents.entries, contents.decisions, contents.memories];
  const filled = lists.flatMap((lanes) => [...lanes]).filter(([owner]) => !owner.startsWith('live-'));
  return filled.reduce((total, [, { length }]) => total + length, 0);
}

function sum({ services }: RunResult, name: string): number {
  return Object.values(services).reduce((total, counts) => total + Number(counts[name] ?? 0), 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

const program = new Command('accept:reconcile')
  .description(
    'Fills the legacy services before a proxy runs. Then it backfills them under live traffic and kills the proxy twice, damages 60 items in each store, reconciles, repairs, and reconciles again. Exit code 1: a goal was missed.',
  )
  .option(
    '--dialogues <file>',
    'file of dialogues, one JSON object per line (default: a small set that comes with Crossfade)',
  )
  .option('--limit <count>', 'replay only this number of dialogues', parseCount)
  .option('--json', 'print only the JSON line')
  .action(async (options: Options) => {
    const say: Say = (what) => (options.json === true ? console.error(what) : console.log(what));
    const result = await run(options, say);
    if (options.json !== true)
      for (const [name, value] of Object.entries(result)) console.log(`${name.padEnd(16)} ${String(value)}`);
    console.log(JSON.stringify(result));
    const problems = problemsOf(result);
    for (const problem of problems) console.error(problem);
    process.exitCode = problems.length === 0 ? 0 : 1;
  });

await runToItsEnd(program);
