import { prepared } from '../../storage/sessions/session.ts';
import type { Session } from '../../storage/database.ts';
import type { Lane } from '../wire/payloads.ts';

/** The position of a lane: its last write that took effect. */
export interface Place {
  readonly generation: number;
  /** -1 while a copy has raised the generation but not yet set its sequence. */
  readonly sequence: number;
}

const UNDER_COPY = -1;

export type Verdict = 'applied' | 'superseded' | 'already_applied';

interface Judgement {
  readonly verdict: Verdict;
  /** The position of the lane afterwards. */
  readonly place: Place;
}

/**
 * The fence's verdict on a write, given the position of its lane. This check, and not retries or keys, makes late, repeated and overtaken
 * deliveries harmless.
 */
export function judge(stored: Place | undefined, { generation, sequence }: Lane): Judgement {
  if (stored === undefined || generation > stored.generation)
    return { verdict: 'applied', place: { generation, sequence: sequence ?? UNDER_COPY } };
  if (generation < stored.generation) return { verdict: 'superseded', place: stored };
  // After the last batch of a copy its earlier batches have no effect, because a late repetition would restore items deleted since.
  if (sequence === undefined)
    return { verdict: stored.sequence === UNDER_COPY ? 'applied' : 'already_applied', place: stored };
  if (sequence <= stored.sequence) return { verdict: 'already_applied', place: stored };
  return { verdict: 'applied', place: { generation, sequence } };
}

/**
 * Judges writes in order, each after the effects of the previous ones. Adjacent writes with the same lane, generation and sequence form one
 * group with one verdict, because they come from one legacy write.
 */
export function judgeInOrder(lanes: readonly (Lane | undefined)[], places: Map<string, Place>): Verdict[] {
  let group: Lane | undefined;
  let verdict: Verdict = 'applied';
  return lanes.map((lane) => {
    if (lane === undefined) {
      group = undefined;
      return 'applied';
    }
    if (group !== undefined && isSameWrite(group, lane)) return verdict;
    const judgement = judge(places.get(lane.key), lane);
    places.set(lane.key, judgement.place);
    group = lane;
    verdict = judgement.verdict;
    return verdict;
  });
}

function isSameWrite(a: Lane, b: Lane): boolean {
  return a.key === b.key && a.generation === b.generation && a.sequence === b.sequence;
}

interface LaneRow extends Place {
  readonly key: string;
}

// The generation of a new lane. Its row exists only for the lock, and every generation is higher.
const NEVER = -1;

const LOCK = prepared(
  'select key, generation, sequence from memory_lanes where key = any($1::text[]) order by key for update',
);

/** Locks lanes until the end of the transaction, in the order of their keys, so that two senders never deadlock. */
export async function lockLanes(session: Session, keys: readonly string[]): Promise<Map<string, Place>> {
  const known = await session.query<LaneRow>(LOCK, [keys]);
  const found = new Set(known.map(({ key }) => key));
  const missing = keys.filter((key) => !found.has(key));
  const made = missing.length === 0 ? [] : await makeLanes(session, missing);
  return new Map([...known, ...made].map(({ key, ...place }) => [key, place]));
}

function makeLanes(session: Session, keys: readonly string[]): Promise<LaneRow[]> {
  return session.query<LaneRow>(
    `insert into memory_lanes as l (key, generation, sequence) select key, ${NEVER}, 0 from unnest($1::text[]) key order by key
     on conflict (key) do update set key = l.key returning key, generation, sequence`,
    [keys],
  );
}

const STORE = prepared(`
update memory_lanes l set generation = p.generation, sequence = p.sequence
from unnest($1::text[], $2::bigint[], $3::bigint[]) as p (key, generation, sequence)
where l.key = p.key and (l.generation, l.sequence) is distinct from (p.generation, p.sequence)`);

/** Stores the new positions of the lanes. */
export async function storePlaces(session: Session, places: ReadonlyMap<string, Place>): Promise<void> {
  await session.query(STORE, [
    [...places.keys()],
    [...places.values()].map(({ generation }) => generation),
    [...places.values()].map(({ sequence }) => sequence),
  ]);
}

/**
 * Moves lanes to their new positions. Keys, generations, first and last sequences are four array parameters, starting at the given number.
 * Returns the keys of the lanes whose position was below the first sequence.
 */
export const passing = (parameter: number): string => `
insert into memory_lanes as l (key, generation, sequence)
select key, generation, last
from unnest($${parameter}::text[], $${parameter + 1}::bigint[], $${parameter + 3}::bigint[]) as a (key, generation, last) order by key
on conflict (key) do update set generation = excluded.generation, sequence = excluded.sequence
  where (excluded.generation, ($${parameter + 2}::bigint[])[array_position($${parameter}::text[], l.key)]) > (l.generation, l.sequence)
returning l.key`;

const PASS = prepared(passing(1));

export interface Passed {
  readonly verdicts: readonly Verdict[];
  /** The positions of the lanes that refused a write. */
  readonly standing: ReadonlyMap<string, Place>;
}

/**
 * Locks the lanes, judges the writes, and stores the positions, in one statement. Nearly every delivery uses it. Returns undefined and does
 * nothing if a lane occurs more than once, or without a sequence.
 */
export async function passAll(
  session: Session,
  lanes: readonly (Lane | undefined)[],
): Promise<Passed | undefined> {
  const passage = passageOf(lanes);
  if (passage === undefined) return undefined;
  const [keys, , first, last] = passage;
  if (first.some((sequence, index) => sequence !== last[index])) return undefined;
  const passed = await session.query<{ key: string }>(PASS, passage);
  const through = new Set(passed.map(({ key }) => key));
  // A row whose condition failed is locked as well, so the reason can be read afterwards.
  const places = through.size === keys.length ? new Map<string, Place>() : await lockLanes(session, keys);
  const verdicts = lanes.map((lane) => {
    if (lane === undefined || through.has(lane.key)) return 'applied';
    return judge(places.get(lane.key), lane).verdict;
  });
  return { verdicts, standing: places };
}

/** The parameters of {@link passing}. */
export type Passage = readonly [keys: string[], generations: number[], first: number[], last: number[]];

/** Undefined if a lane's writes have no sequence, different generations, or are not in sequence. */
export function passageOf(lanes: readonly (Lane | undefined)[]): Passage | undefined {
  const passages = new Map<string, { generation: number; first: number; last: number }>();
  for (const { key, generation, sequence } of groupsOf(lanes)) {
    const before = passages.get(key);
    if (sequence === undefined) return undefined;
    if (before === undefined) passages.set(key, { generation, first: sequence, last: sequence });
    else if (before.generation !== generation || sequence <= before.last) return undefined;
    else before.last = sequence;
  }
  const all = [...passages.values()];
  return [
    [...passages.keys()],
    all.map(({ generation }) => generation),
    all.map(({ first }) => first),
    all.map(({ last }) => last),
  ];
}

/** Each legacy write once: adjacent operations with the same lane, generation and sequence count as one. */
function groupsOf(lanes: readonly (Lane | undefined)[]): Lane[] {
  return lanes.filter((lane, index): lane is Lane => {
    const before = lanes[index - 1];
    return lane !== undefined && !(before !== undefined && isSameWrite(before, lane));
  });
}
