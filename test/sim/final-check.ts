import { laneKeyOf, sessionIdOf, type Owner } from '../../src/domain/ids.ts';
import type { LegacyAccess } from '../../src/domain/service-definition.ts';
import { digestOfFields } from '../../src/engine/items/copy-plan.ts';
import { readContents } from '../../src/engine/items/lane-contents.ts';
import type { Orchestrator } from '../../src/engine/ports/ports.ts';
import type { Database } from './database.ts';
import { checkExplained } from './explained-check.ts';
import type { Call } from './history.ts';
import { allWrites, numberOf, type LaneRow } from './lane-row.ts';
import { marksIn, type Effects, type LegacyModel } from './legacy/effects.ts';
import { answerRequest } from './orchestrator-wire.ts';
import { decodeAnswer, encodeRead } from '../../src/backends/orchestrator-wire.ts';
import { checkLosses, mayCountAsLost } from './loss-check.ts';
import { isAcceptedIncomplete } from './restores.ts';
import { isHaltedSend } from './reverse-sends.ts';
import type { Violations } from './violations.ts';
import type { SimService, World } from './world.ts';

/** One item of a lane, on either side. */
interface Item {
  readonly digest: string;
  readonly numbers: readonly number[];
  readonly text: string;
}

/** What must hold when all trouble is over and nothing waits any more. */
export async function checkFinally(world: World, violations: Violations): Promise<void> {
  checkAcknowledged(world, violations);
  checkListed(world, violations);
  await checkLosses(world, violations);
  for (const service of world.services) {
    checkOrder(service, world, violations);
    checkSideEffects(service, world, violations);
    for (const owner of service.owners) await checkStores(service, owner as Owner, { world, violations });
  }
}

interface Judging {
  readonly world: World;
  readonly violations: Violations;
}

/** Both stores of a lane hold what its primary took. */
async function checkStores(service: SimService, owner: Owner, { world, violations }: Judging): Promise<void> {
  const lane = laneKeyOf(service.name, owner);
  const row = world.database.lane(lane);
  // Behind a dead letter its lane waits; what waits is listed.
  if (row !== undefined && isNotCompared(row, world)) return;
  const isFlipped = row?.primary === 'orchestrator';
  if (isFlipped) await checkReversed(service, row, { world, violations });
  const orchestrator = await orchestratorItems(world, service, owner);
  const legacy = await legacyItems(isFlipped ? service.truth : service.model, owner);
  const hasExceptions = (row?.exceptions ?? 0) > 0;
  const isLate = ({ numbers, digest }: Item): boolean =>
    numbers.some((number) => world.primaries.late.has(number)) &&
    !orchestrator.some((item) => item.digest === digest);
  const isListed = ({ numbers }: Item): boolean =>
    hasExceptions && numbers.some((number) => world.plant.isPoison(number));
  const expected = legacy.filter((item) => !isListed(item) && !isLate(item));
  const { effects } = service.truth;
  if (isFlipped && world.restores.unacknowledged(row, effects.executions).size > 0)
    return checkAcknowledgedItems(row, { expected, orchestrator }, violations);
  compareLane(
    {
      lane,
      legacy: expected,
      orchestrator,
      effects,
      isFlipped,
    },
    violations,
  );
}

/** A person must decide about it, or has accepted what a restored orchestrator holds (T12). */
function isNotCompared(row: LaneRow, world: World): boolean {
  if (row.deadLetters.size > 0 || isForAPerson(row, world)) return true;
  return row.primary === 'orchestrator' && isAcceptedIncomplete(world, row);
}

/** What was applied is there. What a write of unknown outcome has done to the others, an older copy may have forgotten. */
function checkAcknowledgedItems(
  lane: LaneRow,
  { expected, orchestrator }: { readonly expected: readonly Item[]; readonly orchestrator: readonly Item[] },
  violations: Violations,
): void {
  const applied = new Set(
    allWrites(lane).flatMap(({ write, outcome }) => (outcome === 'applied' ? [numberOf(write.request)] : [])),
  );
  for (const { numbers, text } of without(expected, orchestrator))
    if (numbers.length > 0 && numbers.every((number) => applied.has(number)))
      violations.add('I1', `${lane.key}: the orchestrator lacks ${text}`);
}

