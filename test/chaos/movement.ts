import { setTimeout as sleep } from 'node:timers/promises';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import type { OperatorCalls } from '../support/operator-calls.ts';
import type { Random } from '../sim/random.ts';
import type { LaneRecord } from './lane-book.ts';
import { REPLICAS } from './links.ts';
import type { World } from './world.ts';

/** A write whose agent got no reply keeps its lane where it is for a minute, and a failed attempt is followed by a pause. */
const LIMIT_MS = 240_000;
const PAUSE_MS = 250;

/** Changes of primaries since the run began. */
interface Moves {
  readonly flips: number;
  readonly returns: number;
  /** Lanes whose first write went to the orchestrator. */
  readonly born: number;
}

const MOVES = `
select count(*) filter (where primary_backend = 'orchestrator' and not facts ? 'is_born')::int as flips,
  count(*) filter (where primary_backend = 'legacy')::int as returns,
  count(*) filter (where facts ? 'is_born')::int as born
from flips`;

/** Lanes that wait for nothing, newest first. */
const FLIPPED = `
select service, owner from lanes
where primary_backend = 'orchestrator' and condition = 'clean' and coalesce(repeats_until <= now(), true) order by id desc`;

interface FlippedLane {
  readonly service: StandInService;
  readonly owner: string;
}

export async function movesIn(world: World): Promise<Moves> {
  const [moves] = await world.journal<Moves>(MOVES);
  return moves ?? { flips: 0, returns: 0, born: 0 };
}

/** Asks one replica after the other. Undefined where none carries it out: a fault may keep them all from it. */
async function askAny<Answer>(
  { operators }: World,
  ask: (operator: OperatorCalls) => Promise<Answer>,
): Promise<Answer | undefined> {
  for (const replica of REPLICAS) {
    try {
      return await ask(operators[replica]);
    } catch {
      // The other one may be reached, or this is asked again.
    }
  }
  return undefined;
}

/** A person lifts what holds further flips, where a replica can be reached. */
export async function liftHolds(world: World): Promise<void> {
  const held = await world
    .journal<{ service: string }>('select distinct service from flip_holds where lifted_at is null')
    .catch(() => []);
  for (const { service } of held)
    await askAny(world, (operator) => operator.post(`/v1/services/${service}/flips/lift`));
}

/** Waits until a lane was flipped since then. @throws Error that says what keeps the lanes */
export async function awaitFlip(world: World, before: Moves): Promise<void> {
  await until(
    async () => {
      await liftHolds(world);
      return (await movesIn(world)).flips > before.flips;
    },
    () => whatKeeps(world),
  );
}

/** A person returns flipped lanes of each service: one lane, those beyond a percentage, or all. Services without such lanes are skipped. */
export async function beginReturns(
  world: World,
  random: Random,
  staying: readonly LaneRecord[],
): Promise<void> {
  const given = new Set(staying.map(({ key }) => key));
  const flipped = (await world.journal<FlippedLane>(FLIPPED).catch(() => [])).filter(
    ({ service, owner }) => !given.has(`${service}/${owner}`),
  );
  for (const service of new Set(flipped.map((lane) => lane.service))) {
    const { owner } = random.pick(flipped.filter((lane) => lane.service === service));
    const choice = random.pick([{ owner }, { owner }, { percent: random.whole(0, 50) }, { all: true }]);
    await askAny(world, (operator) => operator.post('/v1/rollbacks', { service, ...choice }));
  }
}

/** Waits until a lane was returned since then. @throws Error that says what keeps the lanes */
export async function awaitReturn(world: World, before: Moves, again: () => Promise<void>): Promise<void> {
  await until(
    async () => {
      if ((await movesIn(world)).returns > before.returns) return true;
      const running = await world.journal('select from rollbacks where ended_at is null');
      if (running.length === 0) await again();
      return false;
    },
    () => whatKeeps(world),
  );
}

/** Lanes that could not return yet stay on the orchestrator. */
export async function stopReturns(world: World): Promise<void> {
  await until(
    async () => {
      const running = await world.journal<{ id: number }>('select id from rollbacks where ended_at is null');
      for (const { id } of running)
        await askAny(world, (operator) => operator.post(`/v1/rollbacks/${id}/stop`));
      return running.length === 0;
    },
    () => whatKeeps(world),
  );
}

/** @throws Error with the reason, after four minutes */
async function until(isSo: () => Promise<boolean>, why: () => Promise<string>): Promise<void> {
  const lastAtMs = performance.now() + LIMIT_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > lastAtMs) throw new Error(await why());
    await sleep(PAUSE_MS);
  }
}

async function whatKeeps(world: World): Promise<string> {
  const flips = await Promise.all(
    ['session-memory', 'contextual-memory', 'jarvis-memory'].map((service) =>
      askAny(world, (operator) => operator.get<object>(`/v1/services/${service}/flips`)),
    ),
  );
  const returns = await world.journal(
    `select r.service, l.key, x.attempts, x.reason from rollbacks r join rollback_lanes x on x.rollback_id = r.id
     join lanes l on l.id = x.lane_id where r.ended_at is null and x.returned_at is null`,
  );
  return `No lane was moved:\n${[...flips, ...returns].map((one) => JSON.stringify(one)).join('\n')}`;
}
