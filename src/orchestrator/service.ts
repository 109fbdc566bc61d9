import { CrossfadeError, ValidationError } from '../domain/errors.ts';
import { isJsonObject, Json } from '../domain/json.ts';
import { sqlstateOf } from '../storage/database.ts';
import type { Operation, Sender } from './access/access-entry.ts';
import type { Identity } from './access/identity.ts';
import type { ServiceParts } from './call.ts';
import { BREAKER_OPEN } from './database/database-circuit.ts';
import { perform } from './handlers.ts';
import { LIMITS } from './wire/limits.ts';
import { type Echo, renderError, renderSuccess, type Reply, wireErrorOf } from './wire/reply.ts';
import { type Message, parseRequest, readMessage, readSender, type Request } from './wire/request.ts';

/** What a front knows of a message beside its bytes. */
export interface Origin extends Sender {
  /** The action in the address of an HTTP request; the message may leave it out. */
  readonly action?: string | undefined;
}

/** How far a message came, for what is told about it afterwards. */
type Progress = { -readonly [K in 'message' | 'identity' | 'request']: Operation[K] };

/** What both fronts call: bytes in, one reply out, whatever happens. */
export interface Service {
  answer(bytes: Uint8Array, origin?: Origin): Promise<Reply>;
  /** Resolves when nothing that was taken in is left unanswered. */
  drained(): Promise<void>;
}

const ECHOED_LENGTH = 256;

export function createService(parts: ServiceParts): Service {
  const open = new Set<Promise<Reply>>();

  // The way of every request: read, identify, check, permit, perform, render.
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

/** What says who sent a long message, where a key is needed: it is looked at before the rest is parsed. Undefined for any other message. */
function senderOf(
  { needsKey }: ServiceParts['access'],
  bytes: Uint8Array,
  { action }: Origin,
): ReturnType<typeof readSender> | undefined {
  if (!needsKey || bytes.byteLength <= LIMITS.parsedUnidentifiedBytes) return undefined;
  return addressed(readSender(bytes), action);
}

/** Permits and performs a request that was checked. */
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

/** A refusal is the caller's affair; anything else is ours, and is logged without any content. */
function report({ health, log }: ServiceParts, { action }: Echo, thrown: unknown): void {
  const error = wireErrorOf(thrown);
  if (error.effect === 'rejected' || error.code === 'rate_limit_exceeded') return;
  health.failed(error.code, error.message);
  // That the breaker opened is in the log; how many were refused is in the metrics.
  if (error.reason === BREAKER_OPEN) return;
  const stack = thrown instanceof CrossfadeError || !isJsonObject(thrown) ? undefined : thrown['stack'];
  log.error(
    { action, code: error.code, effect: error.effect, sqlstate: sqlstateOf(error), stack },
    error.message,
  );
}
