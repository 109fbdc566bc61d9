import type { Verdict } from '../../src/domain/comparison.ts';
import { messageOf } from '../../src/domain/errors.ts';
import type { LaneKey } from '../../src/domain/ids.ts';
import { Agents } from './agents.ts';
import { isBehind, type LaneRow } from './lane-row.ts';
import { checkFinally, isHalted } from './final-check.ts';
import { Monitor } from './monitor.ts';
import { beginRollback, complete, open } from './people.ts';
import { Replica } from './replica.ts';
import { prune, startTroubles } from './troubles.ts';
import { INVARIANTS, Violations, type Invariant, type Violation } from './violations.ts';
import { createWorld, type RunSettings, type World } from './world.ts';

/** Longest that agents and troubles go on, in virtual time. */
const BUSY_MS = 10 * 60_000;
/** A recovery is repeated after half a minute, and a late reply is waited for a minute. Both have ended by then. */
const SETTLING_MS = 105_000;
/** A person's command has taken effect by then. */
const COMMAND_MS = 5_000;
/** What has not settled by then never will. */
const PATIENCE_MS = 20 * 60_000;
/** Of the lives, this share goes on when all has settled: it takes nearly as long again. */
const GOING_ON = 0.25;

export interface RunResult {
  readonly seed: number;
  readonly hash: string;
  readonly operations: number;
  readonly crashes: number;
  /** Changes of the primary of a lane. */
  readonly flips: number;
  /** Of these, returns to legacy. */
  readonly returns: number;
  /** Services whose legacy became read-only, and those that were completed. */
  readonly readOnly: number;
  readonly completions: number;
  /** Databases that were set back to an older copy. */
  readonly restores: number;
  /** Writes that the orchestrator took as the primary of their lanes. */
  readonly primaryWrites: number;
  /** Comparisons of whole lanes, made while agents went on. */
  readonly lanesCompared: Readonly<Record<Verdict, number>>;
  readonly steps: number;
  readonly virtualMs: number;
  readonly violations: readonly Violation[];
  readonly trace: readonly string[];
}

/** One run, whole: its seed says everything that happens in it. */
export async function simulate(settings: RunSettings): Promise<RunResult> {
  const world = createWorld(settings);
  const violations = new Violations();
  const monitor = new Monitor(world, violations);
  world.monitor = monitor;
  const ended = watchRejections(violations);
  try {
    await live(world, violations);
  } catch (error) {
    violations.add('I2', `the run broke off: ${error instanceof Error ? error.stack : messageOf(error)}`);
  } finally {
    ended();
  }
  return {
    seed: settings.seed,
    hash: world.trace.hash,
    operations: world.history.calls.length,
    crashes: monitor.crashes,
    flips: monitor.flips,
    returns: monitor.returns,
    ...endsOf(world),
    restores: world.restores.orchestrator,
    primaryWrites: monitor.primaryWrites,
    lanesCompared: monitor.lanesCompared,
    steps: world.scheduler.steps,
    virtualMs: world.scheduler.nowMs,
    violations: violations.all,
    trace: world.trace.lines ?? [],
  };
}

function endsOf({ database }: World): Pick<RunResult, 'readOnly' | 'completions'> {
  const states = [...database.serviceWrites.values()].map(({ state }) => state);
  return { readOnly: states.length, completions: states.filter((state) => state === 'complete').length };
}

/** What the engine lets fall on the floor ends a real process. */
function watchRejections(violations: Violations): () => void {
  const rejected = (error: unknown): void =>
    violations.add(
      'I7',
      `a promise was left alone: ${error instanceof Error ? error.stack : messageOf(error)}`,
    );
  process.on('unhandledRejection', rejected);
  return () => process.off('unhandledRejection', rejected);
}

async function live(world: World, violations: Violations): Promise<void> {
  const { random, scheduler, settings, services, flags, profile } = world;
  const replicas = world.names.map((name) => new Replica(name, world));
  const agents = new Agents(world, replicas, random.whole(5, 60));
  agents.prefill();
  for (const { name } of services) {
    flags.set(name, 'dual-write', random.chance(0.8));
    flags.set(name, 'shadow-read', random.chance(0.5));
    flags.set(name, 'read-cutover', random.chance(0.6));
    if (profile.flip !== undefined) flags.set(name, 'write-cutover', true);
  }
  for (const replica of replicas.slice(0, settings.replicas)) replica.start();
  agents.start(random.whole(1, 4));
  startTroubles(world, replicas);
  await scheduler.run(BUSY_MS, () => agents.isDone);
  calm(world, replicas);
  await endServices(world);
  if (profile.rollback !== undefined && random.chance(0.5)) await returnAll(world, replicas);
  await rest(world, replicas, violations);
  // Nothing goes wrong any more: what replicas remember of the trouble must not stand in the way of what agents do now.
  if (random.chance(GOING_ON)) {
    prune(world, 0);
    agents.goOn(random.whole(5, 30));
    agents.start(random.whole(1, 3));
    await scheduler.run(scheduler.nowMs + BUSY_MS, () => agents.isDone);
    await rest(world, replicas, violations);
  }
  await checkFinally(world, violations);
}

