import { type Owner, parseOwner } from '../../domain/ids.ts';
import { itemKeyOf, type ShownItems } from '../../domain/comparison.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import type { Message } from '../../domain/request.ts';
import {
  defineService,
  type HealthFacts,
  type WriteAction,
  type WriteFacts,
} from '../../domain/service-definition.ts';
import { isFalsy, respell, spellText } from '../python-spelling.ts';
import { answerContext, CONTEXT_RULES, firstContextPage } from './context.ts';
import { boundText, interactionPayload } from './interaction.ts';
import { sessionFields, sessionLanes } from './store.ts';

/** Only strings, because in its memory the service treats a number as a session of its own. */
function sessionOf(request: Message): Owner | undefined {
  return parseOwner(request.fields['session_id']);
}

/** In the service's file a number becomes its text, so the rows of 77 are those of "77". */
function sessionOfRows(request: Message): Owner | undefined {
  return parseOwner(boundText(request.raw['session_id'] ?? 'null'));
}

function requestIdOf(request: Message): string {
  const id = request.fields['request_id'];
  // Most are plain text, so the request need not be cut into its members.
  if (typeof id === 'string') return spellText(id);
  const raw = request.raw['request_id'];
  return raw === undefined ? '""' : respell(raw);
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

const createSession: WriteAction = {
  kind: 'write',
  owner: sessionOf,
  alsoTouches: sessionOfRows,
  issueOwner: withSessionId,
  provesEmpty: true,
  reverse: 'exact',
  // An existing id and a locked database give the same reply, and a row refused by a lock may still be committed later.
  outcome: (reply, request) => {
    const outcome = outcomeOf(reply);
    return outcome === 'unknown' && isUnbindable(request, 'user_id') ? 'refused' : outcome;
  },
  toOrchestrator: ({ request, owner, sessionId, acceptedAt }) => {
    const payload = {
      ...sessionFields({ owner, userId: request.raw['user_id'], metadata: request.raw['metadata'] }),
      session_type: 'conversation',
      created_at: acceptedAt,
      escape_unstorable: true,
    };
    // Not create_session: the service lets any user create a deleted session again, the orchestrator only its own user.
    return [{ action: 'upsert_session', sessionId, payload: { ...payload, ended_at: null } }];
  },
};

/** Interactions have no ids that agents see. A text that is repeated after a clear is there again. */
const SHOWN = { list: 'context', members: ['role', 'content'] } as const satisfies ShownItems;

const addInteraction: WriteAction = {
  kind: 'write',
  owner: sessionOf,
  alsoTouches: sessionOfRows,
  reverse: 'exact',
  outcome: (reply, request) => {
    const outcome = outcomeOf(reply, 'Missing required parameters');
    return outcome === 'unknown' && isUnbindable(request, 'role', 'content') ? 'refused' : outcome;
  },
  itemKeys: ({ fields }) => ({ written: [itemKeyOf(SHOWN.members.map((member) => fields[member]))] }),
  onlyAdds: true,
  toOrchestrator: (write) => {
    const { request, owner, sessionId, acceptedAt } = write;
    const userId = request.raw['user_id'];
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
      // For a session that this write creates, because the service's own requests name its user only at creation.
      user_id:
        userId === undefined ? undefined : sessionFields({ owner, userId, metadata: undefined }).user_id,
    };
    return [{ action: 'create', sessionId, payload }];
  },
};

function deleteInteractions(write: WriteFacts): OrchestratorWrite {
  const filter = { memory_type: 'conversation', position_below: write.position() };
  return { action: 'bulk_delete', sessionId: write.sessionId, payload: { filter, suppress_events: true } };
}

const clearSession: WriteAction = {
  kind: 'write',
  owner: sessionOf,
  alsoTouches: sessionOfRows,
  reverse: 'exact',
  outcome: (reply) => outcomeOf(reply, 'Missing session_id'),
  itemKeys: () => ({ removesAll: true }),
  toOrchestrator: (write) => [deleteInteractions(write)],
};