/** I1: every acknowledged write took effect on the primary, once. I4: none took effect twice. */
function checkAcknowledged({ history, services, database }: World, violations: Violations): void {
  const executions = services.flatMap(({ truth }) => truth.effects.executions);
  const times = timesOf(executions);
  const effective = timesOf(executions.filter(({ isRefused }) => isRefused !== true));
  for (const call of history.calls) {
    const count = times.get(call.number) ?? 0;
    const acknowledged = timesAcknowledged(call);
    if (count < acknowledged && !mayBeIdle(call, database))
      violations.add(
        'I1',
        `write ${call.number} of ${call.lane} was acknowledged ${acknowledged} times and executed ${count} times`,
      );
    const without = Math.max(0, timesRefused(call, database) - (count - (effective.get(call.number) ?? 0)));
    if ((effective.get(call.number) ?? 0) - without > call.meant + call.suspected.size)
      violations.add('I4', `write ${call.number} of ${call.lane} was executed ${count} times`);
  }
}

/** The orchestrator refuses a delete that has nothing to delete, which the simulated service answers like any other. */
function timesRefused({ lane, number }: Call, database: Database): number {
  const row = database.lane(lane);
  if (row === undefined) return 0;
  return allWrites(row).filter(
    ({ write, outcome }) => outcome === 'refused' && numberOf(write.request) === number,
  ).length;
}

function timesOf(executions: readonly { readonly number: number }[]): ReadonlyMap<number, number> {
  const times = new Map<number, number>();
  for (const { number } of executions) times.set(number, (times.get(number) ?? 0) + 1);
  return times;
}

/** The last time that a write was meant may be without a reply. */
function timesAcknowledged({ kind, status, meant }: Call): number {
  if (kind === 'read') return 0;
  return status === 'acknowledged' ? meant : meant - 1;
}

/** The orchestrator is not asked for a delete that names no item. */
function mayBeIdle({ stores, lane }: Call, database: Database): boolean {
  return !stores && database.lane(lane)?.flips.some(({ to }) => to === 'orchestrator') === true;
}

/** Its service lost items of it; or much vanished, and the journal does not know why: it was deleted while writes passed unjournaled. */
function isForAPerson(lane: LaneRow, world: World): boolean {
  const { key, condition, reason } = lane;
  if (condition === 'stopped' && reason === 'lost') return mayCountAsLost(world, lane);
  if (condition !== 'stopped' || reason !== 'would_remove_too_much') return false;
  return world.history
    .writesOf(key)
    .some(({ deletes, isCovered, attempts }) => deletes === 'all' && attempts > 0 && !isCovered);
}

function isWell(lane: LaneRow, world: World): boolean {
  return lane.condition === 'clean' || isForAPerson(lane, world);
}

/** I2: after all trouble nothing is left dirty, stopped, dead or waiting. I6: and each lane has its one primary. */
function checkListed(world: World, violations: Violations): void {
  const { database, plant } = world;
  for (const lane of database.lanes()) {
    if (!isWell(lane, world))
      violations.add('I2', `${lane.key} is still ${lane.condition} (${lane.reason}) in the end`);
    checkLetters(lane, { world, violations });
    checkFlips(lane, violations);
    checkExplained(lane, database, violations);
    if (lane.exceptions > 0 && plant.poisonEvery === 0)
      violations.add('I2', `${lane.key} has ${lane.exceptions} exceptions`);
  }
}

function checkLetters(lane: LaneRow, { world, violations }: Judging): void {
  for (const [sequence, { code }] of lane.deadLetters) {
    const write = lane.writes.get(sequence);
    if (write === undefined || !world.plant.isPoison(numberOf(write.request)))
      violations.add('I2', `write ${sequence} of ${lane.key} became a dead letter (${code})`);
  }
}

