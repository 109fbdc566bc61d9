import type { Action, PayloadOf } from '../../../src/orchestrator/wire/payloads.ts';
import type { Request } from '../../../src/orchestrator/wire/request.ts';

/** A request as the orchestrator has it after parsing, without a lane and an id. */
export function requestWith<A extends Action>(action: A, payload: PayloadOf<A>, sessionId = ''): Request<A> {
  return {
    action,
    sessionId,
    payload,
    raw: {},
    lane: undefined,
    requestId: undefined,
    deadlineMs: 1_000,
    suspicious: false,
  };
}
