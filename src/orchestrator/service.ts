import type { Logger } from 'pino';
import { CrossfadeError, ValidationError } from '../domain/errors.ts';
import { isJsonObject, Json } from '../domain/json.ts';
import { type Database, sqlstateOf } from '../storage/database.ts';
import type { Health } from './health.ts';
import type { Action } from './payloads.ts';
import { batchRead, readMemory, scan } from './read-memories.ts';
import { type Echo, renderError, renderSuccess, type Reply, wireErrorOf } from './reply.ts';
import { type Message, parseRequest, readMessage, type Request } from './request.ts';
import { search } from './search.ts';
import { listSessions } from './sessions.ts';
import { summarize } from './summarize.ts';
import { batchWrite, isWrite, write, type WriteAction } from './write.ts';

export interface ServiceParts {
  readonly database: Database;
  readonly health: Health;
  readonly log: Logger;
}

/** What both fronts call: bytes in, one reply out, whatever happens. */
export interface Service {
  /** `action` is the one in the address of an HTTP request; the message may leave it out. */
  answer(bytes: Uint8Array, action?: string): Promise<Reply>;
  /** Resolves when nothing that was taken in is left unanswered. */
  drained(): Promise<void>;
}

type OtherAction = Exclude<Action, WriteAction>;
type Handler<A extends Action> = (parts: ServiceParts, request: Request<A>) => Promise<object>;

const HANDLERS: { readonly [A in OtherAction]: Handler<A> } = {
  batch_write: ({ database }, request) => batchWrite(database, request),
  read: ({ database }, request) => readMemory(database, request),
  batch_read: ({ database }, request) => batchRead(database, request),
  scan: ({ database }, request) => scan(database, request),
  search: ({ database }, request) => search(database, request),
  summarize: ({ database }, request) => summarize(database, request),
  list_sessions: ({ database }, request) => listSessions(database, request),
  health: ({ health }) => health.report(),
  ping: ({ health }) => health.report(),
  health_check: ({ health }) => health.report(),
};

const ECHOED_LENGTH = 256;

export function createService(parts: ServiceParts): Service {
  const open = new Set<Promise<Reply>>();

  async function answer(bytes: Uint8Array, action?: string): Promise<Reply> {
    let echo: Echo = { action };
    try {
      const message = addressed(readMessage(bytes), action);
      echo = echoOf(message);
      return renderSuccess(echo, await handle(parts, parseRequest(message)));
    } catch (error) {
      report(parts, echo, error);
      return renderError(echo, error);
    }
  }

  return {
    answer(bytes, action) {
      const reply = answer(bytes, action);
      open.add(reply);
      return reply.finally(() => open.delete(reply));
    },
    async drained() {
      while (open.size > 0) await Promise.all(open);
    },
  };
}

function handle(parts: ServiceParts, request: Request): Promise<object> {
  if (isWrite(request)) return write(parts.database, request);
  // The table is keyed by the action that the request carries.
  const handler = HANDLERS[request.action as OtherAction] as Handler<Action>;
  return handler(parts, request);
}

function addressed(message: Message, action: string | undefined): Message {
  if (action === undefined) return message;
  const given = message.members['action'];
  if (given !== undefined && given !== action)
    throw new ValidationError('The action of the message is not the one of the address', {
      code: 'invalid_request',
    });
  return { ...message, members: { ...message.members, action } };
}

function echoOf({ members, raw }: Message): Echo {
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
  if (error.effect === 'rejected') return;
  health.failed(error.code, error.message);
  const stack = thrown instanceof CrossfadeError || !isJsonObject(thrown) ? undefined : thrown['stack'];
  log.error(
    { action, code: error.code, effect: error.effect, sqlstate: sqlstateOf(error), stack },
    error.message,
  );
}