/** I6: its epoch and its primary are those of its last flip, and each flip has changed the primary. */
function checkFlips({ key, epoch, primary, flips }: LaneRow, violations: Violations): void {
  if (epoch !== flips.length || primary !== (flips.at(-1)?.to ?? 'legacy'))
    violations.add('I6', `${key} has epoch ${epoch} and was flipped ${flips.length} times`);
  for (const [index, { to, epoch: number }] of flips.entries())
    if (number !== index + 1 || to !== (number % 2 === 1 ? 'orchestrator' : 'legacy'))
      violations.add('I6', `flip ${index + 1} of ${key} to ${to} has epoch ${number}`);
}

/** I3 on the primary: writes with a definite outcome were executed in the order of their sequence. */
function checkOrder({ truth, name }: SimService, { database }: World, violations: Violations): void {
  const executedAt = new Map(truth.effects.executions.map(({ number }, index) => [number, index]));
  for (const lane of database.lanes()) {
    if (lane.service !== name) continue;
    let last = -1;
    for (const { write, outcome } of allWrites(lane)) {
      const { sequence } = write;
      const number = numberOf(write.request);
      const place = truth.effects.times(number) === 1 ? executedAt.get(number) : undefined;
      if (outcome !== 'applied' || place === undefined) continue;
      if (place < last)
        violations.add('I3', `write ${sequence} of ${lane.key} overtook another on its primary`);
      last = place;
    }
  }
}

/** I8: legacy raised the side effect of a write as often as its primary took the write, and again for what it had lost. */
function checkSideEffects(
  { model, truth, name }: SimService,
  { primaries }: World,
  violations: Violations,
): void {
  for (const [number, times] of model.effects.raised)
    if (times > truth.effects.times(number) && !primaries.late.has(number) && !model.effects.lost.has(number))
      violations.add('I8', `${name} raised the side effect of write ${number} ${times} times`);
}

/** A person must decide about one of its writes, or nothing of it is sent to legacy any more. */
export function isHalted({ id, key }: LaneRow, { database: { reverse } }: World): boolean {
  return reverse.isLost(key) || reverse.of(id).some(isHaltedSend);
}

/** Writes that a person keeps from legacy for good. What going back would lose lists them, also if the return did not take place. */
function skippedOf(lane: LaneRow, { reverse }: Database): ReadonlySet<number> {
  const skipped = allWrites(lane).filter(({ write }) => reverse.find(write)?.ending === 'skipped');
  return new Set(skipped.map(({ write }) => numberOf(write.request)));
}

/**
 * I2 of reverse delivery: legacy has what the orchestrator took, unless it has forgotten or lost the owner, or a person has decided or
 * must decide.
 */
async function checkReversed(
  service: SimService,
  lane: LaneRow,
  { world, violations }: Judging,
): Promise<void> {
  const { model, truth } = service;
  const { key, owner } = lane;
  const { lostFrom, goneOwners, forgotten } = model.effects;
  if (isHalted(lane, world) || lostFrom.has(owner) || goneOwners.has(owner)) return;
  if (isFirstForgotten(lane, world.database)) return;
  const [taken, there] = [await legacyItems(truth, owner), await legacyItems(model, owner)];
  const skipped = skippedOf(lane, world.database);
  const undone = world.restores.unacknowledged(lane, truth.effects.executions);
  const missing = without(taken, there);
  const unnumbered = missing.filter(({ numbers }) => numbers.length === 0).slice(unnumberedOf(lane, undone));
  const numbered = missing.filter(({ numbers }) => numbers.length > 0);
  // What reached legacy late, or without the journal, is for a comparison to find.
  const deletedLate = deletedBy(model.effects, world.primaries.late);
  for (const item of [...unnumbered, ...numbered])
    if (
      !item.numbers.some((number) =>
        [forgotten, skipped, undone, deletedLate].some((known) => known.has(number)),
      )
    )
      violations.add('I2', `${key} is flipped, and legacy lacks ${item.text}`);
  const isKnown = (number: number): boolean =>
    !world.primaries.late.has(number) && world.database.holds(key, number);
  const held = await orchestratorItems(world, service, owner);
  const back = without(held, taken).filter(isBack(truth.effects, undone));
  const extra = without(there, [...taken, ...back]);
  const repeats = lateRepeats(lane, { model, truth }, world);
  const unnamed = extra.filter(({ numbers }) => numbers.length === 0).slice(repeats);
  const named = extra.filter(({ numbers }) => numbers.length > 0 && numbers.every(isKnown));
  for (const item of [...unnamed, ...named])
    violations.add(
      item.numbers.some((number) => truth.effects.deletedAtMs.has(number)) ? 'I5' : 'I4',
      `${key} is flipped, and legacy has also ${item.text}`,
    );
}

