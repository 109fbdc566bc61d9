import type { Purpose } from '../../domain/backend.ts';
import { CrossfadeError } from '../../domain/errors.ts';
import type { Emit } from '../ports/events.ts';
import type { Operation } from '../ports/operation.ts';
import type { Clock } from '../../shared/clock.ts';
import type { LegacyCall, Reply } from '../ports/ports.ts';

/** The duration of a call to the legacy service, with its reply. */
export interface TimedReply {
  readonly reply: Reply;
  readonly durationMs: number;
}

/** Calls the legacy service of an operation and emits the event. @throws ConnectionError */
export type CallLegacy = (
  operation: Operation,
  purpose: Purpose,
  extra?: Partial<Pick<LegacyCall, 'deadlineAtMs' | 'maySend' | 'onSent' | 'onLate'>>,
) => Promise<TimedReply>;

function resultOf(error: unknown): 'timeout' | 'unreachable' | 'error' {
  if (!(error instanceof CrossfadeError)) return 'error';
  return error.effect === 'unknown' ? 'timeout' : 'unreachable';
}

export function createCallLegacy(clock: Clock, emit: Emit): CallLegacy {
  return async (operation, purpose, extra) => {
    const startedAtMs = clock.now();
    const said = (result: 'answered' | 'timeout' | 'unreachable' | 'error'): number => {
      const durationMs = clock.now() - startedAtMs;
      emit('backend:called', {
        service: operation.service.name,
        operationId: operation.id,
        action: operation.name,
        backend: 'legacy',
        purpose,
        startedAtMs,
        durationMs,
        result,
      });
      return durationMs;
    };
    try {
      const reply = await operation.service.legacy.send({
        body: operation.body,
        purpose,
        deadlineAtMs: extra?.deadlineAtMs ?? operation.deadlineAtMs,
        http: operation.request.http,
        caller: operation.request.caller,
        maySend: extra?.maySend,
        onSent: extra?.onSent,
        onLate: extra?.onLate,
      });
      return { reply, durationMs: said('answered') };
    } catch (error) {
      said(resultOf(error));
      throw error;
    }
  };
}
