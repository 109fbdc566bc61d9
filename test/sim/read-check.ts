import type { Call } from './history.ts';
import { marksIn, type Effects } from './legacy/effects.ts';
import { isAcceptedIncomplete } from './restores.ts';
import type { Violations } from './violations.ts';
import type { World } from './world.ts';

/** Its answers show summaries, not what was written. */
const SHOWS_SUMMARIES = 'contextual-memory';

/**
 * A read shows every write of its lane that was acknowledged before it began, and none that an acknowledged delete had taken away.
 * From the orchestrator that is I1 and I5; from legacy, where reads come back to after a rollback, I9.
 */
export function checkRead(read: Call, world: World, violations: Violations): void {
  if (!isTelling(read, world)) return;
  const service = world.services.find(({ name }) => name === read.service);
  if (service === undefined) return;
  const { effects } = service.truth;
  const isLost = (number: number): boolean =>
    effects.lost.has(number) || (read.backend === 'legacy' && service.model.effects.lost.has(number));
  const shown = new Set(marksIn(read.reply));
  const writes = world.history.writesOf(read.lane);
  for (const write of writes.filter(({ stores }) => stores)) {
    const isShown = shown.has(write.number);
    if (!isShown && mustShow(read, write, { writes, effects, isLost }))
      violations.add(
        read.backend === 'orchestrator' ? 'I1' : 'I9',
        `read ${read.number} from ${read.backend} lacks item ${write.number}, acknowledged before it`,
      );
    if (isShown && mustHide(read, write, { writes, effects, isLost }))
      violations.add(
        'I5',
        `read ${read.number} from ${read.backend} shows item ${write.number}, deleted before it`,
      );
  }
}

/** T12: the orchestrator was set back, and a person has not requested the lane's copy yet, or has accepted what it holds. */
function mayBeIncomplete({ lane, backend }: Call, world: World): boolean {
  if (backend !== 'orchestrator') return false;
  const row = world.database.lane(lane);
  if (row !== undefined && row.primary === 'orchestrator' && isAcceptedIncomplete(world, row)) return true;
  return world.restores.mayLack(world, lane);
}

function isTelling(read: Call, world: World): boolean {
  const { status, backend, service } = read;
  const isAnswered = status === 'acknowledged' && backend !== undefined;
  return isAnswered && service !== SHOWS_SUMMARIES && !mayBeIncomplete(read, world);
}

interface Facts {
  readonly writes: readonly Call[];
  readonly effects: Effects;
  /**
   * Legacy may have lost what a flipped lane has. Only a comparison finds that, so legacy still answers if the orchestrator fails. What
   * a person gave up when the lane returned is lost as well (I9), although legacy itself never had it.
   */
  readonly isLost: (number: number) => boolean;
}

function mustShow(read: Call, item: Call, { writes, effects, isLost }: Facts): boolean {
  if (effects.forgotten.has(item.number) || isLost(item.number)) return false;
  if (isDeletedBy({ writes, effects }, item, read)) return false;
  return isAcknowledgedBefore(item, read);
}

/** An acknowledged delete was under way when legacy deleted the item. */
function mustHide(read: Call, item: Call, { writes, effects }: Facts): boolean {
  const atMs = effects.deletedAtMs.get(item.number);
  // Of what was said twice, one may be deleted and the other not.
  if (atMs === undefined || effects.times(item.number) > 1) return false;
  return writes.some(
    (write) => isAcknowledgedBefore(write, read) && write.startMs <= atMs && write.endMs >= atMs,
  );
}

function isAcknowledgedBefore(write: Call, read: Call): boolean {
  return write.status === 'acknowledged' && write.endMs < read.startMs;
}

/**
 * A delete that had begun when the read ended may have taken the item, whatever became of it. If its agent has sent it twice, one may have
 * reached the proxy after the other was acknowledged.
 */
function isDeletedBy(
  { writes, effects }: Pick<Facts, 'writes' | 'effects'>,
  item: Call,
  read: Call,
): boolean {
  const isExecutedSince = ({ number, attempts }: Call): boolean =>
    attempts > 1 && effects.executions.some((one) => one.number === number && one.atMs >= item.startMs);
  return writes.some(
    (write) =>
      write !== item &&
      write.deletes !== 'nothing' &&
      (write.deletes === 'all' || write.deletes === item.deletes) &&
      write.startMs <= read.endMs &&
      (write.endMs >= item.startMs || write.status !== 'acknowledged' || isExecutedSince(write)),
  );
}