/** Items that these writes have deleted. */
function deletedBy(
  { deletedAtMs, executions }: Pick<Effects, 'deletedAtMs' | 'executions'>,
  writes: ReadonlySet<number>,
): ReadonlySet<number> {
  const times = new Set(executions.filter(({ number }) => writes.has(number)).map(({ atMs }) => atMs));
  return new Set([...deletedAtMs].flatMap(([number, atMs]) => (times.has(atMs) ? [number] : [])));
}

/**
 * T9, step 7: the journal does not know how old an owner is that was only copied. If legacy has lost it before its first write, it is taken
 * for forgotten.
 */
function isFirstForgotten({ id }: LaneRow, { reverse }: Database): boolean {
  return reverse.of(id).some(({ ref, ending }) => ref.sequence === 1 && ending === 'forgotten');
}

/**
 * T12: an orchestrator that was set back shows again what such a write had removed. No agent was acknowledged that write, so legacy keeps
 * the item, too.
 */
function isBack(
  { deletedAtMs, executions }: Pick<Effects, 'deletedAtMs' | 'executions'>,
  undone: ReadonlySet<number>,
): (item: Item) => boolean {
  const undoneAtMs = new Set(executions.filter(({ number }) => undone.has(number)).map(({ atMs }) => atMs));
  return ({ numbers }) => numbers.some((number) => undoneAtMs.has(deletedAtMs.get(number) ?? NaN));
}

/** How many of these writes make items that show no number. */
function unnumberedOf(lane: LaneRow, numbers: ReadonlySet<number>): number {
  const requests = allWrites(lane).map(({ write }) => write.request);
  const unnumbered = requests.filter((request) => marksIn(request).length === 0).map(numberOf);
  return new Set(unnumbered.filter((number) => numbers.has(number))).size;
}

/**
 * T9: the network may hold an attempt until after the probes. Legacy then executes it beside the next one, and only a comparison finds
 * that. So often legacy did this with writes whose items show no number.
 */
function lateRepeats(
  lane: LaneRow,
  { model, truth }: Pick<SimService, 'model' | 'truth'>,
  { primaries }: World,
): number {
  const late = new Set(
    allWrites(lane)
      .filter(({ write }) => marksIn(write.request).length === 0)
      .map(({ write }) => numberOf(write.request))
      .filter((number) => primaries.late.has(number)),
  );
  const repeatsOf = (number: number): number => model.effects.times(number) - truth.effects.times(number);
  return [...late].reduce((sum, number) => sum + Math.max(0, repeatsOf(number)), 0);
}

async function legacyItems(model: LegacyModel, owner: Owner): Promise<Item[]> {
  const { definition, jsonFile, sqlite } = model;
  const access: LegacyAccess = {
    ...(jsonFile && { jsonFile: async () => jsonFile() }),
    ...(sqlite && { sqlite: async (sql: string, parameters: readonly string[]) => sqlite(sql, parameters) }),
  };
  const { items } = await definition.lanes.readLegacy(owner, access, { timeZone: 'UTC' });
  return items.map(({ fields }) => itemOf(fields));
}

