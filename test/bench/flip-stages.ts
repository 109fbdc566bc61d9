import { setTimeout as sleep } from 'node:timers/promises';
import type { Asked } from '../accept/flags.ts';
import { holdsOf, type Holds } from '../support/flip-holds.ts';
import { createProgressBar } from '../support/progress.ts';
import { startChild, type Child } from './child.ts';
import type { Cleanup } from './cleanup.ts';
import { askProxy, type Crossfade, runToItsEnd } from './crossfade.ts';
import { SERVICE } from './engine-fixture.ts';
import type { CallJob, OpenJob } from './flip-load.ts';
import { fillLegacy, type FlipWorld, ownersOf, SHARE, startFlipWorld } from './flip-world.ts';
import { type Cell, type Measured, runRounds } from './rounds.ts';
import type { Sample } from './samples.ts';

export interface FlipOptions {
  readonly lanes: number;
  readonly rounds: number;
  readonly secondsPerCell: number;
}

/** Writes of flipped lanes, and of lanes that stay on legacy, while lanes of the volume are flipped or not. */
export interface FlipStage extends FlipOptions {
  readonly world: FlipWorld;
  /** Agents whose calls are measured. */
  readonly load: Child;
  /** Agents that write to all lanes of the volume, slowly. */
  readonly walkers: Child;
  readonly volume: readonly string[];
  readonly sessions: Readonly<Record<'flipped' | 'onLegacy', readonly string[]>>;
  proxy: Crossfade;
  /** A person holds further flips. */
  isHeld: boolean;
}

const DUAL: Asked = { dualWrite: true, shadowRead: 0, readCutover: 100 };
const MOVING: Asked = { ...DUAL, writeCutover: SHARE };
/** Far above what a replica can do. */
const UNPACED_PER_SECOND = 10_000;
const AGENTS = 8;
const SESSIONS_OF_AN_AGENT = 25;
const CALLS_PER_SECOND = 200;
const WALKERS = 4;
const WALKED_PER_SECOND = 20;
const WRITERS = 16;
const WARM_UP_MS = 500;
const PATIENCE_MS = 120_000;
const LOOK_EVERY_MS = 250;
/** The last lanes may be those whose flip failed at first, and is tried again after 10 s or more. */
const MOST_LANES = 0.95;
/** The flipper learns within this time that a person holds its flips, or no longer does. */
const HEARD_MS = 2_500;

export async function prepare(cleanup: Cleanup, options: FlipOptions): Promise<FlipStage> {
  const world = await startFlipWorld(cleanup);
  const volume = ownersOf('lane', options.lanes, true);
  fillLegacy(world.legacy, volume);
  const proxy = await world.startProxy(DUAL);
  await until('coverage', async () => (await proxy.status()).services.every(({ coverage }) => coverage > 0));
  for (const kind of ['backfill', 'reconcile']) await runToItsEnd(world.httpUrl, kind);
  const count = AGENTS * SESSIONS_OF_AN_AGENT * 0.5;
  const stage = {
    ...options,
    world,
    load: cleanup.keep(await startChild('flip-load.ts')),
    walkers: cleanup.keep(await startChild('flip-load.ts')),
    volume,
    sessions: { flipped: ownersOf('born', count, true), onLegacy: ownersOf('agent', count, false) },
    proxy,
    isHeld: false,
  };
  await open(stage, world.endpoint, stage.sessions.onLegacy);
  proxy.ask(MOVING);
  await until('a flip', async () => (await flipsOf(stage)) > 0).catch(async (error: unknown) => {
    const shown = await askProxy<object>(`${world.httpUrl}/v1/services/${SERVICE}/flips`);
    throw new Error(`no lane is flipped: ${JSON.stringify(shown)}`, { cause: error });
  });
  await open(stage, world.endpoint, stage.sessions.flipped);
  await holdFlips(stage, true);
  await assertFlipped(stage, stage.sessions.flipped, true);
  await assertFlipped(stage, stage.sessions.onLegacy, false);
  return stage;
}

async function open({ load }: FlipStage, endpoint: string, sessions: readonly string[]): Promise<void> {
  const job: OpenJob = { endpoint, open: sessions };
  await load.ask(job);
}

