import type { AskingAgent } from '../../domain/agent-name.ts';
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
  /** Who asks: for flag constraints and for people. */
  readonly agent?: AskingAgent;
  /** What the frontend itself found wrong: it is refused in the service's dialect. */
  readonly problem?: { readonly kind: BadInput; readonly detail: string };
}

/** What the agent gets. */
export interface AgentReply extends Reply {
  /** Called at most once: whether the reply could be sent to its agent. Absent where it makes no difference. */
  delivered?(isDelivered: boolean): void;
}

/** A request on its way past the engine. */
export interface Passage {
  /** Instant of `Clock.now` at which the agent must have its answer. */
  readonly deadlineAtMs: number;
  /** Called exactly once, when the service has answered or it is certain that it will not. */
  end(status: ReplyStatus): void;
}

/** What frontends call. Always answers, exactly once, inside the service's deadline; never throws. */
export interface RequestHandler {
  handle(request: AgentRequest): Promise<AgentReply>;
}

/** What frontends call that can stream: an exchange that the engine need not see is theirs. */
export interface StreamHandler extends RequestHandler {
  /** Undefined where the request must be handled. */
  pass(request: AgentRequest): Passage | undefined;
  /**
   * For a request that no definition knows, which is streamed to its service unread: so that it is counted. The function that is
   * returned is called once, when the response begins or it is certain that there will be none.
   */
  passUnknown(
    request: Pick<AgentRequest, 'service' | 'receivedAtMs' | 'agent'>,
  ): (status: ReplyStatus) => void;
}
