import type { LaneKey } from '../../src/domain/ids.ts';
import type { LaneState } from '../../src/domain/lane.ts';
import type { Begin, JournalUnderTest, Lane, Opened } from './journal-contract-lane.ts';

const EXPIRED_MS = 3_500;

/** Two replicas that have registered, and a lane that both write to. */
export interface Pair {
  readonly here: Opened & { readonly lane: Lane };
  readonly there: Opened & { readonly lane: Lane };
  /** The lane's replica `here` is not heard of any more. */
  readonly dies: () => Promise<void>;
}

export type MakePair = () => Promise<Pair>;

export function pairsOf(subject: () => JournalUnderTest, begin: Begin): MakePair {
  return async () => {
    const here = begin();
    const opened = subject().open();
    const there = { ...opened, lane: here.lane.seenBy(opened.journal) };
    for (const { replicas, identity } of [here, there]) await replicas.register(identity.id);
    return { here, there, dies: () => subject().silence(here.identity.id, EXPIRED_MS) };
  };
}

/** What the next question of a home tells it of a lane. */
export async function takenBy(replica: Opened, lane: LaneKey): Promise<LaneState | undefined> {
  return (await replica.journal.takeForeign()).get(lane);
}
