import { sessionIdOf, type LaneKey, type Owner } from '../../src/domain/ids.ts';
import { parseTolerantly } from '../../src/domain/json.ts';
import { decodeAnswer, encodeRead } from '../../src/backends/orchestrator-wire.ts';
import { FORGOTTEN_TAG } from '../../src/engine/items/copy-plan.ts';
import { readMemories } from '../../src/engine/items/lane-contents.ts';
import type { Orchestrator } from '../../src/engine/ports/ports.ts';
import { allWrites, numberOf, type LaneRow } from './lane-row.ts';
import { marksIn } from './legacy/effects.ts';
import { answerRequest } from './orchestrator-wire.ts';
import { isAcceptedIncomplete } from './restores.ts';
import type { Violations } from './violations.ts';
import type { SimService, World } from './world.ts';

/** Whether the service has lost items of this owner, or never got them because a person gave them up. */
export function hasLost({ services, primaries }: World, lane: LaneKey): boolean {
  if (primaries.givenUp.has(lane)) return true;
  const slash = lane.indexOf('/');
  const service = services.find(({ name }) => name === lane.slice(0, slash));
  return service?.model.effects.lostFrom.has(lane.slice(slash + 1)) === true;
}

/** Whether items of the lane are lost, or the journal cannot know that they are not. */
export function mayCountAsLost(world: World, lane: LaneRow): boolean {
  if (hasLost(world, lane.key) || wasFullOnce(world, lane.key) || world.restores.wasSetBackUnknown(lane.key))
    return true;
  return wasClearedOutOfTurn(world, lane) || wasRecordedLate(world, lane) || wasDeleteUndone(world, lane);
}

/**
 * Whether a restored orchestrator may show again what a delete had removed, and the journal cannot tell. It has pruned the delete, or the
 * delete named its items, and one that was delivered again would be taken for the loss of an equal item. A person decides.
 */
function wasDeleteUndone({ services, history, restores }: World, lane: LaneRow): boolean {
  const service = services.find(({ name }) => name === lane.service);
  const setBackAtMs = restores.setBackAtMs(lane.key);
  const before = service?.model.effects.executions.filter(({ atMs }) => atMs <= setBackAtMs) ?? [];
  const done = new Set(before.map(({ number }) => number));
  const deletes = history
    .writesOf(lane.key)
    .filter((call) => call.deletes !== 'nothing' && done.has(call.number));
  const kept = [...lane.writes.values()].filter(({ items }) => items === undefined);
  const explaining = new Set(kept.map(({ request }) => numberOf(request)));
  return deletes.some(({ number }) => !explaining.has(number));
}

/**
 * Whether the service evicted items from a full list, and a delete may have made it shorter then. A later copy cannot know that the
 * list was full, and lets a person decide.
 */
function wasFullOnce({ services, history }: World, key: LaneKey): boolean {
  const service = services.find(({ name }) => name === key.slice(0, key.indexOf('/')));
  const writes = history.writesOf(key);
  const hasEvicted = writes.some(({ number }) => service?.model.effects.forgotten.has(number));
  return hasEvicted && writes.some(({ deletes }) => deletes !== 'nothing');
}

/**
 * Whether a delete of unknown outcome reached the service after a write that follows it in the journal, and took that write's item. The
 * journal cannot know that. The item counts as lost, and a person decides.
 */
function wasClearedOutOfTurn({ services, history }: World, lane: LaneRow): boolean {
  const service = services.find(({ name }) => name === lane.service);
  if (service === undefined) return false;
  const { deletedAtMs, executions } = service.model.effects;
  const deletes = new Set(
    history.writesOf(lane.key).flatMap((call) => (call.deletes === 'nothing' ? [] : [call.number])),
  );
  const all = allWrites(lane).map(({ write, outcome }) => ({ number: numberOf(write.request), outcome }));
  const taken = all.flatMap(({ number }, place) => (deletedAtMs.has(number) ? [{ number, place }] : []));
  return taken.some(({ number, place }) =>
    all
      .slice(0, place)
      .some(
        (earlier) =>
          earlier.outcome === 'unknown' &&
          deletes.has(earlier.number) &&
          executions.some((one) => one.number === earlier.number && one.atMs === deletedAtMs.get(number)),
      ),
  );
}

/**
 * Whether the journal learned only after an hour of rest that a write had been applied before it. The journal knows by the record of an
 * outcome when the service had the owner last. What the service forgot in that hour therefore counts as lost, and a person decides.
 */
