import type { ServiceName } from '../domain/ids.ts';
import type { Clock } from '../shared/clock.ts';
import type { LegacyBackend } from '../engine/ports/ports.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';

/** The original health scripts give up after 3 s. */
const PROBE_TIMEOUT_MS = 2_000;
/** Several supervisors that ask at once cost the service one probe a second. */
const BELIEVED_MS = 1_000;

type Probed = Pick<ServiceRuntime, 'definition'> & { readonly legacy: LegacyBackend };

/** Says of a service whether it answers its harmless probe. Never rejects. */
export function createLegacyHealth(
  services: ReadonlyMap<ServiceName, Probed>,
  clock: Clock,
): (service: ServiceName) => Promise<boolean> {
  const known = new Map<ServiceName, { readonly untilMs: number; readonly answer: Promise<boolean> }>();
  return (service) => {
    const runtime = services.get(service);
    if (runtime === undefined || !runtime.legacy.load('live').isConnected) return Promise.resolve(false);
    const last = known.get(service);
    if (last !== undefined && clock.now() < last.untilMs) return last.answer;
    const deadlineAtMs = clock.now() + PROBE_TIMEOUT_MS;
    const answer = runtime.legacy
      .send({ body: Buffer.from(runtime.definition.probe), purpose: 'probe', deadlineAtMs })
      .then(
        () => true,
        () => false,
      )
      .then((isAnswering) => {
        known.set(service, { untilMs: clock.now() + BELIEVED_MS, answer });
        return isAnswering;
      });
    // One probe at a time: who asks while it is under way gets its answer.
    known.set(service, { untilMs: Infinity, answer });
    return answer;
  };
}
