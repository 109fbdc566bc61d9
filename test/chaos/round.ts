import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../sim/random.ts';
import { judge, type Judgement } from './judge.ts';
import { LaneAgent } from './lane-agent.ts';
import { LaneRecord } from './lane-book.ts';
import type { Fault, Loss } from './faults.ts';
import { SERVICES } from './links.ts';
import { plantIn } from './plant.ts';
import type { Plant } from './options.ts';
import { settled, stoppedLanes } from './settled.ts';
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
  readonly faults: readonly Fault[];
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

/** Agents write; something goes wrong and is mended; when nothing is under way any more, both stores are held against what agents know. */
export async function play(world: World, book: LaneBook, round: Round): Promise<Judgement> {
  const { random } = round;
  for (const service of Object.values(world.legacy)) service.keep();
  const lanes = book.choose(round);
  const agents = lanes.map((lane) => new LaneAgent(lane, world.endpoints(lane.service), random));
  for (const agent of agents) agent.start();
  try {
    await suffer(world, book, round);
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()));
  }
  await settled(world);
  for (const lane of lanes) lane.close(performance.now());
  if (random.chance(PRUNED_SHARE)) await world.prune();
  if (round.plant !== undefined) await plantIn(world.orchestratorStore, lanes, round.plant);
  return judgeAll(world, lanes);
}

/** Something goes wrong, and is mended. */
async function suffer(world: World, book: LaneBook, { random, faults }: Round): Promise<void> {
  await sleep(random.whole(BEFORE_MS.least, BEFORE_MS.most));
  for (const fault of faults) await fault.strike(world, random);
  await sleep(Math.max(...faults.map(({ lastsMs: [least, most] }) => random.whole(least, most))));
  const losses = (await Promise.all(faults.map((fault) => fault.mend(world)))).flat();
  for (const loss of losses) book.lose(loss);
  await sleep(random.whole(AFTER_MS.least, AFTER_MS.most));
}

export async function judgeAll(world: World, lanes: readonly LaneRecord[]): Promise<Judgement> {
  return judge(lanes, { ...(await world.stores()), stopped: await stoppedLanes(world) });
}
