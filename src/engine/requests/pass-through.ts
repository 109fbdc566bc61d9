import { CrossfadeError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Answer } from '../ports/operation.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Operation } from '../ports/operation.ts';
import type { Coverage } from '../ports/service-runtime.ts';
import type { Settler } from '../writes/settle.ts';

export interface PassThroughParts {
  readonly callLegacy: CallLegacy;
  readonly lanes: Lanes;
  readonly settler: Settler;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
}

/** What no definition knows, or has no owner: relayed as it is. */
export async function passThrough(operation: Operation, parts: PassThroughParts): Promise<Answer> {
  const isTouched = touchedLane(operation, parts);
  // A write, although nobody knows whose: no write passes one whose outcome is unknown.
  if (isTouched !== undefined) await parts.settler.gate(operation.service.name, operation.deadlineAtMs);
  try {
    const { reply, durationMs } = await parts.callLegacy(operation, 'live');
    isTouched?.('answered');
    return { reply, backend: 'legacy', primaryMs: durationMs };
  } catch (error) {
    if (error instanceof CrossfadeError && error.effect === 'unknown') isTouched?.('unknown');
    throw error;
  }
}

/** For a write without an owner that may have changed somebody's lane: says how it ended, upon which that lane is copied anew. */
function touchedLane(
  { service, touched }: Operation,
  { lanes, settler, coverage }: PassThroughParts,
): ((end: 'answered' | 'unknown') => void) | undefined {
  if (touched === undefined) return undefined;
  // What the journal knows of the lane must not come in behind the mark; and no agent waits for it.
  const loaded = lanes.load(service.name, touched).catch(() => lanes.of(service.name, touched));
  return (end) =>
    void loaded.then((lane) => {
      // Without coverage no lane is seeded: each is copied before anything is read from it.
      if ((coverage.get(service.name)?.number ?? 0) === 0) return;
      if (end === 'answered') settler.copyAnew(lane, 'unmapped_write');
      else settler.settle(lane, service);
    });
}
