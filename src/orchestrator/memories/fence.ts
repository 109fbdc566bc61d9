import { prepared } from '../../storage/sessions/session.ts';
import type { Session } from '../../storage/database.ts';
import type { Lane } from '../wire/payloads.ts';

/** What set the sequence of a lane: a write, the action close_sequence, or a copy of the whole lane. */
export type SetBy = 'write' | 'close' | 'copy';

/** The position of a lane: its last write that took effect. */
export interface Place {
  /** Raised by every change of the side that takes the lane's writes first. */
  readonly epoch: number;
  readonly generation: number;
  /** {@link UNDER_COPY} while a copy has raised the generation but not yet set its sequence. */
  readonly sequence: number;
  readonly setBy: SetBy;
}

export const UNDER_COPY = -1;
/** The generation of a new lane. Its row exists only for the lock, and every generation is higher. */
export const NEVER = -1;

export type Verdict = 'applied' | 'superseded' | 'already_applied';

interface Judgement {
  readonly verdict: Verdict;
  /** The position of the lane afterwards. The given one, if it has not changed. */
  readonly place: Place;
}

/**
 * The fence's verdict on a write, given the position of its lane. This check, and not retries or keys, makes late, repeated and overtaken
 * deliveries harmless. A higher epoch is stored whatever the verdict, because senders of older epochs must not write any more.
 */
export function judge(stored: Place | undefined, lane: Lane): Judgement {
  if (stored === undefined || stored.generation === NEVER)
    return applied(lane, lane.sequence === undefined ? 'copy' : 'write');
  const { epoch = 0 } = lane;
  if (epoch < stored.epoch) return { verdict: 'superseded', place: stored };
  return judgeInEpoch(epoch === stored.epoch ? stored : { ...stored, epoch }, lane);
}

function judgeInEpoch(stored: Place, lane: Lane): Judgement {
  const { generation, sequence } = lane;
  if (generation > stored.generation) return applied(lane, 'copy');
  if (generation < stored.generation) return { verdict: 'superseded', place: stored };
  // After the last batch of a copy its earlier batches have no effect, because a late repetition would restore items deleted since.
  if (sequence === undefined)
    return { verdict: stored.sequence === UNDER_COPY ? 'applied' : 'already_applied', place: stored };
  if (sequence <= stored.sequence) return { verdict: 'already_applied', place: stored };
  return applied(lane, stored.sequence === UNDER_COPY ? 'copy' : 'write');
}

function applied({ epoch = 0, generation, sequence = UNDER_COPY }: Lane, setBy: SetBy): Judgement {
  return { verdict: 'applied', place: { epoch, generation, sequence, setBy } };
}

