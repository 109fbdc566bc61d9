import { itemKeyOf, type ShownItems } from '../../domain/comparison.ts';
import { type Owner, parseOwner, type SessionId } from '../../domain/ids.ts';
import { isJsonObject } from '../../domain/json.ts';
import type {
  OrchestratorAnswer,
  OrchestratorRead,
  OrchestratorWrite,
  Precondition,
} from '../../domain/orchestrator-call.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import type { Message } from '../../domain/request.ts';
import type { PrimaryMapping, WriteAction, WriteFacts } from '../../domain/service-definition.ts';
import { isFalsy, spellText } from '../python-spelling.ts';
import { boundText, interactionPayload } from './interaction.ts';
import { replyTo } from './replies.ts';
import { sessionFields } from './store.ts';

/** Only strings, because in its memory the service treats a number as a session of its own. */
export function sessionOf(request: Message): Owner | undefined {
  return parseOwner(request.fields['session_id']);
}

/** In the service's file a number becomes its text, so the rows of 77 are those of "77". */
function sessionOfRows(request: Message): Owner | undefined {
  return parseOwner(boundText(request.raw['session_id'] ?? 'null'));
}

/** Replies that mean that the request had no effect. */
function isTurnedAway(reply: Message, refusals: readonly string[]): boolean {
  const { status, message, error } = reply.fields;
  if (status !== 'error') return false;
  return error === 'Agent is still initializing' || refusals.some((refusal) => refusal === message);
}

function outcomeOf(reply: Message, ...refusals: readonly string[]): ReplyOutcome {
  if (reply.fields['status'] === 'success') return 'applied';
  return isTurnedAway(reply, refusals) ? 'refused' : 'unknown';
}

/** Whether SQLite's driver refuses one of these members. Then no row was or will be written. */
function isUnbindable(request: Message, ...members: readonly string[]): boolean {
  return members.some((member) => boundText(request.raw[member] ?? 'null') === undefined);
}

