import { ValidationError } from '../../domain/errors.ts';
import type { VaultDatabase as Database, VaultSession as Session } from '../encryption/vault-session.ts';
import type { Request } from '../wire/request.ts';
import { isSameWrite, judge } from './fence.ts';
import {
  keptAnswer,
  keptOut,
  type LaneRow,
  lockLane,
  type NumberedLane,
  numberedLane,
  raiseEpoch,
  setLane,
} from './lane-row.ts';
import { firstUnmet, ISOLATED, needsIsolation, type Requirement, requirementsOf } from './requirements.ts';
import { inBestWay, retried, type Way, type WriteAction, writeInOrder } from './write.ts';

/*
 * A batch that is one write of its lane: its sender names it, or makes it depend on preconditions. The row of the lane is locked first.
 * So two senders of one sequence, a repetition and a close take turns, even in different processes. The row keeps what set the
 * sequence, and its answer, in the transaction of the write.
 */

/** One write of a lane, of several operations. */
export interface LaneWrite {
  readonly lane: NumberedLane;
  readonly requirements: readonly Requirement[];
  readonly operations: readonly Request<WriteAction>[];
}

/** Undefined if the batch is not one write: then each of its operations has a fence of its own. @throws ValidationError */
export function laneWriteOf(
  request: Request<'batch_write'>,
  operations: readonly Request<WriteAction>[],
): LaneWrite | undefined {
  const requirements = requirementsOf(request);
  const isNamed = request.lane?.operation_id !== undefined;
  if (requirements.length === 0 && !isNamed) return undefined;
  const lane = numberedLane(request, isNamed ? 'a write with lane.operation_id' : 'a write with requires');
  const other = operations.findIndex(
    (operation) => operation.lane === undefined || !isSameWrite(operation.lane, lane),
  );
  if (other >= 0)
    throw new ValidationError(
      `Operation ${other}: its lane differs from that of the batch, which is one write of one lane`,
      { details: { field: 'lane', operation: other } },
    );
  return { lane, requirements, operations };
}

/** @throws RefusedOperation: then nothing is stored, and the sequence is not taken */
export function writeAsOne(database: Database, write: LaneWrite): Promise<object> {
  return inBestWay((way) => retried(() => database.transaction((session) => writeOnce(session, write, way))));
}

async function writeOnce(session: Session, write: LaneWrite, way: Way): Promise<object> {
  const { lane, requirements, operations } = write;
  if (needsIsolation(requirements)) await session.script(ISOLATED);
  const row = await lockLane(session, lane);
  const { verdict, place } = judge(row, lane);
  if (verdict !== 'applied') {
    if (place.epoch !== row.epoch) await raiseEpoch(session, lane, place.epoch);
    return isRepeated(row, lane) ? { ...keptAnswer(row), repeated: true } : keptOut(row, lane);
  }
  const refused = await firstUnmet(session, requirements);
  const indexes = [...operations.keys()];
  const answer =
    refused === undefined
      ? { results: await writeInOrder(session, operations, { indexes, way }) }
      : { refused };
  const { operation_id: operationId } = lane;
  const kept = operationId === undefined ? undefined : { operationId, answer };
  await setLane(session, lane, { ...place, setBy: 'write', kept });
  return answer;
}

function isRepeated(row: LaneRow, lane: NumberedLane): boolean {
  const { epoch = 0, generation, sequence, operation_id: operationId } = lane;
  const isThere = epoch >= row.epoch && generation === row.generation && sequence === row.sequence;
  return isThere && row.setBy === 'write' && operationId !== undefined && operationId === row.operationId;
}
