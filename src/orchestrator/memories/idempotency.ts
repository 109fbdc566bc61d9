import { createHash } from 'node:crypto';
import { CrossfadeError } from '../../domain/errors.ts';
import { encodeJson, Json } from '../../domain/json.ts';
import { sqlstateOf } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { Call } from '../call.ts';
import { answerPlace } from '../encryption/sealed-content.ts';
import type { VaultDatabase as Database, VaultSession as Session } from '../encryption/vault-session.ts';

/*
 * A repeated write with the same request_id gets its first answer again for 24 hours. The answer is stored in the transaction of the write,
 * under a hash of caller, session and payload. A different body with the same id is a new write, because the original clients generate short
 * and repeated ids. The write is tried first. A repetition is detected by the unique key, or by the refusal of a write that cannot be done
 * twice. Repetitions are rare, so a first write needs no lookup.
 */

/** SHA-256 over caller, session, action, request_id and the members of the payload, independent of their order and white space. */
export type WriteKey = Buffer;

/** The key of a write with a request_id. A fenced write has none, because its fence is exact. */
export function keyOf({ request, caller }: Call): WriteKey | undefined {
  const { sessionId, action, requestId, lane, raw } = request;
  if (requestId === undefined || lane !== undefined) return undefined;
  const hash = createHash('sha256').update(JSON.stringify([caller.id, sessionId, action, requestId]));
  for (const name of Object.keys(raw).sort())
    hash.update(`\n${JSON.stringify(name)}:`).update(raw[name] ?? '');
  return hash.digest();
}

const KEEP = prepared('insert into idempotency_keys (key, answer) values ($1, $2)');

/** Stores the answer of a write in the write's own transaction. @throws StorageError if it is a repetition */
export async function keepAnswer(session: Session, key: WriteKey, answer: object): Promise<void> {
  const { text } = session.vault.sealText(answerPlace(key.toString('hex')), encodeJson(answer));
  await session.query(KEEP, [key, text]);
}

/** Runs a write that stores its answer. For a repetition it returns the first answer. */
export async function once(database: Database, key: WriteKey, write: () => Promise<object>): Promise<object> {
  try {
    return await write();
  } catch (error) {
    if (!mayBeRepetition(error)) throw error;
    const [stored] = await database.query<{ answer: string }>(
      `select encode(key, 'hex') as key, answer from idempotency_keys where key = $1`,
      [key],
    );
    if (stored === undefined) throw error;
    return new Json(stored.answer);
  }
}

function mayBeRepetition(error: unknown): boolean {
  if (!(error instanceof CrossfadeError)) return false;
  const isKnownKey = sqlstateOf(error) === '23505' && error.details['table'] === 'idempotency_keys';
  return isKnownKey || error.effect === 'rejected';
}
