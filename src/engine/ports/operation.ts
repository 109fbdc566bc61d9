import { randomUUID } from 'node:crypto';
import { laneKeyOf, operationId, type LaneKey, type OperationId, type Owner } from '../../domain/ids.ts';
import { parseRequest, type Message } from '../../domain/request.ts';
import type { ActionDefinition, PassthroughAction, WriteAction } from '../../domain/service-definition.ts';
import type { ReplyStatus } from './events.ts';
import type { AgentReply, AgentRequest } from './request-handler.ts';
import type { ServiceRuntime } from './service-runtime.ts';

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
