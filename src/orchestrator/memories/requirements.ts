import { ValidationError } from '../../domain/errors.ts';
import type { Session } from '../../storage/database.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import { VISIBLE } from './filter.ts';

interface SessionRequirement {
  readonly session: 'present' | 'absent' | 'open';
  readonly session_id: string;
}

interface MemoryRequirement {
  readonly memory: 'present' | 'absent';
  readonly memory_id: string;
}

/** What must be true of the stored state for a write to take effect. */
export type Requirement = SessionRequirement | MemoryRequirement;

/** The preconditions of a batch. A session that is not named is that of the batch. @throws ValidationError */
export function requirementsOf({ payload, sessionId }: Request<'batch_write'>): Requirement[] {
  return (payload.requires ?? []).map((given, index) => requirementOf(given, index, sessionId));
}

type Given = NonNullable<PayloadOf<'batch_write'>['requires']>[number];

function requirementOf(given: Given, index: number, sessionId: string): Requirement {
  const { session, memory, session_id: id = sessionId, memory_id } = given;
  const field = `requires.${index}`;
  const refused = (complaint: string): ValidationError =>
    new ValidationError(`${field} ${complaint}`, { details: { field } });
  if ((session === undefined) === (memory === undefined)) throw refused('must have either session or memory');
  if (session !== undefined) {
    if (memory_id !== undefined) throw refused('about a session must not have memory_id');
    if (id === '') throw refused('needs session_id, because the batch has none');
    return { session, session_id: id };
  }
  if (memory === undefined || memory_id === undefined) throw refused('about a memory needs memory_id');
  if (given.session_id !== undefined)
    throw refused('about a memory must not have session_id, because the id of a memory is unique');
  return { memory, memory_id };
}

/** The first precondition that is not met, with its index. */
export type Unmet = { readonly requirement: number } & Requirement;

// The rows are locked, so that no other lane ends a session or deletes a memory before this write is done. The order of the ids keeps
// two writers from a deadlock.
const SESSIONS = prepared(`
select session_id, ended_at is null and not is_archived as is_open from sessions
where session_id = any($1::text[]) order by session_id for no key update`);
const MEMORIES = prepared(`
select m.memory_id from memory_entries m
where m.memory_id = any($1::text[]) and ${VISIBLE} order by m.memory_id for no key update`);

/**
 * What is absent has no row to lock. Under this isolation level a statement fails with a serialization failure if it finds a row that
 * another transaction committed meanwhile. The repeated transaction sees the row.
 */
export const ISOLATED = 'set transaction isolation level repeatable read';

export function needsIsolation(requirements: readonly Requirement[]): boolean {
  return requirements.some((one) => ('session' in one ? one.session : one.memory) === 'absent');
}

/** Checks the preconditions in the transaction of their write. What they found stays true until its end. */
export async function firstUnmet(
  session: Session,
  requirements: readonly Requirement[],
): Promise<Unmet | undefined> {
  const isOpen = await sessionsOf(session, requirements);
  const memories = await memoriesOf(session, requirements);
  const isMet = (one: Requirement): boolean => {
    if ('memory' in one) return memories.has(one.memory_id) === (one.memory === 'present');
    if (one.session === 'open') return isOpen.get(one.session_id) === true;
    return isOpen.has(one.session_id) === (one.session === 'present');
  };
  const requirement = requirements.findIndex((one) => !isMet(one));
  const unmet = requirements[requirement];
  return unmet === undefined ? undefined : { requirement, ...unmet };
}

/** The sessions that exist, and whether they are open. */
async function sessionsOf(
  session: Session,
  requirements: readonly Requirement[],
): Promise<Map<string, boolean>> {
  const ids = requirements.flatMap((one) => ('session' in one ? [one.session_id] : []));
  if (ids.length === 0) return new Map();
  const rows = await session.query<{ session_id: string; is_open: boolean }>(SESSIONS, [ids]);
  return new Map(rows.map(({ session_id: id, is_open: isOpen }) => [id, isOpen]));
}

async function memoriesOf(session: Session, requirements: readonly Requirement[]): Promise<Set<string>> {
  const ids = requirements.flatMap((one) => ('memory' in one ? [one.memory_id] : []));
  if (ids.length === 0) return new Set();
  const rows = await session.query<{ memory_id: string }>(MEMORIES, [ids]);
  return new Set(rows.map(({ memory_id: id }) => id));
}