async function orchestratorItems({ store }: World, { model }: SimService, owner: Owner): Promise<Item[]> {
  const { lanes } = model.definition;
  const envelope = { requestId: 'judge', timestamp: '', key: undefined };
  const orchestrator: Pick<Orchestrator, 'read'> = {
    read: async (call) => decodeAnswer(answerRequest(store, encodeRead(call, envelope))),
  };
  const contents = await readContents({
    orchestrator: orchestrator as Orchestrator,
    sessionId: sessionIdOf(lanes.sessionPrefix, owner),
    lanes,
    options: () => ({ purpose: 'probe', deadlineAtMs: Infinity }),
  });
  return contents.listed.map(({ fields }) => itemOf(fields));
}

export function itemOf(fields: Readonly<Record<string, string>>): Item {
  const text = JSON.stringify(fields);
  return { digest: digestOfFields(fields), numbers: marksIn(text), text };
}

interface Lane {
  readonly lane: string;
  readonly legacy: readonly Item[];
  readonly orchestrator: readonly Item[];
  readonly effects: Effects;
  /** The orchestrator is the primary of its writes. @defaultValue false */
  readonly isFlipped?: boolean;
}

/** Equal contents in the same order, except for what the service forgot by itself or lost. */
export function compareLane(
  { lane, legacy, orchestrator, effects, isFlipped = false }: Lane,
  violations: Violations,
): void {
  const missing = without(legacy, orchestrator);
  const extra = without(orchestrator, legacy);
  for (const item of missing)
    violations.add(isFlipped ? 'I1' : 'I2', `${lane}: the orchestrator lacks ${item.text}`);
  const lostRepeats = new Map(effects.lostRepeats);
  for (const item of extra) judgeExtra(item, { lane, effects, violations, lostRepeats });
  if (missing.length > 0) return;
  const gone = new Set<Item>(extra);
  // A service forgets the oldest of equal items. After a loss an equal item may be written again, so any of them may be the one that is left.
  const hasLostItems = effects.lostFrom.has(lane.slice(lane.indexOf('/') + 1));
  const compared = hasLostItems ? orchestrator : orchestrator.filter((item) => !gone.has(item));
  if (!isWithin(legacy, compared))
    violations.add(
      'I3',
      `${lane}: the items stand in another order on the orchestrator: ${orderOf(orchestrator)} instead of ${orderOf(legacy)}`,
    );
}

/** Whether the second list shows the items of the first in their order, with or without others between them. */
function isWithin(items: readonly Item[], others: readonly Item[]): boolean {
  let found = 0;
  for (const { digest } of others) if (digest === items[found]?.digest) found += 1;
  return found === items.length;
}

function orderOf(items: readonly Item[]): string {
  return items.map(({ numbers }) => numbers.join('+') || '-').join(' ');
}

interface ExtraJudging extends Pick<Lane, 'lane' | 'effects'> {
  readonly violations: Violations;
  /** Each explains so many items, once. */
  readonly lostRepeats: Map<number, number>;
}

function judgeExtra(item: Item, { lane, effects, violations, lostRepeats }: ExtraJudging): void {
  const { forgotten, lost, lostFrom, deletedAtMs } = effects;
  const isLostRepeat = (number: number): boolean => {
    const count = lostRepeats.get(number) ?? 0;
    lostRepeats.set(number, count - 1);
    return count > 0;
  };
  const isExplained = (number: number): boolean =>
    forgotten.has(number) || lost.has(number) || isLostRepeat(number);
  if (item.numbers.length > 0 ? item.numbers.every(isExplained) : lostFrom.size > 0) return;
  const isDeleted = item.numbers.some((number) => deletedAtMs.has(number));
  violations.add(
    isDeleted ? 'I5' : 'I4',
    `${lane}: the orchestrator still shows ${item.text}${isDeleted ? ', which was deleted' : ', which legacy has not'}`,
  );
}

/** The first list without what the second has, each item once. Of equal items the oldest are taken to be gone. */
function without(items: readonly Item[], others: readonly Item[]): Item[] {
  const left = new Map<string, number>();
  for (const { digest } of others) left.set(digest, (left.get(digest) ?? 0) + 1);
  return items.toReversed().filter(({ digest }) => {
    const count = left.get(digest) ?? 0;
    left.set(digest, count - 1);
    return count <= 0;
  });
}
