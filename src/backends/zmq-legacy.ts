import { Context } from 'zeromq';
import type { Purpose } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Clock } from '../shared/clock.ts';
import { type BreakerSettings, createPurposes, type LegacyClient } from './channels.ts';
import { createDeadlineSweep } from './call-slots.ts';
import { ZmqChannel } from './zmq-channel.ts';

export interface ZmqLegacySettings {
  readonly service: ServiceName;
  /** `tcp://host:port` of the legacy server. */
  readonly endpoint: string;
  /** Largest number of unanswered calls for each purpose; 0: no limit. @defaultValue 1, because a REP server is serial */
  readonly inFlightLimit?: number;
  /** Largest number of queued calls for each purpose. @defaultValue 10000 */
  readonly queueLimit?: number;
  /** @defaultValue live opens after 20 consecutive failures, shadow and probe after 5; a trial call after 1 s */
  readonly breaker?: Partial<Record<Purpose, BreakerSettings>>;
  readonly clock: Clock;
}

/** A legacy ZMQ service: one socket, queue and circuit breaker for each purpose. */
export function createZmqLegacyBackend(settings: ZmqLegacySettings): LegacyClient {
  const { service, clock } = settings;
  const context = new Context();
  const sweep = createDeadlineSweep(clock);
  const limits = {
    inFlightLimit: settings.inFlightLimit ?? 1,
    queueLimit: settings.queueLimit ?? 10_000,
    backend: 'legacy',
    address: settings.endpoint,
    holdsLateSlots: true,
  } as const;
  const purposes = createPurposes({
    service,
    clock,
    breaker: settings.breaker,
    createChannel: (name, watcher) =>
      new ZmqChannel({ ...limits, name }, { context, clock, sweep, ...watcher }),
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
