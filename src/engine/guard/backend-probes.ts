import type { ServiceName } from '../../domain/ids.ts';
import type { Clock, Orchestrator } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';

const PROBE_TIMEOUT_MS = 1_000;

/** Sends a harmless request to both backends, end to end. */
export interface BackendProbes {
  ask(service: ServiceName): Promise<{ readonly legacy: boolean; readonly orchestrator: boolean }>;
}

export function createBackendProbes(parts: {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
}): BackendProbes {
  const { services, orchestrator, clock } = parts;
  const answered = (call: Promise<unknown>): Promise<boolean> =>
    call.then(
      () => true,
      () => false,
    );
  return {
    async ask(service) {
      const runtime = services.get(service);
      const asked = { purpose: 'probe', deadlineAtMs: clock.now() + PROBE_TIMEOUT_MS } as const;
      const [legacy, other] = await Promise.all([
        runtime === undefined
          ? false
          : answered(runtime.legacy.send({ ...asked, body: Buffer.from(runtime.definition.probe) })),
        answered(orchestrator.read({ action: 'health', payload: {} }, asked)),
      ]);
      return { legacy, orchestrator: other };
    },
  };
}