/** New owners inside the share are born on the orchestrator. @throws Error where that did not happen */
async function assertFlipped(
  { world }: FlipStage,
  sessions: readonly string[],
  isFlipped: boolean,
): Promise<void> {
  const [row] = await world.journal<{ flipped: number; of: number }>(
    `select count(*) filter (where primary_backend = 'orchestrator')::int as flipped, count(*)::int as of
     from lanes where owner = any('{${sessions.join()}}')`,
  );
  if (row?.of !== sessions.length || row.flipped !== (isFlipped ? row.of : 0))
    throw new Error(`${row?.flipped} of ${sessions.length} lanes are on the orchestrator`);
}

/** Lanes of the volume that were flipped. */
async function flipsOf({ world }: Pick<FlipStage, 'world'>): Promise<number> {
  const [row] = await world.journal<{ count: number }>(
    `select count(*)::int as count from lanes where owner like 'lane-%' and primary_backend = 'orchestrator'`,
  );
  return row?.count ?? 0;
}

/** @throws Error where it does not become so */
async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const untilMs = performance.now() + PATIENCE_MS; !(await isSo()); await sleep(LOOK_EVERY_MS))
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${PATIENCE_MS / 1_000} s`);
}

/** Everything is delivered in both directions. */
async function settled({ proxy }: FlipStage): Promise<void> {
  await until('deliveries', async () => (await proxy.status()).backlog.deliveries === 0);
}

function callsOf({ world, sessions, secondsPerCell }: FlipStage, isOnLegacyToo: boolean): CallJob {
  const both = sessions.flipped.flatMap((session, index) => [session, sessions.onLegacy[index] ?? session]);
  return {
    endpoint: world.endpoint,
    sessions: isOnLegacyToo ? both : sessions.flipped,
    agents: AGENTS,
    isReading: true,
    paceMs: (AGENTS * 1_000) / CALLS_PER_SECOND,
    warmUpMs: WARM_UP_MS,
    seconds: secondsPerCell,
  };
}

/** Agents that write to the lanes that are being flipped. Returns what ends them, with the samples of each second. */
function walk({ world, walkers, volume }: FlipStage): () => Promise<readonly Sample[]> {
  let isEnded = false;
  const samples: Sample[] = [];
  const job: CallJob = {
    endpoint: world.endpoint,
    sessions: volume,
    agents: WALKERS,
    isReading: false,
    paceMs: (WALKERS * 1_000) / WALKED_PER_SECOND,
    warmUpMs: 0,
    seconds: 1,
  };
  const ended = (async () => {
    while (!isEnded) samples.push(await walkers.ask<Sample>(shifted(job, samples.length)));
  })();
  ended.catch(() => undefined);
  return async () => {
    isEnded = true;
    await ended;
    return samples;
  };
}

/** Each second begins elsewhere, so that all lanes get writes. */
function shifted(job: CallJob, second: number): CallJob {
  const by = (second * WALKED_PER_SECOND * 7) % job.sessions.length;
  return { ...job, sessions: [...job.sessions.slice(by), ...job.sessions.slice(0, by)] };
}

export const FLIPS = 'lanes are flipped';
export const NO_FLIPS = 'no lane is flipped';
export const NO_FLIPS_AGAIN = 'no lane is flipped, again';

export interface OthersMeasured {
  readonly cells: readonly Measured[];
  /** Flips a second in the rounds with flips. */
  readonly perSecond: number;
  readonly holds: Holds;
  readonly walked: readonly Sample[];
}

/** What agents of other lanes feel of the flips at the default rate. */
export async function measureOthers(stage: FlipStage): Promise<OthersMeasured> {
  const { rounds, world } = stage;
  const endWalk = walk(stage);
  const group = 'others';
  let [flipped, seconds] = [0, 0];
  const cells = await runRounds({
    rounds,
    cells: [FLIPS, NO_FLIPS, NO_FLIPS_AGAIN].map((path) => ({ path, clients: AGENTS, group })),
    async measure({ path }) {
      await holdFlips(stage, path !== FLIPS);
      const [before, fromMs] = [await flipsOf(stage), performance.now()];
      const sample = await stage.load.ask<Sample>(callsOf(stage, true));
      const more = (await flipsOf(stage)) - before;
      if (path !== FLIPS && more > 0) throw new Error(`${more} lanes were flipped while flips were held`);
      if (path === FLIPS) {
        flipped += more;
        seconds += (performance.now() - fromMs) / 1_000;
      }
      return sample;
    },
  });
  const walked = await endWalk();
  if (flipped === 0) throw new Error('no lane was flipped while agents were measured: take more lanes');
  return { cells, perSecond: flipped / seconds, holds: await holdsOf(world.httpUrl), walked };
}

/** Comparisons of the lanes that were just flipped belong to the rounds with flips. */
async function holdFlips(stage: FlipStage, isHeld: boolean): Promise<void> {
  const { world } = stage;
  const path = `${world.httpUrl}/v1/services/${SERVICE}/flips/${isHeld ? 'hold' : 'lift'}`;
  if (stage.isHeld !== isHeld) await askProxy(path, { person: 'bench', reason: 'rounds without flips' });
  stage.isHeld = isHeld;
  await sleep(HEARD_MS);
  if (!isHeld) return;
  await until('comparisons of flipped lanes', async () => {
    const [row] = await world.journal<{ count: number }>(
      'select count(*)::int as count from flips where compared_at is null',
    );
    return row?.count === 0;
  });
}

export interface FlippedAll {
  /** Lanes that were flipped unpaced. */
  readonly lanes: number;
  readonly perSecond: number;
  readonly holds: Holds;
  readonly agents: readonly Sample[];
  readonly walked: readonly Sample[];
}

/** Flips what is left of the volume as fast as one replica can, while agents call. */
export async function flipAll(stage: FlipStage): Promise<FlippedAll> {
  const { world, volume, load } = stage;
  await settled(stage);
  await stage.proxy.stop();
  const done = await flipsOf(stage);
  stage.proxy = await world.startProxy(MOVING, UNPACED_PER_SECOND);
  await holdFlips(stage, false);
  const endWalk = walk(stage);
  let isDone = false;
  const agents: Sample[] = [];
  const calls = (async () => {
    while (!isDone) agents.push(await load.ask<Sample>(callsOf(stage, true)));
  })();
  try {
    await allFlipped(stage);
  } finally {
    isDone = true;
    await calls;
  }
  const walked = await endWalk();
  const [row] = await world.journal<{ lanes: number; seconds: number }>(
    `with moved as (
       select at, row_number() over (order by at) as number from flips where at > (
         select coalesce(max(at), '-infinity') from (
           select at from flips join lanes on lanes.id = lane_id and owner like 'lane-%' order by at limit ${done}) earlier)
     )
     select count(*)::int as lanes, extract(epoch from max(at) - min(at))::float8 as seconds
     from moved where number <= ${MOST_LANES} * (select count(*) from moved)`,
  );
  const { lanes = 0, seconds = Number.NaN } = row ?? {};
  if (lanes < 2) throw new Error(`${lanes} of ${volume.length} lanes were flipped`);
  return {
    lanes: volume.length - done,
    perSecond: (lanes - 1) / seconds,
    holds: await holdsOf(world.httpUrl),
    agents,
    walked,
  };
}

async function allFlipped(stage: FlipStage): Promise<void> {
  const { length } = stage.volume;
  const bar = createProgressBar(length);
  let [most, sinceMs] = [0, performance.now()];
  for (;;) {
    const flipped = await flipsOf(stage);
    bar.show(flipped, 'lanes flipped');
    if (flipped === length) break;
    if (flipped > most) [most, sinceMs] = [flipped, performance.now()];
    if (performance.now() - sinceMs > PATIENCE_MS)
      throw new Error(`${flipped} of ${length} lanes are flipped, and no more for ${PATIENCE_MS / 1_000} s`);
    await sleep(LOOK_EVERY_MS);
  }
  bar.end();
}

export const CLIENTS = [1, WRITERS] as const;
const WRITE_PATHS = ['write_cutover', 'bare loop', 'dual_write'] as const;
export type WritePath = (typeof WRITE_PATHS)[number];

interface WriteCell extends Cell {
  readonly path: WritePath;
}

/** What a write costs its agent. */
export async function measureWrites(stage: FlipStage): Promise<readonly Measured[]> {
  const { rounds, world, load } = stage;
  let measured = 0;
  return runRounds<WriteCell, Sample>({
    rounds,
    cells: CLIENTS.flatMap((clients) =>
      WRITE_PATHS.map((path) => ({ path, clients, group: `writes ${clients}` })),
    ),
    async measure({ path, clients }) {
      const endpoint = path === 'bare loop' ? world.bareEndpoint : world.endpoint;
      const isInShare = path !== 'dual_write';
      const sessions = ownersOf(`write-${(measured += 1)}`, clients, isInShare);
      await open(stage, endpoint, sessions);
      if (path !== 'bare loop') await assertFlipped(stage, sessions, isInShare);
      const sample = await load.ask<Sample>(closedLoop(stage, { endpoint, sessions, agents: clients }));
      await settled(stage);
      return sample;
    },
  });
}

/** Requests a second that legacy gets, round by round. */
export interface ReverseMeasured {
  readonly writes: readonly number[];
  readonly delivered: readonly number[];
  readonly bare: readonly number[];
}

/**
 * Reverse delivery of writes that came while legacy was stopped, and as many of the same requests by one agent that connects to legacy.
 * The agent sends one request at a time, so it keeps the order of each lane too. Both begin when legacy has just started, because a
 * program is slow at first. The stand-in serves one request at a time, so neither gains by sending several.
 */
export async function measureReverse(stage: FlipStage): Promise<ReverseMeasured> {
  const { rounds, world, load } = stage;
  const sessions = ownersOf('bare', stage.sessions.flipped.length, true);
  await open(stage, world.legacy.endpoint, sessions);
  const measured = { writes: [] as number[], delivered: [] as number[], bare: [] as number[] };
  const bare = {
    ...closedLoop(stage, { endpoint: world.legacy.endpoint, sessions, agents: 1 }),
    warmUpMs: 0,
  };
  const bar = createProgressBar(rounds);
  for (let round = 0; round < rounds; round += 1) {
    bar.show(round, 'rounds of reverse delivery');
    const { writes, perSecond } = await deliverReverse(stage);
    measured.writes.push(writes);
    measured.delivered.push(perSecond);
    await world.legacy.stop();
    await world.legacy.start();
    measured.bare.push((await load.ask<Sample>({ ...bare, calls: writes })).perSecond);
  }
  bar.end();
  return measured;
}

/** From the first start to the last end, by the database's clock. */
async function deliverReverse(stage: FlipStage): Promise<{ writes: number; perSecond: number }> {
  const { world, load, sessions } = stage;
  await settled(stage);
  await world.legacy.stop();
  const [{ now } = { now: '' }] = await world.journal<{ now: string }>('select now()::text');
  const { endpoint } = world;
  await load.ask(closedLoop(stage, { endpoint, sessions: sessions.flipped, agents: WRITERS }));
  await world.legacy.start();
  await settled(stage);
  const [row] = await world.journal<{ writes: number; seconds: number }>(
    `select count(*)::int as writes, extract(epoch from max(ended_at) - min(started_at))::float8 as seconds
     from reverse_sends where started_at > '${now}' and ended_at is not null`,
  );
  const { writes = 0, seconds = Number.NaN } = row ?? {};
  if (writes === 0) throw new Error('nothing was delivered to legacy');
  return { writes, perSecond: writes / seconds };
}

function closedLoop(
  { secondsPerCell }: FlipStage,
  job: Pick<CallJob, 'endpoint' | 'sessions' | 'agents'>,
): CallJob {
  return { ...job, isReading: false, paceMs: 0, warmUpMs: WARM_UP_MS, seconds: secondsPerCell };
}

export const ANSWERS = 'legacy answers';
export const ANSWERS_AGAIN = 'legacy answers, again';
export const HANGS = 'legacy hangs';
export const KILLED = 'legacy is killed';

/** What agents of flipped lanes feel while legacy is away. */
export function measureAway(stage: FlipStage): Promise<readonly Measured[]> {
  const { rounds, world, load } = stage;
  const { legacy } = world;
  const away: Readonly<Record<string, { begin: () => unknown; end: () => unknown }>> = {
    [HANGS]: { begin: () => legacy.hang(), end: () => legacy.resume() },
    [KILLED]: { begin: () => legacy.kill(), end: () => legacy.start() },
  };
  return runRounds({
    rounds,
    cells: [ANSWERS, HANGS, KILLED, ANSWERS_AGAIN].map((path) => ({ path, clients: AGENTS, group: 'away' })),
    async measure({ path }) {
      await settled(stage);
      await away[path]?.begin();
      const sample = await load.ask<Sample>(callsOf(stage, false));
      await away[path]?.end();
      return sample;
    },
  });
}
