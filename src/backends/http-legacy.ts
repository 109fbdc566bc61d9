import type { Purpose } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Clock } from '../shared/clock.ts';
import { type BreakerSettings, createPurposes, type LegacyClient } from './channels.ts';
import { createDeadlineSweep } from './call-slots.ts';
import { HttpChannel } from './http-channel.ts';

export interface HttpLegacySettings {
  readonly service: ServiceName;
  /** `http://host:port` of the legacy server, with a path if the service uses one. */
  readonly endpoint: string;
  /** Connections for each purpose, one call at a time on each. @defaultValue 32 */
  readonly connections?: number;
  /** Largest number of queued calls for each purpose. @defaultValue 10000 */
  readonly queueLimit?: number;
  /** @defaultValue live opens after 20 consecutive failures, shadow and probe after 5; a trial call after 1 s */
  readonly breaker?: Partial<Record<Purpose, BreakerSettings>>;
  readonly clock: Clock;
}

/** A legacy HTTP service: connections, queue and circuit breaker for each purpose. No call is sent twice. */
export function createHttpLegacyBackend(settings: HttpLegacySettings): LegacyClient {
  const { service, clock, connections = 32 } = settings;
  const { origin, pathname } = new URL(settings.endpoint);
  const sweep = createDeadlineSweep(clock);
  const limits = {
    inFlightLimit: connections,
    connections,
    queueLimit: settings.queueLimit ?? 10_000,
    backend: 'legacy',
    origin,
    pathPrefix: pathname.replace(/\/$/, ''),
    holdsLateSlots: true,
  } as const;
  const purposes = createPurposes({
    service,
    clock,
    breaker: settings.breaker,
    createChannel: (name, watcher) => new HttpChannel({ ...limits, name }, { clock, sweep, ...watcher }),
  });
  return {
    send: (call) => purposes.send(call),
    load: (purpose) => purposes.load(purpose),
    start: async () => purposes.start(),
    stop: async () => {
      await purposes.stop();
      sweep.stop();
    },
  };
}
