import { CrossfadeError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import { readReply } from '../../domain/request.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Answer } from '../ports/operation.ts';
import type { Lanes } from '../lane/lanes.ts';
import { labelsOf, type Operation } from '../ports/operation.ts';
import type { Emit } from '../ports/events.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import type { Settler } from '../writes/settle.ts';

export interface PassThroughParts {
  readonly callLegacy: CallLegacy;
  readonly lanes: Lanes;
  readonly settler: Settler;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly emit: Emit;
}

/** Relays a request unchanged that the definition does not know, or that has no owner. */
export async function passThrough(operation: Operation, parts: PassThroughParts): Promise<Answer> {
  const isTouched = touchedLane(operation, parts);
  // It may be a write of any lane, so it waits while an unknown outcome is being probed.
  if (isTouched !== undefined) await parts.settler.gate(operation.service.name, operation.deadlineAtMs);
  try {
    const { reply, durationMs } = await parts.callLegacy(operation, 'live');
    isTouched?.('answered');
    count(operation, parts, operation.unmapped?.outcome(readReply(reply.body), operation.message));
    return { reply, backend: 'legacy', primaryMs: durationMs };
  } catch (error) {
    if (error instanceof CrossfadeError && error.effect === 'unknown') {
      isTouched?.('unknown');
      count(operation, parts, 'unknown');
    }
    throw error;
  }
}

/** Reports a write that no lane holds. One that changed a known lane is not missing, because that lane is copied. */
function count(
  operation: Operation,
  { coverage, emit }: PassThroughParts,
  outcome: ReplyOutcome | undefined,
): void {
  const { service, unmapped, touched } = operation;
  if (unmapped === undefined || touched !== undefined || outcome === undefined || outcome === 'refused')
    return;
  if ((coverage.get(service.name)?.number ?? 0) === 0) return;
  emit('write:unmapped', { ...labelsOf(operation), outcome });
}

/**
 * For a write without an owner that may have changed another lane. The returned function records how the write ended, and that
 * lane is then copied.
 */
function touchedLane(
  { service, touched }: Operation,
  { lanes, settler, coverage }: PassThroughParts,
): ((end: 'answered' | 'unknown') => void) | undefined {
  if (touched === undefined) return undefined;
  // The lane's row must be loaded before the mark. No agent waits for this.
  const loaded = lanes.load(service.name, touched).catch(() => lanes.of(service.name, touched));
  return (end) =>
    void loaded.then((lane) => {
      // Without coverage no lane is seeded, so each is copied before any read uses it.
      if ((coverage.get(service.name)?.number ?? 0) === 0) return;
      if (end === 'answered') settler.copyAnew(lane, 'unmapped_write');
      else settler.settle(lane, service);
    });
}