const OPENING = /^\s*\{\s*/;

/** The request with a session id of the service's own form, if it leaves the id to the service. An explicit null does not. */
function withSessionId(request: Message, uuid: () => string): string | undefined {
  if (Object.hasOwn(request.fields, 'session_id')) return undefined;
  const opening = OPENING.exec(request.text)?.[0] ?? '{';
  const rest = request.text.slice(opening.length);
  return `${opening}"session_id": "${uuid()}"${rest.startsWith('}') ? '' : ', '}${rest}`;
}

function openSession({ request, owner, sessionId, acceptedAt }: WriteFacts): OrchestratorWrite {
  const payload = {
    ...sessionFields({ owner, userId: request.raw['user_id'], metadata: request.raw['metadata'] }),
    session_type: 'conversation',
    created_at: acceptedAt,
    ended_at: null,
    is_archived: false,
    escape_unstorable: true,
  };
  // Not create_session: the service lets any user create a deleted session again, the orchestrator only its own user.
  return { action: 'upsert_session', sessionId, payload };
}

/** Only for the row of the session. */
function sessionRow(sessionId: SessionId): OrchestratorRead {
  return { action: 'scan', sessionId, payload: { limit: 1, no_touch: true } };
}

function rowIn({ data }: OrchestratorAnswer): 'absent' | 'open' | 'ended' {
  const { session } = data;
  if (!isJsonObject(session)) return 'absent';
  const isEnded = typeof session['ended_at'] === 'string' || session['is_archived'] === true;
  return isEnded ? 'ended' : 'open';
}

const NO_ID = '"session_id": null, ';

export const createSession: WriteAction = {
  kind: 'write',
  owner: sessionOf,
  alsoTouches: sessionOfRows,
  issueOwner: withSessionId,
  provesEmpty: true,
  reverse: 'lossy',
  loses: 'the time at which the session was created, because the service sets it when it gets the request',
  // An existing id and a locked database give the same reply, and a row refused by a lock may still be committed later.
  outcome: (reply, request) => {
    const outcome = outcomeOf(reply);
    return outcome === 'unknown' && isUnbindable(request, 'user_id') ? 'refused' : outcome;
  },
  toOrchestrator: (write) => [openSession(write)],
  asPrimary: {
    plan: (write) => {
      const { request, sessionId, answers } = write;
      const refused = { reply: replyTo(request, 'error', NO_ID) };
      if (isUnbindable(request, 'user_id')) return refused;
      const [answer] = answers;
      if (answer === undefined) return { next: [sessionRow(sessionId)] };
      const row = rowIn(answer);
      if (row === 'open') return refused;
      // A deleted session can be created again. The orchestrator keeps its row.
      const requires: Precondition[] = row === 'absent' ? [{ session: 'absent', sessionId }] : [];
      return { requires, operations: [openSession(write)] };
    },
    answer: (result, { request, owner }) =>
      'refused' in result
        ? replyTo(request, 'error', NO_ID)
        : replyTo(request, 'success', `"session_id": ${spellText(owner)}, `),
  },
};

/** Interactions have no ids that agents see. A text that is repeated after a clear is there again. */
export const SHOWN = { list: 'context', members: ['role', 'content'] } as const satisfies ShownItems;

function storeInteraction(write: WriteFacts): OrchestratorWrite & { readonly action: 'create' } {
  const { request, sessionId, acceptedAt } = write;
  const metadata = request.raw['metadata'];
  const interaction = {
    role: request.raw['role'] ?? 'null',
    content: request.raw['content'] ?? 'null',
    metadata: isFalsy(metadata) ? undefined : metadata,
  };
  const payload = {
    ...interactionPayload(interaction),
    memory_id: write.memoryId(),
    position: write.position(),
    created_at: acceptedAt,
  };
  return { action: 'create', sessionId, payload };
}

const MISSING = 'Missing required parameters';

export const addInteraction: WriteAction = {
  kind: 'write',
  owner: sessionOf,
  alsoTouches: sessionOfRows,
  reverse: 'lossy',
  loses: 'the time of the interaction, because the service sets it when it gets the request',
  outcome: (reply, request) => {
    const outcome = outcomeOf(reply, MISSING);
    return outcome === 'unknown' && isUnbindable(request, 'role', 'content') ? 'refused' : outcome;
  },
  itemKeys: ({ fields }) => ({ written: [itemKeyOf(SHOWN.members.map((member) => fields[member]))] }),
  onlyAdds: true,
  toOrchestrator: (write) => {
    const { action, sessionId, payload } = storeInteraction(write);
    const userId = write.request.raw['user_id'];
    if (userId === undefined) return [{ action, sessionId, payload }];
    // For a session that this write creates, because the service's own requests name its user only at creation.
    const { user_id } = sessionFields({ owner: write.owner, userId, metadata: undefined });
    return [{ action, sessionId, payload: { ...payload, user_id } }];
  },
  asPrimary: {
    plan: (write) => {
      const { request, sessionId } = write;
      if (isFalsy(request.raw['role']) || isFalsy(request.raw['content']))
        return { reply: replyTo(request, 'error', `"message": ${spellText(MISSING)}, `) };
      if (isUnbindable(request, 'role', 'content')) return { reply: replyTo(request, 'error') };
      const { action, payload } = storeInteraction(write);
      return {
        requires: [{ session: 'open', sessionId }],
        operations: [{ action, sessionId, payload: { ...payload, create_session: false } }],
      };
    },
    answer: (result, { request }) => replyTo(request, 'refused' in result ? 'error' : 'success'),
  },
};

function deleteInteractions(write: WriteFacts): OrchestratorWrite {
  const filter = { memory_type: 'conversation', position_below: write.position() };
  return { action: 'bulk_delete', sessionId: write.sessionId, payload: { filter, suppress_events: true } };
}

const emptying = {
  kind: 'write',
  owner: sessionOf,
  alsoTouches: sessionOfRows,
  reverse: 'exact',
  outcome: (reply: Message) => outcomeOf(reply, 'Missing session_id'),
  itemKeys: () => ({ removesAll: true }) as const,
} as const;

/** Also for a session that does not exist. */
const answerDone: PrimaryMapping['answer'] = (_result, { request }) => replyTo(request, 'success');

export const clearSession: WriteAction = {
  ...emptying,
  toOrchestrator: (write) => [deleteInteractions(write)],
  asPrimary: {
    plan: (write) => ({ requires: [], operations: [deleteInteractions(write)] }),
    answer: answerDone,
  },
};

function endSession(write: WriteFacts): OrchestratorWrite[] {
  const payload = {
    archive: true,
    summary: 'Session terminated by SessionMemoryAgent',
    ended_at: write.acceptedAt,
  };
  return [deleteInteractions(write), { action: 'end_session', sessionId: write.sessionId, payload }];
}

export const deleteSession: WriteAction = {
  ...emptying,
  toOrchestrator: endSession,
  asPrimary: {
    // The orchestrator cannot end a session that it does not have.
    plan: (write) => ({
      requires: [{ session: 'open', sessionId: write.sessionId }],
      operations: endSession(write),
    }),
    answer: answerDone,
  },
};
