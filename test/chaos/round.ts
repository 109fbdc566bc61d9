import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../sim/random.ts';
import { judge, type Judgement } from './judge.ts';
import { LaneAgent } from './lane-agent.ts';
import { LaneRecord } from './lane-book.ts';
import type { DealtFault, Loss } from './faults.ts';
import { SERVICES } from './links.ts';
import { awaitFlip, awaitReturn, beginReturns, liftHolds, movesIn, stopReturns } from './movement.ts';
import { plantIn } from './plant.ts';
import type { Plant } from './options.ts';
import type { Phase } from './points.ts';
import { lanesIn, settled } from './settled.ts';
import type { World } from './world.ts';

const BEFORE_MS = { least: 200, most: 900 };
const AFTER_MS = { least: 200, most: 1_000 };
/** Lanes of a service that go on from earlier rounds, and those that begin with this one. */
const OLD_LANES = 2;
const NEW_LANES = 1;
/** After so many rounds all that is through leaves the journal, and the lanes of earlier rounds are written again without it. */
const PRUNED_SHARE = 0.5;

export interface Round {
  readonly number: number;
  readonly faults: readonly DealtFault[];
  readonly random: Random;
  readonly plant: Plant | undefined;
}

/** The lanes of all rounds. */
export class LaneBook {
  readonly lanes: LaneRecord[] = [];

  /** The lanes that are written to in a round: new ones, and earlier ones of which nothing was lost. */
  choose({ number, random }: Round): LaneRecord[] {
    return SERVICES.flatMap((service) => {
      const earlier = this.lanes.filter((lane) => lane.service === service && lane.losses.length === 0);
      const old = new Set(
        Array.from({ length: Math.min(OLD_LANES, earlier.length) }, () => random.pick(earlier)),
      );
      const begun = Array.from(
        { length: NEW_LANES + OLD_LANES - old.size },
        (_, index) => new LaneRecord(service, `r${number}-${index}`),
      );
      this.lanes.push(...begun);
      return [...old, ...begun];
    });
  }

  lose({ service, window }: Loss): void {
    for (const lane of this.lanes) if (lane.service === service) lane.losses.push(window);
  }
}

/**
 * Agents write while lanes move and return; something goes wrong and is mended; when nothing is under way any more, both stores are held
 * against what agents know.
 */
export async function play(world: World, book: LaneBook, round: Round): Promise<Judgement> {
  const { random } = round;
  for (const service of Object.values(world.legacy)) service.keep();
  const lanes = book.choose(round);
  const agents = lanes.map((lane) => new LaneAgent(lane, world.endpoints(lane.service), random));
  for (const agent of agents) agent.start();
  try {
    await moveAndReturn(world, book, { round, agents });
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
  }
  await stopReturns(world);
  await settled(world);
  for (const lane of lanes) lane.close(performance.now());
  if (random.chance(PRUNED_SHARE)) await world.prune();
  if (round.plant !== undefined) await plantIn(world, lanes, round.plant);
  return judgeAll(world, lanes);
}

interface Played {
  readonly round: Round;
  readonly agents: readonly LaneAgent[];
}

/** In every round lanes move to the orchestrator, and some return. */
async function moveAndReturn(world: World, book: LaneBook, { round, agents }: Played): Promise<void> {
  const before = await movesIn(world);
  const calmly = async (waited: Promise<void>): Promise<void> => {
    for (const agent of agents) agent.calm(true);
    await waited;
    for (const agent of agents) agent.calm(false);
  };
  // A planted fault needs a session that has moved.
  const stays = (lane: LaneRecord): boolean =>
    lane.losses.length > 0 || (round.plant !== undefined && lane.service === 'session-memory');
  const beginReturning = (): Promise<void> => beginReturns(world, round.random, book.lanes.filter(stays));
  await suffer(world, book, { round, during: 'moving', begin: () => liftHolds(world) });
  await calmly(awaitFlip(world, before));
  await suffer(world, book, { round, during: 'returning', begin: beginReturning });
  await calmly(awaitReturn(world, before, beginReturning));
}

interface Suffering {
  readonly round: Round;
  readonly during: Phase;
  /** What a person does, so that lanes move or return. */
  readonly begin: () => Promise<void>;
}

/** Something goes wrong, and is mended. */
async function suffer(world: World, book: LaneBook, { round, during, begin }: Suffering): Promise<void> {
  const { random } = round;
  const faults = round.faults.filter((dealt) => dealt.during === during).map(({ fault }) => fault);
  for (const fault of faults) await fault.prepare?.(world);
  await begin();
  await sleep(random.whole(BEFORE_MS.least, BEFORE_MS.most));
  if (faults.length === 0) return;
  for (const fault of faults) await fault.strike(world, random);
  await sleep(Math.max(...faults.map(({ lastsMs: [least, most] }) => random.whole(least, most))));
  const losses = (await Promise.all(faults.map((fault) => fault.mend(world)))).flat();
  for (const loss of losses) book.lose(loss);
  await sleep(random.whole(AFTER_MS.least, AFTER_MS.most));
}

export async function judgeAll(world: World, lanes: readonly LaneRecord[]): Promise<Judgement> {
  return judge(lanes, { ...(await world.stores()), ...(await lanesIn(world)) });
}
