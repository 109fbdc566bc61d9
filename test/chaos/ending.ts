import { setTimeout as sleep } from 'node:timers/promises';
import { createEndOfMigration } from '../support/end-of-service.ts';
import { eventually } from '../support/eventually.ts';
import { Random } from '../sim/random.ts';
import { LaneAgent } from './lane-agent.ts';
import type { LaneRecord } from './lane-book.ts';
import type { LaneBook } from './round.ts';
import { REPLICAS } from './links.ts';
import { liftHolds, stopReturns } from './movement.ts';
import { END_POINTS } from './points.ts';
import { settled } from './settled.ts';
import type { World } from './world.ts';

/** The service whose file is never torn, so that every lane of it can move. */
const SERVICE = 'session-memory';
/** Lanes of the service that are written to meanwhile. */
const LANES = 3;
/** A lane with a write of unknown outcome moves after a minute. */
const MOVED_WITHIN_MS = 240_000;
const REACHED_WITHIN_MS = 30_000;
const WRITING_MS = 1_000;

const LEFT = `
select l.key, l.condition, l.sequence, l.delivered_sequence, l.seeded_coverage, l.exceptions, l.finding, l.foreign_count - l.foreign_seen as notes,
  l.claim_replica, l.repeats_until > now() as repeats, a.attempts, a.reason, a.next_at,
  (select jsonb_agg(jsonb_build_object('sequence', w.sequence, 'replica', w.replica, 'action', w.action)) from writes w
    where w.lane_id = l.id and not exists (select from outcomes o where o.lane_id = w.lane_id and o.sequence = w.sequence)) as open
from lanes l left join flip_attempts a on a.lane_id = l.id
where l.service = '${SERVICE}' and l.primary_backend = 'legacy'`;

/**
 * Ends the migration of one service, with a kill at each of its crash points: after it is recorded as read-only, and after it is complete.
 * Between the two it is opened again, so that legacy gets what it was not sent.
 */
export async function endOneService(world: World, book: LaneBook, seed: number): Promise<void> {
  await allMove(world);
  const lanes = book.lanes.filter(({ service }) => service === SERVICE).slice(-LANES);
  await whileWriting(world, lanes, seed, async () => {
    await killedAt(world, 'K13', () => endOf(world).readOnly());
    await endOf(world)
      .readOnly()
      .catch(() => undefined);
    await endOf(world).settled();
  });
  await endOf(world).reopen();
  await settled(world);
  await whileWriting(world, lanes, seed + 1, async () => {
    await endOf(world).readOnly();
    await endOf(world).settled();
    await killedAt(world, 'K14', () => endOf(world).complete());
    await sleep(WRITING_MS);
  });
  await settled(world);
}

function endOf({ operators }: World) {
  return createEndOfMigration(operators.first, SERVICE);
}

async function allMove(world: World): Promise<void> {
  world.ask({ dualWrite: true, shadowRead: 20, readCutover: 100, writeCutover: 100 });
  await stopReturns(world);
  const areAllMoved = async (): Promise<boolean> => {
    await liftHolds(world);
    return (await world.journal(LEFT)).length === 0;
  };
  const what = `all lanes of ${SERVICE} on the orchestrator`;
  await eventually(what, areAllMoved, MOVED_WITHIN_MS).catch(async (error: unknown) => {
    const left = (await world.journal(LEFT)).map((row) => JSON.stringify(row));
    const flips = await world.operators.first.get<object>(`/v1/services/${SERVICE}/flips`);
    throw new Error([what, ...left, JSON.stringify(flips)].join('\n'), { cause: error });
  });
}

/** Both replicas are killed as soon as they know of the step. */
async function killedAt(
  world: World,
  point: keyof typeof END_POINTS,
  step: () => Promise<void>,
): Promise<void> {
  const { replicas, points } = world;
  points.deal(point);
  const armed = await Promise.all(REPLICAS.map((replica) => replicas[replica].arm(END_POINTS[point])));
  const killed = Promise.race(armed.map((one) => one.killed.then(() => points.hit(point))));
  await sleep(WRITING_MS);
  await step();
  await Promise.race([killed, sleep(REACHED_WITHIN_MS, undefined, { ref: false })]);
  for (const replica of REPLICAS) {
    await replicas[replica].kill();
    await replicas[replica].restart();
  }
}

async function whileWriting(
  world: World,
  lanes: readonly LaneRecord[],
  seed: number,
  work: () => Promise<void>,
): Promise<void> {
  const random = new Random(seed);
  const agents = lanes.map((lane) => new LaneAgent(lane, world.endpoints(SERVICE), random));
  for (const agent of agents) agent.start();
  try {
    await work();
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
    for (const lane of lanes) lane.close(performance.now());
  }
}
