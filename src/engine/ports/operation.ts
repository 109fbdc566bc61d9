import { randomUUID } from 'node:crypto';
import {
  type LaneKey,
  laneKeyOf,
  operationId,
  type OperationId,
  type Owner,
  type ServiceName,
} from '../../domain/ids.ts';
import { type BadInput, type HttpTarget, type Message, parseRequest } from '../../domain/request.ts';
import type { ActionDefinition, PassthroughAction, WriteAction } from '../../domain/service-definition.ts';
import type { AskingAgent } from '../../domain/agent-name.ts';
import type { Caller } from '../../shared/fair-queue.ts';
import type { ReplyStatus } from './events.ts';
import type { ServiceRuntime } from './service-runtime.ts';
import type { Reply } from './ports.ts';

/** One classified agent request. */
export interface Operation {
  readonly id: OperationId;
  readonly service: ServiceRuntime;
  /** A name of the definition, or `other`. A closed set, so it can be a metric label. */
  readonly name: string;
  readonly action: ActionDefinition;
  /** Present for reads and writes. */
  readonly owner: Owner | undefined;
  readonly lane: LaneKey | undefined;
  /** The owner whose contents it may change although it has no owner of its own. */
  readonly touched: Owner | undefined;
  /** The write that it is, if it names no owner that a lane can hold. It is relayed, and neither journaled nor delivered. */
  readonly unmapped: WriteAction | undefined;
  readonly message: Message;
  readonly body: Buffer;
  readonly request: AgentRequest;
  readonly deadlineAtMs: number;
}

/** A read or a write. It has an owner, and so a lane. */
export interface OwnedOperation extends Operation {
  readonly owner: Owner;
  readonly lane: LaneKey;
}

/** The name for actions that the definition does not know. */
export const OTHER = 'other';

const UNKNOWN_ACTION: PassthroughAction = { kind: 'passthrough', reason: 'no definition knows it' };
const UNOWNED: PassthroughAction = { kind: 'passthrough', reason: 'it names no owner that can be mapped' };

function actionNameOf(service: ServiceRuntime, message: Message, request: AgentRequest): unknown {
  const { endpoint, selector = 'action' } = service.definition;
  if (endpoint.kind === 'http')
    return request.http === undefined ? undefined : endpoint.actionOf(request.http);
  return message.fields[selector];
}

/** An operation before its owner is known. */
type Draft = { -readonly [Member in keyof Operation]: Operation[Member] };

/** Classifies a request. Relayed bytes are never changed, except where the definition generates the owner. */
export function classify(service: ServiceRuntime, request: AgentRequest, message: Message): Operation {
  const name = actionNameOf(service, message, request);
  const { actions } = service.definition;
  const isKnown = typeof name === 'string' && Object.hasOwn(actions, name);
  const action = (isKnown ? actions[name] : undefined) ?? UNKNOWN_ACTION;
  const draft: Draft = {
    id: operationId(randomUUID()),
    service,
    name: isKnown ? name : OTHER,
    action,
    owner: undefined,
    lane: undefined,
    touched: undefined,
    unmapped: undefined,
    message,
    body: request.body,
    request,
    deadlineAtMs: request.receivedAtMs + service.deadlineMs,
  };
  if (action.kind !== 'passthrough') findOwner(draft, action);
  return draft;
}

type OwnedAction = Exclude<ActionDefinition, PassthroughAction>;

function findOwner(draft: Draft, action: OwnedAction): void {
  const issued = action.kind === 'write' ? action.issueOwner?.(draft.message, randomUUID) : undefined;
  if (issued !== undefined) takeIssued(draft, action, issued);
  const owner = action.owner(draft.message);
  if (owner !== undefined) {
    draft.owner = owner;
    draft.lane = laneKeyOf(draft.service.name, owner);
    return;
  }
  draft.action = UNOWNED;
  if (action.kind !== 'write') return;
  draft.unmapped = action;
  draft.touched = action.alsoTouches?.(draft.message);
}

/** The request as the definition rewrites it, with an owner. */
function takeIssued(draft: Draft, action: OwnedAction, text: string): void {
  const body = Buffer.from(text);
  const parsed = parseRequest(body, {
    messageBytes: Number.MAX_SAFE_INTEGER,
    jsonDepth: Number.MAX_SAFE_INTEGER,
  });
  if (!parsed.ok || action.owner(parsed.message) === undefined) return;
  draft.message = parsed.message;
  draft.body = body;
}

/** What a request is classified by: its body, or for HTTP what the definition builds from address and body. */
export function meaningOf(
  { definition: { endpoint } }: ServiceRuntime,
  { http, body }: AgentRequest,
): Buffer {
  if (endpoint.kind !== 'http' || http === undefined) return body;
  const text = endpoint.messageOf?.(http, body);
  return text === undefined ? body : Buffer.from(text);
}

/** The members that every event of an operation has. */
export function labelsOf(operation: Operation): {
  operationId: Operation['id'];
  service: ServiceRuntime['name'];
  action: string;
} {
  return { operationId: operation.id, service: operation.service.name, action: operation.name };
}

/** How a path ended, for the agent's reply and for telemetry. */
export interface Answer {
  readonly reply: AgentReply;
  readonly backend: 'legacy' | 'orchestrator';
  /** Time spent waiting for the primary. */
  readonly primaryMs: number;
  /** @defaultValue answered */
  readonly status?: ReplyStatus;
}

/** One request as a frontend received it. */
export interface AgentRequest {
  readonly service: ServiceName;
  readonly body: Buffer;
  /** Instant of `Clock.now`. The service's deadline counts from here. */
  readonly receivedAtMs: number;
  readonly http?: HttpTarget;
  /** Name of the caller, for flag constraints and for people. */
  readonly agent?: AskingAgent;
  /** Whose turn it takes where requests queue. */
  readonly caller?: Caller;
  /** A problem that the frontend found. The request is refused in the service's dialect. */
  readonly problem?: { readonly kind: BadInput; readonly detail: string };
}

/** The reply for the agent. */
export interface AgentReply extends Reply {
  /** Called at most once, with whether the reply could be sent to its agent. Absent if that does not matter. */
  delivered?(isDelivered: boolean): void;
}

/** A request that passes the engine. */
export interface Passage {
  /** Time of `Clock.now` at which the agent must have its answer. */
  readonly deadlineAtMs: number;
  /** Called exactly once, when the service has answered or certainly will not. */
  end(status: ReplyStatus): void;
}

/** The port that frontends call. Always answers, exactly once, within the service's deadline. Never throws. */
export interface RequestHandler {
  handle(request: AgentRequest): Promise<AgentReply>;
}

/** The port for frontends that can stream. They handle exchanges that the engine need not see. */
export interface StreamHandler extends RequestHandler {
  /** Undefined if the request must be handled by the engine. */
  pass(request: AgentRequest): Passage | undefined;
  /**
   * Counts a request that no definition knows and that is streamed to its service unread. The returned function is called once,
   * when the response begins or certainly will not come. Undefined: legacy gets no such request any more, and nothing is streamed.
   */
  passUnknown(
    request: Pick<AgentRequest, 'service' | 'receivedAtMs' | 'agent'>,
  ): ((status: ReplyStatus) => void) | undefined;
}
