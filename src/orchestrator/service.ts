import { CrossfadeError, ValidationError } from '../domain/errors.ts';
import { isJsonObject, Json } from '../domain/json.ts';
import { sqlstateOf } from '../storage/database.ts';
import type { Operation, Sender } from './access/access-entry.ts';
import type { Identity } from './access/identity.ts';
import type { Call, Handler, ServiceParts } from './call.ts';
import { BREAKER_OPEN } from './database/database-circuit.ts';
import { LIMITS } from './wire/limits.ts';
import { type Echo, renderError, renderSuccess, type Reply, wireErrorOf } from './wire/reply.ts';
import { type Message, parseRequest, readMessage, readSender, type Request } from './wire/request.ts';
import { getAgentState } from './sessions/agent-states.ts';
import { batchWrite } from './memories/batch-write.ts';
import { closeSequence } from './memories/close-sequence.ts';
import { digest } from './memories/digest.ts';
import { lanePositions } from './memories/lane-positions.ts';
import type { Action } from './wire/payloads.ts';
import { getProfile } from './sessions/profiles.ts';
import { batchRead, readMemory } from './memories/read-memories.ts';
import { getRelated } from './memories/relationships.ts';
import { scan } from './memories/scan.ts';
import { search } from './search/search.ts';
import { listSessions } from './sessions/sessions.ts';
import { endSessionSummarized, summarize } from './summaries/summarize.ts';
import { write } from './memories/write.ts';

/** The facts that a front has about a message in addition to its bytes. */
interface Origin extends Sender {
  /** The action in the URL of an HTTP request; the message may omit it. */
  readonly action?: string | undefined;
}

/** The processed parts of a message, for the access log and metrics. */
type Progress = { -readonly [K in 'message' | 'identity' | 'request']: Operation[K] };

/** Called by both fronts: takes bytes and always returns one reply. */
export interface Service {
  answer(bytes: Uint8Array, origin?: Origin): Promise<Reply>;
  /** Resolves when every accepted request is answered. */
  drained(): Promise<void>;
}

const ECHOED_LENGTH = 256;

export function createService(parts: ServiceParts): Service {
  const open = new Set<Promise<Reply>>();

  // The steps of every request: read, identify, check, permit, perform, render.
  async function answer(bytes: Uint8Array, origin: Origin): Promise<Reply> {
    const startedMs = performance.now();
    const { access, observer } = parts;
    observer.began();
    const progress: Progress = { message: undefined, identity: undefined, request: undefined };
    const note = (error?: unknown): void => {
      const endedMs = performance.now();
      const failure = error === undefined ? undefined : wireErrorOf(error);
      access.note({ sender: origin, ...progress, error: failure, latencyMs: endedMs - startedMs });
      const traceparent = textIn(progress.message?.members['traceparent']);
      const outcome = failure?.code ?? 'success';
      observer.ended({ action: echo.action, traceparent, outcome, startedMs, endedMs });
    };
    let echo: Echo = { action: origin.action };
    try {
      const sender = senderOf(access, bytes, origin);
      if (sender !== undefined) {
        echo = echoOf(sender);
        progress.identity = await access.identify(sender, origin);
      }
      const message = (progress.message = addressed(readMessage(bytes), origin.action));
      echo = echoOf(message);
      const caller = (progress.identity ??= await access.identify(message, origin));
      const request = (progress.request = parseRequest(message));
      const data = await carryOut(parts, { request, caller }, startedMs);
      note();
      return renderSuccess(echo, data);
    } catch (error) {
      report(parts, echo, error);
      note(error);
      return renderError(echo, error);
    }
  }

  return {
    answer(bytes, origin = {}) {
      const reply = answer(bytes, origin);
      open.add(reply);
      return reply.finally(() => open.delete(reply));
    },
    async drained() {
      while (open.size > 0) await Promise.all(open);
    },
  };
}

