import type { LaneKey } from '../../src/domain/ids.ts';
import { parseTolerantly, isJsonObject } from '../../src/domain/json.ts';
import { marksIn } from './legacy/effects.ts';
import type { MemoryRow, WireOperation } from './orchestrator-rows.ts';
import type { Committed } from './orchestrator-store.ts';
import type { Violations } from './violations.ts';
import type { World } from './world.ts';

interface Place {
  readonly generation: number;
  readonly sequence: number;
}

/** What the orchestrator has seen of each lane so far. */
export interface CommitLog {
  readonly places: Map<string, Place>;
  /** When an item went that its primary had deleted before. */
  readonly deletedAtMs: Map<number, number>;
}

export function createCommitLog(): CommitLog {
  return { places: new Map(), deletedAtMs: new Map() };
}

/** The returned function sets it back to what it is now. */
export function backUpLog(log: CommitLog): () => void {
  const [places, deletedAtMs] = [new Map(log.places), new Map(log.deletedAtMs)];
  return () => {
    setTo(log.places, places);
    setTo(log.deletedAtMs, deletedAtMs);
  };
}

function setTo<Key, Value>(map: Map<Key, Value>, to: ReadonlyMap<Key, Value>): void {
  map.clear();
  for (const [key, value] of to) map.set(key, value);
}

interface Context {
  readonly log: CommitLog;
  readonly world: World;
  readonly violations: Violations;
}

/** I3, I4, I5 and I8 on the orchestrator, at the moment of each commit. */
export function checkCommit(committed: Committed, context: Context): void {
  checkOrder(committed, context);
  checkPrimaries(committed, context);
  checkComebacks(committed, context);
  checkDoubles(committed, context);
  for (const [index, operation] of committed.operations.entries())
    if (committed.verdicts[index] === 'applied') checkEvents(operation, context);
}

/** The writes of a lane take effect in sequence, each once. */
function checkOrder({ operations, verdicts }: Committed, { log, violations }: Context): void {
  let before: WireOperation['lane'];
  operations.forEach(({ lane }, index) => {
    const isSame = lane?.key === before?.key && lane?.sequence === before?.sequence;
    before = lane;
    if (isSame || lane?.sequence === undefined || verdicts[index] !== 'applied') return;
    const { key, ...place } = lane;
    checkPlace(key, { sequence: lane.sequence, generation: place.generation }, { log, violations });
  });
}

function checkPlace(
  key: string,
  next: Place,
  { log, violations }: Pick<Context, 'log' | 'violations'>,
): void {
  const last = log.places.get(key);
  log.places.set(key, next);
  if (last === undefined) return;
  if (last.generation === next.generation && last.sequence === next.sequence)
    violations.add('I4', `write ${next.sequence} of ${key} took effect twice on the orchestrator`);
  else if (isBehind(next, last))
    violations.add('I3', `write ${nameOf(next)} of ${key} took effect after ${nameOf(last)}`);
}

function nameOf({ generation, sequence }: Place): string {
  return `${generation}/${sequence}`;
}

function isBehind(a: Place, b: Place): boolean {
  return a.generation === b.generation ? a.sequence < b.sequence : a.generation < b.generation;
}

/** I6: nothing but the writes of its agents changes a lane whose primary is the orchestrator. */
function checkPrimaries(
  { operations, verdicts, laneWrite }: Committed,
  { world, violations }: Context,
): void {
  if (laneWrite !== undefined) return;
  for (const [index, { lane, action }] of operations.entries()) {
    if (lane === undefined || verdicts[index] !== 'applied') continue;
    const row = world.database.lane(lane.key as LaneKey);
    // T12: what a restored orchestrator lacks is given to it again from the journal.
    if (row?.primary === 'orchestrator' && !world.database.restored.isOpen(row.key))
      violations.add(
        'I6',
        `${action} ${lane.generation}/${lane.sequence} changed ${lane.key}, which is flipped`,
      );
  }
}

/** What was deleted on both sides does not come back. */
function checkComebacks({ changed }: Committed, context: Context): void {
  for (const { before, after } of changed.values()) {
    const [was, is] = [before?.isActive === true, after.isActive];
    if (was !== is) for (const number of marksIn(after.content)) checkComeback(number, is, context);
  }
}

function checkComeback(number: number, isBack: boolean, { log, world, violations }: Context): void {
  if (!isBack && isDeletedOnPrimary(number, world)) log.deletedAtMs.set(number, world.scheduler.nowMs);
  const isExpected = world.primaries.revived.has(number) || executions(number, world) >= 2;
  if (isBack && log.deletedAtMs.has(number) && !isExpected)
    violations.add('I5', `item ${number} came back to the orchestrator after its delete`);
}

function isDeletedOnPrimary(number: number, { services }: World): boolean {
  // Of what was said twice, one may be deleted and the other not.
  if (services.some(({ truth }) => truth.effects.times(number) > 1)) return false;
  return services.some(({ truth }) => truth.effects.deletedAtMs.has(number));
}

/** No item stands twice in a lane. */
function checkDoubles({ changed }: Committed, { world, violations }: Context): void {
  const sessions = new Set([...changed.values()].map(({ after }) => after.sessionId));
  for (const sessionId of sessions) {
    const seen = new Map<number, number>();
    for (const number of world.store.visible(sessionId).filter(isItem).flatMap(markOfRow)) {
      const count = (seen.get(number) ?? 0) + 1;
      if (count > Math.max(1, executions(number, world), lateOnLegacy(number, world)))
        violations.add('I4', `item ${number} stands ${count} times in ${sessionId}`);
      seen.set(number, count);
    }
  }
}

function executions(number: number, { services }: World): number {
  return services.reduce((sum, { truth }) => sum + truth.effects.times(number), 0);
}

/** Legacy has no fence. What the network held is there so often, and the copy of a returned lane shows what legacy holds. */
function lateOnLegacy(number: number, { services, primaries }: World): number {
  if (!primaries.late.has(number)) return 0;
  return services.reduce((sum, { model }) => sum + model.effects.times(number), 0);
}

/** A summary repeats the items it was made of. */
function isItem({ tags }: MemoryRow): boolean {
  return !tags.includes('summary');
}

function markOfRow({ content }: MemoryRow): number[] {
  return [...new Set(marksIn(content))];
}

/** I8: the orchestrator raises nothing while legacy does. */
function checkEvents({ action, raw, payload, sessionId }: WireOperation, { violations }: Context): void {
  if (action !== 'create' || payload['suppress_events'] === true) return;
  const content = parseTolerantly(raw['content'] ?? 'null');
  const what = isJsonObject(content) ? marksIn(JSON.stringify(content)).join() : '';
  violations.add('I8', `the orchestrator was let raise the event of item ${what} in ${sessionId}`);
}
