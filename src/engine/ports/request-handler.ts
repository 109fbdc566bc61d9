import type { AskingAgent } from '../../domain/agent-name.ts';
import type { Caller } from '../../domain/fair-queue.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { BadInput, HttpTarget } from '../../domain/request.ts';
import type { ReplyStatus } from './events.ts';
import type { Reply } from './ports.ts';

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
   * when the response begins or certainly will not come.
   */
  passUnknown(
    request: Pick<AgentRequest, 'service' | 'receivedAtMs' | 'agent'>,
  ): (status: ReplyStatus) => void;
}