/** The answer to a write that an epoch or a generation above its own kept out. */
export function supersededAnswer(place: Place | undefined, { epoch = 0 }: Lane): object {
  return {
    superseded: true,
    // The sender may have lost its record of the lane. Its next generation must be above this one.
    lane_generation: place?.generation,
    lane_epoch: place !== undefined && epoch < place.epoch ? place.epoch : undefined,
  };
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

/** Whether two operations come from one write of a lane. */
export function isSameWrite(a: Lane, b: Lane): boolean {
  return (
    a.key === b.key &&
    a.generation === b.generation &&
    a.sequence === b.sequence &&
    (a.epoch ?? 0) === (b.epoch ?? 0)
  );
}

interface LaneRow extends Place {
  readonly key: string;
}

const COLUMNS = 'key, epoch, generation, sequence, set_by as "setBy"';

const LOCK = prepared(
  `select ${COLUMNS} from memory_lanes where key = any($1::text[]) order by key for update`,
);

/** Locks lanes until the end of the transaction, in the order of their keys, so that two senders never deadlock. */
async function lockLanes(session: Session, keys: readonly string[]): Promise<Map<string, Place>> {
  const known = await session.query<LaneRow>(LOCK, [keys]);
  const found = new Set(known.map(({ key }) => key));
  const missing = keys.filter((key) => !found.has(key));
  const made = missing.length === 0 ? [] : await makeLanes(session, missing);
  return new Map([...known, ...made].map(({ key, ...place }) => [key, place]));
}

function makeLanes(session: Session, keys: readonly string[]): Promise<LaneRow[]> {
  return session.query<LaneRow>(
    `insert into memory_lanes as l (key, generation, sequence) select key, ${NEVER}, 0 from unnest($1::text[]) key order by key
     on conflict (key) do update set key = l.key returning ${COLUMNS}`,
    [keys],
  );
}

// What is kept of the write that set the sequence ends with that sequence.
const STORE = prepared(`
update memory_lanes l set epoch = p.epoch, generation = p.generation, sequence = p.sequence, set_by = p.set_by,
  operation_id = case when (l.generation, l.sequence) = (p.generation, p.sequence) then l.operation_id end,
  answer = case when (l.generation, l.sequence) = (p.generation, p.sequence) then l.answer end
from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) as p (key, epoch, generation, sequence, set_by)
where l.key = p.key`);

/** Stores the new positions of the lanes. */
export async function storePlaces(session: Session, moved: ReadonlyMap<string, Place>): Promise<void> {
  const places = [...moved.values()];
  await session.query(STORE, [
    [...moved.keys()],
    places.map(({ epoch }) => epoch),
    places.map(({ generation }) => generation),
    places.map(({ sequence }) => sequence),
    places.map(({ setBy }) => setBy),
  ]);
}

/**
 * Moves lanes to their new positions. Keys, epochs, generations, first and last sequences are five array parameters, starting at the given
 * number. Returns the keys of the lanes whose position was below the first sequence.
 */
export function passing(parameter: number): string {
  const [keys, epochs, generations, firsts, lasts] = [0, 1, 2, 3, 4].map((more) => `$${parameter + more}`);
  const first = `(${firsts}::bigint[])[array_position(${keys}::text[], l.key)]`;
  return `
insert into memory_lanes as l (key, epoch, generation, sequence)
select key, epoch, generation, last
from unnest(${keys}::text[], ${epochs}::bigint[], ${generations}::bigint[], ${lasts}::bigint[]) as a (key, epoch, generation, last)
order by key
on conflict (key) do update set epoch = excluded.epoch, generation = excluded.generation, sequence = excluded.sequence,
  set_by = case when (l.sequence = ${UNDER_COPY} or excluded.generation > l.generation) and excluded.sequence = ${first}
    then 'copy' else 'write' end, operation_id = null, answer = null
  where excluded.epoch >= l.epoch and (excluded.generation, ${first}) > (l.generation, l.sequence)
returning l.key`;
}

const PASS = prepared(passing(1));

export interface Passed {
  readonly verdicts: readonly Verdict[];
  /** The positions of the lanes that refused a write. */
  readonly standing: ReadonlyMap<string, Place>;
  /** New positions of lanes that are not stored yet. */
  readonly moved: ReadonlyMap<string, Place>;
}

/** Locks the lanes of writes and judges them. The caller stores what has moved, after the writes. */
export async function pass(session: Session, lanes: readonly (Lane | undefined)[]): Promise<Passed> {
  const keys = [...new Set(lanes.flatMap((lane) => (lane === undefined ? [] : [lane.key])))];
  const nowhere = new Map<string, Place>();
  if (keys.length === 0) return { verdicts: lanes.map(() => 'applied'), standing: nowhere, moved: nowhere };
  const passed = await passAll(session, lanes);
  if (passed !== undefined) return passed;
  const places = await lockLanes(session, keys);
  const locked = new Map(places);
  const verdicts = judgeInOrder(lanes, places);
  return { verdicts, standing: places, moved: movedFrom(locked, places) };
}

/**
 * Locks the lanes, judges the writes, and stores the positions, in one statement. Nearly every delivery uses it. Returns undefined and does
 * nothing if a lane occurs more than once, or without a sequence.
 */
async function passAll(session: Session, lanes: readonly (Lane | undefined)[]): Promise<Passed | undefined> {
  const passage = passageOf(lanes);
  if (passage === undefined) return undefined;
  const [keys, , , first, last] = passage;
  if (first.some((sequence, index) => sequence !== last[index])) return undefined;
  const passed = await session.query<{ key: string }>(PASS, passage);
  const through = new Set(passed.map(({ key }) => key));
  const refused = lanes.filter((lane) => lane !== undefined && !through.has(lane.key));
  // A row whose condition failed is locked as well, so the reason can be read afterwards.
  const locked = refused.length === 0 ? new Map<string, Place>() : await lockLanes(session, keys);
  const places = new Map(locked);
  const verdicts = lanes.map((lane) => {
    if (lane === undefined || through.has(lane.key)) return 'applied';
    const { verdict, place } = judge(locked.get(lane.key), lane);
    places.set(lane.key, place);
    return verdict;
  });
  return { verdicts, standing: locked, moved: movedFrom(locked, places) };
}

function movedFrom(
  before: ReadonlyMap<string, Place>,
  after: ReadonlyMap<string, Place>,
): Map<string, Place> {
  return new Map([...after].filter(([key, place]) => place !== before.get(key)));
}

/** The parameters of {@link passing}. */
export type Passage = readonly [
  keys: string[],
  epochs: number[],
  generations: number[],
  first: number[],
  last: number[],
];

/** Undefined if a lane's writes have no sequence, different epochs or generations, or are not in sequence. */
export function passageOf(lanes: readonly (Lane | undefined)[]): Passage | undefined {
  const passages = new Map<string, { epoch: number; generation: number; first: number; last: number }>();
  for (const { key, epoch = 0, generation, sequence } of groupsOf(lanes)) {
    const before = passages.get(key);
    if (sequence === undefined) return undefined;
    if (before === undefined) passages.set(key, { epoch, generation, first: sequence, last: sequence });
    else if (before.epoch !== epoch || before.generation !== generation || sequence <= before.last)
      return undefined;
    else before.last = sequence;
  }
  const all = [...passages.values()];
  return [
    [...passages.keys()],
    all.map(({ epoch }) => epoch),
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