function wasRecordedLate({ services, scheduler }: World, lane: LaneRow): boolean {
  const service = services.find(({ name }) => name === lane.service);
  if (service?.model.effects.goneOwners.has(lane.owner) !== true) return false;
  const { executions } = service.model.effects;
  return allWrites(lane).some(({ write, outcome, recordedMs = -Infinity }) => {
    const number = numberOf(write.request);
    // Said again by its agent, it may be executed once more after its record.
    const before = executions.filter((one) => one.number === number && one.atMs <= recordedMs);
    const lastMs = Math.max(...before.map(({ atMs }) => atMs));
    return outcome === 'applied' && scheduler.idles.some(({ atMs }) => lastMs <= atMs && atMs < recordedMs);
  });
}

/** I2: an acknowledged write that its service lost is on the orchestrator, or its lane waits for a person. It is never `forgotten`. */
export async function checkLosses(world: World, violations: Violations): Promise<void> {
  for (const service of world.services)
    for (const lane of world.database.lanes())
      if (lane.service === service.name && hasLost(world, lane.key))
        await checkLane(lane, service, world, violations);
}

async function checkLane(
  lane: LaneRow,
  service: SimService,
  world: World,
  violations: Violations,
): Promise<void> {
  const { lost, forgotten } = service.model.effects;
  const isLost = (number: number): boolean => lost.has(number) && !forgotten.has(number);
  const { shown, hidden } = await heldOf(world, service, lane.owner);
  for (const number of [...hidden].filter(isLost))
    violations.add('I2', `${lane.key} calls item ${number} forgotten, which its service lost`);
  if (lane.condition === 'stopped' && lane.reason === 'lost' && !world.database.lostItems.has(lane.key))
    violations.add('I2', `${lane.key} stopped for what was lost, and lists nothing`);
  if (isLeftToPerson(lane, world)) return;
  for (const number of coveredOf(lane, world).filter(isLost))
    if (!shown.has(number) && !isGoneEverywhere(lane, number, world))
      violations.add('I2', `item ${number} of ${lane.key} was acknowledged and lost, and nothing says so`);
}

/** Legacy has lost it, the orchestrator was restored from a backup, and the journal has pruned its write. Nothing can tell of it. */
function isGoneEverywhere(lane: LaneRow, number: number, { restores }: World): boolean {
  const isKept = [...lane.writes.values()].some(({ request }) => numberOf(request) === number);
  return !isKept && restores.setBackAtMs(lane.key) > -Infinity;
}

/** A person decides about the lane, or has accepted that the restored orchestrator lacks some of it. */
function isLeftToPerson(lane: LaneRow, world: World): boolean {
  if (lane.condition === 'stopped' || lane.deadLetters.size > 0) return true;
  return lane.primary === 'orchestrator' && isAcceptedIncomplete(world, lane);
}

/** Writes that were journaled under the present coverage, and that no later write may have deleted. */
function coveredOf(lane: LaneRow, { database, history, plant }: World): readonly number[] {
  const { number: coverage } = database.coverage.current(lane.service);
  const writes = history.writesOf(lane.key);
  return allWrites(lane)
    .filter(({ write, outcome }) => outcome === 'applied' && write.coverage === coverage)
    .map(({ write }) => numberOf(write.request))
    .filter((number) => {
      const call = writes.find((one) => one.number === number);
      if (call === undefined || !call.stores || plant.isPoison(number)) return false;
      return !writes.some(
        (other) =>
          other !== call &&
          (other.deletes === 'all' || other.deletes === call.deletes) &&
          other.deletes !== 'nothing' &&
          other.endMs >= call.startMs,
      );
    });
}

interface Held {
  readonly shown: ReadonlySet<number>;
  /** What is marked forgotten. */
  readonly hidden: ReadonlySet<number>;
}

async function heldOf({ store }: World, { model }: SimService, owner: Owner): Promise<Held> {
  const envelope = { requestId: 'judge', timestamp: '', key: undefined };
  const orchestrator: Pick<Orchestrator, 'read'> = {
    read: async (call) => decodeAnswer(answerRequest(store, encodeRead(call, envelope))),
  };
  const memories = await readMemories({
    orchestrator: orchestrator as Orchestrator,
    sessionId: sessionIdOf(model.definition.lanes.sessionPrefix, owner),
    options: () => ({ purpose: 'probe', deadlineAtMs: Infinity }),
  });
  const isHidden = ({ tags }: { readonly tags: readonly string[] }): boolean => tags.includes(FORGOTTEN_TAG);
  const marksOf = (list: typeof memories): Set<number> =>
    new Set(list.flatMap(({ content }) => marksIn(JSON.stringify(parseTolerantly(content)))));
  const shown = marksOf(memories.filter((memory) => !isHidden(memory)));
  const hidden = marksOf(memories.filter(isHidden));
  return { shown, hidden: new Set([...hidden].filter((number) => !shown.has(number))) };
}
