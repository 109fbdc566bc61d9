import type { Purpose } from '../../domain/backend.ts';
import { CrossfadeError, OperationError } from '../../domain/errors.ts';
import { sessionIdOf } from '../../domain/ids.ts';
import type { OrchestratorAnswer, OrchestratorRead } from '../../domain/orchestrator-call.ts';
import type { MappedRead } from '../../domain/service-definition.ts';
import type { Emit } from '../ports/events.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator, OrchestratorOptions } from '../ports/ports.ts';

/** A definition that still asks for more pages after this many rounds would never end. */
const ROUNDS = 1_000;

/** A read whose action defines how the orchestrator answers it. */
export type MappedOperation = OwnedOperation & { readonly action: MappedRead };

export interface AskParts {
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Answers a read from the orchestrator, as JSON text in the legacy dialect. @throws CrossfadeError */
export type AskOrchestrator = (
  operation: MappedOperation,
  purpose: Purpose,
  deadlineAtMs: number,
) => Promise<string>;

export function isMapped(operation: OwnedOperation): operation is MappedOperation {
  return operation.action.kind === 'read' && operation.action.legacyOnly === undefined;
}

export function createAskOrchestrator({ orchestrator, clock, emit }: AskParts): AskOrchestrator {
  return async (operation, purpose, deadlineAtMs) => {
    const startedAtMs = clock.now();
    const said = (result: 'answered' | 'error' | 'timeout' | 'unreachable'): void =>
      emit('backend:called', {
        service: operation.service.name,
        operationId: operation.id,
        action: operation.name,
        backend: 'orchestrator',
        purpose,
        startedAtMs,
        durationMs: clock.now() - startedAtMs,
        result,
      });
    try {
      const reply = await answer(orchestrator, operation, {
        purpose,
        deadlineAtMs,
        operations: [operation.id],
        caller: operation.request.caller,
      });
      said('answered');
      return reply;
    } catch (error) {
      said(resultOf(error));
      throw error;
    }
  };
}

async function answer(
  orchestrator: Orchestrator,
  operation: MappedOperation,
  options: OrchestratorOptions,
): Promise<string> {
  const { action, message: request, service, owner } = operation;
  const sessionId = sessionIdOf(service.definition.lanes.sessionPrefix, owner);
  const answers: OrchestratorAnswer[] = [];
  let reads: readonly OrchestratorRead[] = action.toOrchestrator(request, sessionId);
  for (let round = 0; round < ROUNDS; round += 1) {
    answers.push(...(await Promise.all(reads.map((read) => orchestrator.read(read, options)))));
    const result = action.fromOrchestrator(answers, { request, sessionId, context: service.context });
    if ('reply' in result) return result.reply;
    reads = result.next;
  }
  throw new OperationError(`"${operation.name}" asked the orchestrator for more than ${ROUNDS} pages`, {
    code: 'internal_error',
    effect: 'rejected',
  });
}

function resultOf(error: unknown): 'error' | 'timeout' | 'unreachable' {
  if (!(error instanceof CrossfadeError) || error.reason === undefined) return 'error';
  return error.reason === 'timeout' ? 'timeout' : 'unreachable';
}
