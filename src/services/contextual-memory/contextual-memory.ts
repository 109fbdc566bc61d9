import { parseOwner, type Owner } from '../../domain/ids.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import type { Message } from '../../domain/request.ts';
import {
  defineService,
  type LegacyReadEffect,
  type PassthroughAction,
  type WriteAction,
  type WriteFacts,
} from '../../domain/service-definition.ts';
import { answerContext, CONTEXT_RULES, firstContextReads } from './context.ts';
import { contextualLanes, decisionPayload, entryPayload } from './store.ts';
import { tokenCutOf } from './summary.ts';
import { spellText } from '../python-spelling.ts';

/** The key in the service's file for requests without a session. */
const NO_SESSION = 'null';

function sessionOf(request: Message): Owner | undefined {
  const session = request.fields['session_id'] ?? null;
  if (session !== null) return parseOwner(session);
  // NaN is read as null here, but the service uses it as a key of its own.
  return (request.raw['session_id'] ?? 'null') === 'null' ? parseOwner(NO_SESSION) : undefined;
}

/** After storing it, the service answers every write with a failure of its own loop. */
const STORED = "'bool' object has no attribute 'get'";

function outcomeOf({ fields }: Message): ReplyOutcome {
  const { status, message } = fields;
  if (status !== 'error' || typeof message !== 'string') return 'unknown';
  if (message === STORED) return 'applied';
  return message.startsWith('unhashable type') ? 'refused' : 'unknown';
}

function spellError(message: string): string {
  return `{"status": "error", "message": ${spellText(message)}}`;
}

type Payload = Readonly<Record<string, unknown>>;

/** A write that stores one item. The service refuses none, and creates the session with its first item. */
function storing(what: string, payloadOf: (request: Message) => Payload): WriteAction {
  const createOf = (write: WriteFacts): OrchestratorWrite[] => {
    const identity = {
      memory_id: write.memoryId(),
      position: write.position(),
      created_at: write.acceptedAt,
    };
    const payload = { ...payloadOf(write.request), ...identity };
    return [{ action: 'create', sessionId: write.sessionId, payload }];
  };
  return {
    kind: 'write',
    owner: sessionOf,
    outcome: outcomeOf,
    reverse: 'lossy',
    loses: `the time of the ${what}, because the service sets it when it gets the request`,
    toOrchestrator: createOf,
    asPrimary: {
      plan: (write) => ({ requires: [], operations: createOf(write) }),
      answer: () => spellError(STORED),
    },
  };
}

const addInteraction = storing('entry', ({ raw }) => entryPayload(raw));

const recordDecision = storing('decision', ({ raw }) => decisionPayload(raw['decision'] ?? 'null'));

/**
 * No text of a summary is longer than 395 characters unless a query was a list. So 198 tokens cut nothing, and the rest is
 * margin.
 */
const SPARING_CHARACTERS = 800;

function readEffect(request: Message): LegacyReadEffect {
  const cut = tokenCutOf(request.raw['max_tokens']);
  return cut.kind === 'cut' && cut.end < SPARING_CHARACTERS ? 'cuts' : 'nothing';
}

const NEVER_KNOWN: PassthroughAction = {
  kind: 'passthrough',
  reason: 'clients send it, but the service does not support it',
  changesNothing: true,
};

/** ContextualMemoryAgent of PC2 (../README.md, "ContextualMemoryAgent"): entries, decisions and summaries of sessions, in a JSON file. */
export const contextualMemory = defineService({
  name: 'contextual-memory',
  endpoint: { kind: 'zmq', port: 5596 },
  dialect: {
    error: (_kind, message) => spellError(message),
  },
  actions: {
    add_interaction: addInteraction,
    record_decision: recordDecision,
    get_context: {
      kind: 'read',
      owner: sessionOf,
      onLegacy: readEffect,
      toOrchestrator: (_request, sessionId) => firstContextReads(sessionId),
      fromOrchestrator: answerContext,
      rules: CONTEXT_RULES,
    },
    health_check: {
      kind: 'passthrough',
      reason: 'reports the state of the legacy service itself',
      changesNothing: true,
    },
    get_summary: NEVER_KNOWN,
    get_session_id: NEVER_KNOWN,
    get_context_summary: NEVER_KNOWN,
    get_recent_context: NEVER_KNOWN,
  },
  lanes: contextualLanes,
  probe: '{"action": "health_check"}',
  // The service deletes nothing, so this session stays.
  canary: (owner) => [
    `{"action": "add_interaction", "session_id": "${owner}", "type": "test", "content": "a test of Crossfade"}`,
    `{"action": "record_decision", "session_id": "${owner}", "decision": "a test of Crossfade"}`,
  ],
  unmapped: [
    {
      what: 'timestamps of decisions',
      reason:
        'the service sets the time when it stores a decision. Until the next copy or comparison of the lane, a delivered decision has the time at which the proxy accepted it. The two are at most 5 s apart. So an agent may see another time when its reads move, and again when a read falls back',
    },
    {
      what: 'last_updated of a summary',
      reason:
        'the service reads its clock again when it summarizes. Until the next copy of the lane, the orchestrator shows the time of the newest entry, microseconds earlier',
    },
    {
      what: "the reply of every write, \"'bool' object has no attribute 'get'\"",
      reason:
        'it means that the write was stored, because the service fails in its own loop afterwards. Agents get it unchanged, and no other reply counts as stored',
    },
    {
      what: 'requests whose session_id is a number, a boolean, a list, an object, empty, has control characters or more than 512 characters',
      reason:
        'the service keeps numbers under a key of their own until its restart and under their text afterwards. It refuses lists and objects. They are relayed unchanged',
    },
    {
      what: 'requests without session_id, and the session "null"',
      reason:
        'the file has one key for both, so they share a lane. The service keeps them apart. After its restart it finds items without a session only under "null"',
    },
    {
      what: 'deleted items that come back',
      reason:
        'the service has no request that deletes, and its retention is declared, so there are no deleted items to check for',
    },
    {
      what: 'summaries truncated by a read with a small max_tokens',
      reason:
        'legacy stores the truncated text until its next summary; the orchestrator makes the full text again, and the prefix rule accepts it',
    },
    {
      what: 'a list as the content of a user_query',
      reason:
        'the service prints the list into its summary. Characters that only Python or only JavaScript considers printable may be spelled differently, and such a text can exceed the expected length',
    },
  ],
  noticed: ['a summary that a read with a small max_tokens has cut on legacy is whole in the next read'],
});