const deleteSession: WriteAction = {
  ...clearSession,
  toOrchestrator: (write) => [
    deleteInteractions(write),
    {
      action: 'end_session',
      sessionId: write.sessionId,
      payload: {
        archive: true,
        summary: 'Session terminated by SessionMemoryAgent',
        ended_at: write.acceptedAt,
      },
    },
  ],
};

/**
 * The dialect of BaseAgent. In the original, `initialized` stays false even if it is healthy. The original's health socket ends
 * with it. The proxy's continues, and reports that the service does not answer.
 */
function healthReply({ uptimeSeconds, nowLocalIso, isAnswering }: HealthFacts): string {
  const [status, what] = isAnswering ? ['ok', 'is healthy'] : ['error', 'does not answer'];
  const [uptime, threads] = isAnswering ? [uptimeSeconds, 5] : ['0.0', 0];
  return respell(
    `{"status":"${status}","ready":${isAnswering},"initialized":false,"message":"SessionMemoryAgent ${what}",` +
      `"timestamp":${JSON.stringify(nowLocalIso)},"uptime":${uptime},"active_threads":${threads}}`,
  );
}

/** SessionMemoryAgent of the main PC (../README.md, "SessionMemoryAgent"): sessions and their interactions, in SQLite. */
export const sessionMemory = defineService({
  name: 'session-memory',
  endpoint: {
    kind: 'zmq',
    port: 5574,
    healthPort: 5575,
    pubPort: 6583,
    healthReply,
  },
  dialect: {
    error: (_kind, message, request) => {
      const requestId = request === undefined ? '' : `, "request_id": ${requestIdOf(request)}`;
      return `{"status": "error", "message": ${spellText(message)}${requestId}}`;
    },
  },
  requestId: 'request_id',
  actions: {
    create_session: createSession,
    add_interaction: addInteraction,
    clear_session: clearSession,
    delete_session: deleteSession,
    get_context: {
      kind: 'read',
      owner: sessionOf,
      onLegacy: () => 'loads',
      toOrchestrator: (_request, sessionId) => [firstContextPage(sessionId)],
      fromOrchestrator: (answers, facts) => {
        const context = answerContext(answers, facts);
        if (!Array.isArray(context)) return context;
        const list = `[${context.join(', ')}]`;
        return {
          reply: `{"status": "success", "context": ${list}, "request_id": ${requestIdOf(facts.request)}}`,
        };
      },
      rules: CONTEXT_RULES,
      items: SHOWN,
    },
    health_check: { kind: 'passthrough', reason: 'reports the state of the legacy service itself' },
  },
  lanes: sessionLanes,
  probe: '{"action": "health_check"}',
  unmapped: [
    {
      what: 'timestamps of interactions',
      reason:
        'the service sets the time when it stores an interaction. Until the next copy or comparison of the lane, a delivered interaction has the time at which the proxy accepted it. The two are at most 5 s apart. So an agent may see another time when its reads move, and again when a read falls back',
    },
    {
      what: 'requests whose session_id is a number or a boolean',
      reason:
        'they are relayed unchanged. The service keeps them as a separate session until its restart. In its file, their rows belong to the session named by their text (77 and "77", true and "1"). So that session is copied again after such a write, and the orchestrator shows it as the service will after its restart',
    },
    {
      what: 'requests whose session_id is null, a list, an object, empty, has control characters or more than 512 characters',
      reason:
        'the service refuses them, or writes rows that no later request reaches; they are relayed unchanged',
    },
    {
      what: 'last_active',
      reason:
        'reads change it too; it only decides when the service deletes a session, which then counts as forgotten',
    },
    {
      what: 'numbers as content',
      reason:
        'while such a session is in its memory, the service answers every get_context that reaches a number with an empty list. After its restart it answers with the number as text. The orchestrator answers as before the restart',
    },
  ],
});
