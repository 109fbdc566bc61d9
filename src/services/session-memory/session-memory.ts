import type { HealthFacts } from '../../domain/endpoint.ts';
import { defineService } from '../../domain/service-definition.ts';
import { respell, spellText } from '../python-spelling.ts';
import { answerContext, CONTEXT_RULES, firstContextPage } from './context.ts';
import { replyTo, requestIdOf } from './replies.ts';
import { sessionLanes } from './store.ts';
import { addInteraction, clearSession, createSession, deleteSession, sessionOf, SHOWN } from './writes.ts';

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
        return { reply: replyTo(facts.request, 'success', `"context": [${context.join(', ')}], `) };
      },
      rules: CONTEXT_RULES,
      items: SHOWN,
    },
    health_check: {
      kind: 'passthrough',
      reason: 'reports the state of the legacy service itself',
      changesNothing: true,
    },
  },
  lanes: sessionLanes,
  probe: '{"action": "health_check"}',
  // A row that a locked database refused is committed by the next write. No agent has this session.
  flush: '{"action": "clear_session", "session_id": "crossfade-flush"}',
  canary: (owner) => [
    `{"action": "create_session", "session_id": "${owner}", "user_id": "${owner}"}`,
    `{"action": "add_interaction", "session_id": "${owner}", "role": "system", "content": "a test of Crossfade"}`,
    `{"action": "clear_session", "session_id": "${owner}"}`,
    `{"action": "delete_session", "session_id": "${owner}"}`,
  ],
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
  noticed: [
    'create_session for a session that legacy would have deleted by itself is refused as a duplicate, and add_interaction succeeds',
  ],
});
