import { encodeJson, Json, rawMembers } from '../../domain/json.ts';
import { ValidationError } from '../../domain/errors.ts';
import { prepared } from '../../storage/sessions/session.ts';
import { answerPlace } from '../encryption/sealed-content.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { LIMITS } from '../wire/limits.ts';
import type { Lane } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import { NEVER, type Place, supersededAnswer } from './fence.ts';

/** The place of a write that is known by its number. */
export interface NumberedLane extends Lane {
  readonly sequence: number;
}

/** The lane of a request that must have a sequence. @throws ValidationError */
export function numberedLane(
  { action, lane }: Pick<Request, 'action' | 'lane'>,
  why: string = action,
): NumberedLane {
  if (lane === undefined)
    throw new ValidationError(`lane is required for ${why}`, { details: { field: 'lane' } });
  const { sequence } = lane;
  if (sequence === undefined)
    throw new ValidationError(`lane.sequence is required for ${why}`, {
      details: { field: 'lane.sequence' },
    });
  return { ...lane, sequence };
}

/** A locked lane: its position, and what set it. */
export interface LaneRow extends Place {
  /** The write that set the sequence. Null if the sender did not name it, or no write set the sequence. */
  readonly operationId: string | null;
  /** The answer of that write as JSON, if it has the sequence that the lane was locked for. */
  readonly answer: string | null;
}

// The key is for the vault, which opens a sealed answer.
const COLUMNS = `key, epoch, generation, sequence, set_by as "setBy", operation_id as "operationId"`;
const LOCK = prepared(
  `select ${COLUMNS}, case when sequence = $2::bigint then answer end as answer from memory_lanes where key = $1 for update`,
);
const MAKE = prepared(
  `insert into memory_lanes as l (key, generation, sequence) values ($1, ${NEVER}, 0)
   on conflict (key) do update set key = l.key returning ${COLUMNS}, case when sequence = $2::bigint then answer end as answer`,
);

/** Locks one lane until the end of the transaction, and makes its row if there is none. */
export async function lockLane(session: Session, { key, sequence }: NumberedLane): Promise<LaneRow> {
  const [known] = await session.query<LaneRow>(LOCK, [key, sequence]);
  const [row] = known === undefined ? await session.query<LaneRow>(MAKE, [key, sequence]) : [known];
  if (row === undefined) throw new Error('The row of a lane was not made');
  return row;
}

const SET = prepared(`
update memory_lanes set epoch = $2::bigint, generation = $3::bigint, sequence = $4::bigint, set_by = $5, operation_id = $6, answer = $7
where key = $1`);

/** What a lane keeps of the write that set its sequence. */
interface Kept {
  readonly operationId: string;
  readonly answer: object;
}

/** Stores the new position of a lane, and the answer to repeat. @throws ValidationError if the answer is too long to keep */
export async function setLane(
  session: Session,
  { key }: Lane,
  place: Place & { readonly kept?: Kept | undefined },
): Promise<void> {
  const { epoch, generation, sequence, setBy, kept } = place;
  const answer = kept === undefined ? null : sealed(session, key, kept.answer);
  await session.query(SET, [key, epoch, generation, sequence, setBy, kept?.operationId, answer]);
}

const RAISE = prepared('update memory_lanes set epoch = $2::bigint where key = $1');

/** Stores only the epoch. What set the sequence stays known. */
export async function raiseEpoch(session: Session, { key }: Lane, epoch: number): Promise<void> {
  await session.query(RAISE, [key, epoch]);
}

function sealed({ vault }: Session, key: string, answer: object): string | null {
  const text = encodeJson(answer);
  if (Buffer.byteLength(text) > LIMITS.keptAnswerBytes)
    throw new ValidationError(
      `The answer would have more than ${LIMITS.keptAnswerBytes} bytes, which is too long to keep under lane.operation_id: send fewer operations`,
      { reason: 'answer_too_large', details: { field: 'operations', limit: LIMITS.keptAnswerBytes } },
    );
  return vault.sealText(answerPlace(key), text).text;
}

/** The members of the kept answer, in their first spelling. Empty if none was kept. */
export function keptAnswer({ answer }: LaneRow): Record<string, Json> {
  const members = Object.entries(rawMembers(answer ?? '{}'));
  return Object.fromEntries(members.map(([name, value]) => [name, new Json(value)]));
}

/** The answer to a request that the fence kept out: by an epoch or a generation above its own, or by the lane's sequence. */
export function keptOut(row: LaneRow, lane: NumberedLane): object {
  const { epoch = 0, generation } = lane;
  if (epoch < row.epoch || generation < row.generation) return supersededAnswer(row, lane);
  return {
    already_applied: true,
    lane_sequence: row.sequence,
    set_by: row.setBy,
    operation_id: row.operationId,
  };
}
