import type { Database } from './database.ts';
import { allWrites, numberOf, type LaneRow } from './lane-row.ts';
import { marksIn } from './legacy/effects.ts';
import type { Violations } from './violations.ts';
import type { SimService } from './world.ts';

interface Returned {
  readonly lane: LaneRow;
  readonly service: Pick<SimService, 'model' | 'truth'>;
  readonly database: Database;
  /** What the network held so long that only a comparison finds it. */
  readonly late: ReadonlySet<number>;
}

/** Writes of a lane that legacy lacks, and why that is no fault. */
interface Lacking {
  /** Legacy's retention has forgotten the owner. */
  readonly forgotten: ReadonlySet<number>;
  /** A person has given them up. */
  readonly givenUp: ReadonlySet<number>;
  /** Their agents had an error. */
  readonly notApplied: ReadonlySet<number>;
}

function lackingOf(lane: LaneRow, { reverse, rollbacks }: Database): Lacking {
  const [forgotten, givenUp, notApplied] = [new Set<number>(), new Set<number>(), new Set<number>()];
  const isAccepted = rollbacks.rows.some(
    ({ acceptsLoss, lanes }) => acceptsLoss && lanes.some((one) => one.lane === lane.key && one.lost > 0),
  );
  for (const { write, outcome } of allWrites(lane)) {
    const number = numberOf(write.request);
    const ending = reverse.find(write)?.ending;
    if (ending === 'forgotten') forgotten.add(number);
    else if (ending === 'skipped' || (isAccepted && ending === undefined)) givenUp.add(number);
    if (outcome === 'not_applied') notApplied.add(number);
  }
  return { forgotten, givenUp, notApplied };
}

/** I9: at the moment of its return legacy has what the lane's primary took, unless a person has given it up. */
export function checkReturn(returned: Returned, violations: Violations): void {
  const { lane, service } = returned;
  const { model, truth } = service;
  const [taken, there] = [truth.textsOf(lane.owner), model.textsOf(lane.owner)];
  const excuses = excusesOf(returned);
  for (const text of without(taken, there))
    if (!isExcused(text, excuses))
      violations.add('I9', `${lane.key} returned to legacy, which lacks ${text}`);
  const deleted = (text: string): boolean =>
    marksIn(text).some((number) => truth.effects.deletedAtMs.has(number));
  for (const text of without(there, taken).filter(deleted))
    if (!excuses.mayHaveDeleted && !isExcused(text, excuses))
      violations.add('I9', `${lane.key} returned to legacy, which still has ${text}`);
}

/** Why the stores may differ. */
interface Excuses {
  readonly numbers: ReadonlySet<number>;
  /** Whether items without a number may be gone. */
  readonly mayLackOthers: boolean;
  /** Whether a delete may have been given up. */
  readonly mayHaveDeleted: boolean;
}

function excusesOf({ lane, service: { model }, database, late }: Returned): Excuses {
  const { forgotten, lost, lostFrom, goneOwners } = model.effects;
  const lacking = lackingOf(lane, database);
  const lacked = Object.values(lacking).flatMap((numbers) => [...numbers]);
  const isUnusual = lostFrom.has(lane.owner) || goneOwners.has(lane.owner) || late.size > 0;
  return {
    numbers: new Set([...forgotten, ...lost.keys(), ...late, ...lacked]),
    mayLackOthers: isUnusual || lacked.length > 0,
    mayHaveDeleted: isUnusual || lacking.givenUp.size > 0,
  };
}

function isExcused(text: string, { numbers, mayLackOthers }: Excuses): boolean {
  const marks = marksIn(text);
  return marks.length === 0 ? mayLackOthers : marks.every((number) => numbers.has(number));
}

interface Adopted {
  /** Items that were deleted, and are there again. */
  readonly revived: readonly number[];
  /** Whether a person has given up writes of the lane. The copy from legacy lists them as lost. */
  readonly isGivenUp: boolean;
}

/** Legacy is the primary again, with what it holds. */
export function adoptLegacy(
  lane: LaneRow,
  { model, truth }: Returned['service'],
  database: Database,
): Adopted {
  const { owner } = lane;
  const { forgotten, givenUp } = lackingOf(lane, database);
  const gone = without(truth.textsOf(owner), model.textsOf(owner)).flatMap(marksIn);
  for (const number of gone)
    if (forgotten.has(number) || model.effects.forgotten.has(number)) truth.effects.forgotten.add(number);
    else truth.effects.lose(owner, [number], []);
  truth.adopt(owner, model);
  const revived = truth
    .textsOf(owner)
    .flatMap(marksIn)
    .filter((number) => truth.effects.deletedAtMs.has(number));
  for (const number of revived) truth.effects.deletedAtMs.delete(number);
  return { revived, isGivenUp: givenUp.size > 0 };
}

/** The first list without what the second has, each once. */
function without(texts: readonly string[], others: readonly string[]): string[] {
  const left = [...others];
  return texts.filter((text) => {
    const at = left.indexOf(text);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