/** The members that identify the sender of a long message, if keys are required. They are read before the rest is parsed. Otherwise undefined. */
function senderOf(
  { needsKey }: ServiceParts['access'],
  bytes: Uint8Array,
  { action }: Origin,
): ReturnType<typeof readSender> | undefined {
  if (!needsKey || bytes.byteLength <= LIMITS.parsedUnidentifiedBytes) return undefined;
  return addressed(readSender(bytes), action);
}

/** Permits and performs a validated request. */
async function carryOut(
  parts: ServiceParts,
  { request, caller }: { readonly request: Request; readonly caller: Identity },
  startedMs: number,
): ReturnType<typeof perform> {
  const permission = await parts.access.permit(caller, request);
  const database = parts.database.until(startedMs + request.deadlineMs);
  const call = { parts: { ...parts, database }, request, caller };
  const data = await parts.cache.through({ request, caller, database }, () => perform(call));
  await permission.granted(data);
  return data;
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function addressed<M extends Pick<Message, 'members'>>(message: M, action: string | undefined): M {
  if (action === undefined) return message;
  const given = message.members['action'];
  if (given !== undefined && given !== action)
    throw new ValidationError('The action of the message differs from the action in the URL', {
      code: 'invalid_request',
    });
  return { ...message, members: { ...message.members, action } };
}

function echoOf({ members, raw }: Pick<Message, 'members' | 'raw'>): Echo {
  const { action, request_id: id } = members;
  const isShort = (typeof id === 'string' || typeof id === 'number') && String(id).length <= ECHOED_LENGTH;
  return {
    action: typeof action === 'string' ? action.slice(0, ECHOED_LENGTH) : undefined,
    requestId: isShort && raw['request_id'] !== undefined ? new Json(raw['request_id']) : undefined,
  };
}

/** Logs failures, without content. Refusals are not logged, because the caller caused them. */
function report({ health, log }: ServiceParts, { action }: Echo, thrown: unknown): void {
  const error = wireErrorOf(thrown);
  if (error.effect === 'rejected' || error.code === 'rate_limit_exceeded') return;
  health.failed(error.code, error.message);
  // The log has the opening of the breaker, and the metrics have the number of refused requests.
  if (error.reason === BREAKER_OPEN) return;
  const stack = thrown instanceof CrossfadeError || !isJsonObject(thrown) ? undefined : thrown['stack'];
  log.error(
    { action, code: error.code, effect: error.effect, sqlstate: sqlstateOf(error), stack },
    error.message,
  );
}

/** The handler of every action. */
const HANDLERS: { readonly [A in Action]: Handler<A> } = {
  create: write,
  update: write,
  delete: write,
  bulk_delete: write,
  create_session: write,
  upsert_session: write,
  end_session: endSessionSummarized,
  put_profile: write,
  delete_profile: write,
  put_agent_state: write,
  add_relationship: write,
  batch_write: batchWrite,
  close_sequence: closeSequence,
  lane_positions: ({ parts, request }) => lanePositions(parts.database, request),
  read: ({ parts, request }) => readMemory(parts.database, request),
  batch_read: ({ parts, request }) => batchRead(parts.database, request),
  scan: ({ parts, request }) => scan(parts.database, request),
  search,
  summarize,
  list_sessions: ({ parts, request }) => listSessions(parts.database, request),
  digest: ({ parts, request }) => digest(parts.database, request),
  get_profile: ({ parts, request }) => getProfile(parts.database, request),
  get_agent_state: ({ parts, request }) => getAgentState(parts.database, request),
  get_related: ({ parts, request }) => getRelated(parts.database, request),
  health: ({ parts }) => parts.health.report(),
  ping: ({ parts }) => parts.health.report(),
  health_check: ({ parts }) => parts.health.report(),
};

async function perform(call: Call): Promise<object> {
  const { meaning } = call.parts;
  const request = meaning.checked(call.request);
  // The table is keyed by the action that the request carries.
  const handler = HANDLERS[request.action] as Handler<Action>;
  const data = await handler({ ...call, request });
  await meaning.afterWrite(request, data);
  return data;
}