/** A service that is read-only is completed, or opened again. Others may rest as they are. */
async function endServices(world: World): Promise<void> {
  const { scheduler, services, database, random, profile } = world;
  if (profile.read_only === undefined) return;
  for (const { name } of services) {
    const isReadOnly = (): boolean => database.serviceWrites.get(name)?.state === 'read_only';
    if (!isReadOnly()) continue;
    const end = random.pick(['complete', 'complete', 'open', 'stay'] as const);
    if (end === 'complete') {
      const isSettled = (): boolean => database.serviceWrites.get(name)?.settledAtMs !== undefined;
      await scheduler.run(scheduler.nowMs + SETTLING_MS, isSettled);
      void complete(world, name);
    }
    if (end === 'open') void open(world, name);
    await scheduler.run(scheduler.nowMs + COMMAND_MS, () => false);
  }
}

/** In the end a service may be returned whole. */
async function returnAll(world: World, replicas: readonly Replica[]): Promise<void> {
  const { scheduler, services } = world;
  await scheduler.run(scheduler.nowMs + SETTLING_MS, () => replicas.some(({ isReady }) => isReady));
  for (const { name: service } of services)
    beginRollback(world, replicas, { service, choice: 'all', acceptsLoss: true });
}

/** Waits until all that is owed is done. */
async function rest(world: World, replicas: readonly Replica[], violations: Violations): Promise<void> {
  const { scheduler } = world;
  const settledAt = scheduler.nowMs + SETTLING_MS;
  const isSettled = await scheduler.run(
    scheduler.nowMs + PATIENCE_MS,
    () => scheduler.nowMs >= settledAt && isQuiet(world, replicas),
  );
  if (!isSettled) violations.add('I2', `it does not come to rest: ${backlogOf(replicas)}`);
}

/** All trouble ends, everything is up, and dual writes are on. */
function calm(world: World, replicas: readonly Replica[]): void {
  world.faults.end();
  for (const server of [world.orchestrator, ...world.services.map((service) => service.server)])
    server.restart();
  world.flags.isStale = false;
  for (const { name } of world.services) {
    world.flags.set(name, 'dual-write', true);
    if (world.profile.flip !== undefined) world.flags.set(name, 'read-cutover', true);
  }
  for (const replica of replicas) replica.start();
}

/** Nothing is under way; behind a dead letter its lane may wait for a person. */
function isQuiet(world: World, replicas: readonly Replica[]): boolean {
  const { services, database } = world;
  const lanes = database.lanes();
  const mayWait = lanes.some(
    (lane) => lane.deadLetters.size > 0 || lane.condition === 'stopped' || isHalted(lane, world),
  );
  const isAtRest = replicas.every(({ incarnation }) => {
    if (incarnation?.isReady !== true) return false;
    const { deliveries, copies, shadowReads } = incarnation.migration.backlog();
    const isCovered = services.every(({ name }) => incarnation.migration.coverageOf(name) > 0);
    return (deliveries === 0 || mayWait) && copies + shadowReads === 0 && isCovered;
  });
  // A lane that another replica calls uncertain in the last moment is copied when the service is probed and a deadline is over.
  const isCopied = lanes.every(({ condition }) => condition !== 'copying' && condition !== 'dirty');
  return (
    isAtRest &&
    isCopied &&
    world.restores.toCopy(world).every((key) => waitsForLostItems(database.lane(key))) &&
    database.restored.open.length === 0 &&
    lanes.every((lane) => isThrough(lane, world)) &&
    services.every(({ server }) => server.isIdle) &&
    database.rollbacks.waiting.every(({ returning }) => mayStay(returning.lane, world))
  );
}

/** `whyNotCopied`: no request copies a lane with lost items until a person decides about each. People of the simulation never do. */
function waitsForLostItems(lane: LaneRow | undefined): boolean {
  return lane?.condition === 'stopped' && lane.reason === 'lost';
}

/** Without an acceptance a lane stays whose way back would lose something. No lane returns to a legacy that is read-only. */
function mayStay(key: LaneKey, world: World): boolean {
  const lane = world.database.lane(key);
  if (lane === undefined || world.database.isClosedTo(lane.service)) return true;
  return isHalted(lane, world) || lane.deadLetters.size > 0;
}

/** The journal knows that the lane was made equal, and that all of it is on the secondary: until then its reads stay on the primary. */
function isThrough(lane: LaneRow, world: World): boolean {
  const { database } = world;
  if (lane.primary === 'orchestrator')
    return (
      hasEveryOutcome(lane) && (!isBehind(lane, database.lastForLegacy(lane.key)) || isHalted(lane, world))
    );
  if (lane.condition !== 'clean' || lane.deadLetters.size > 0) return true;
  const isSeeded = lane.seededCoverage === database.coverage.current(lane.service).number;
  return !isBehind(lane) && (isSeeded || ![...lane.outcomes.values()].includes('applied'));
}

/** What a copy or a delivery has covered is certain without one. */
function hasEveryOutcome({ writes, outcomes, settledSequence, deliveredSequence }: LaneRow): boolean {
  const certain = Math.max(settledSequence, deliveredSequence);
  return [...writes.keys()].every((sequence) => sequence <= certain || outcomes.has(sequence));
}

function backlogOf(replicas: readonly Replica[]): string {
  return replicas
    .map(({ name, incarnation }) => `${name} ${JSON.stringify(incarnation?.migration.backlog())}`)
    .join(', ');
}

export function countViolations(results: readonly RunResult[]): Record<Invariant, number> {
  const counts = Object.fromEntries(INVARIANTS.map((invariant) => [invariant, 0])) as Record<
    Invariant,
    number
  >;
  for (const { violations } of results) for (const { invariant } of violations) counts[invariant] += 1;
  return counts;
}
