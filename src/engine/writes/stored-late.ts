import { isReadable, type ServiceDefinition } from '../../domain/service-definition.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

const TOLERANCES = new WeakMap<ServiceDefinition, number>();

/**
 * Whether a write that is known to have taken effect only long after it was accepted must be copied. Its service may have stored
 * it at any moment in between, because the service or this process may have been paused. A delivered item gets the time at which
 * it was accepted. If the two times are further apart than the times of answers may be, every read of it would differ. Only a
 * copy knows the service's own time. A lane that cannot be copied is delivered.
 * @param sinceMs by the monotonic clock, because a wall clock may jump
 */
export function mayBeStoredLate(service: ServiceRuntime, sinceMs: number): boolean {
  return sinceMs > toleranceMsOf(service.definition) && isReadable(service);
}

/** How far apart the times of answers may be; Infinity if none are compared. */
function toleranceMsOf(definition: ServiceDefinition): number {
  const known = TOLERANCES.get(definition) ?? leastToleranceMs(definition);
  TOLERANCES.set(definition, known);
  return known;
}

function leastToleranceMs({ actions }: ServiceDefinition): number {
  const rules = Object.values(actions).flatMap((action) =>
    action.kind === 'read' && action.legacyOnly === undefined ? action.rules : [],
  );
  const tolerances = rules.map((rule) => (rule.kind === 'tolerance_seconds' ? rule.seconds : Infinity));
  return Math.min(...tolerances) * 1_000;
}
