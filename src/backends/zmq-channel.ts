import { Context } from 'zeromq';
import type { Clock } from '../shared/clock.ts';
import type { LegacyCall, Reply } from '../engine/ports/ports.ts';
import type { Purpose } from '../domain/backend.ts';
import type { ServiceName } from '../domain/ids.ts';
import {
  type CallOutcome,
  CallSlots,
  createDeadlineSweep,
  type DeadlineSweep,
  type PendingCall,
  type SlotSettings,
  type Transport,
} from './call-slots.ts';
import {
  type BreakerSettings,
  type Channel,
  type ChannelLoad,
  createPurposes,
  type LegacyClient,
} from './channels.ts';
import { type CurveKeys, ZmqConnection } from './zmq-connection.ts';

interface ZmqChannelSettings extends SlotSettings {
  /** `tcp://host:port`. */
  readonly address: string;
  readonly curve?: CurveKeys | undefined;
}

interface ZmqChannelParts {
  readonly context: Context;
  readonly clock: Clock;
  readonly sweep: DeadlineSweep;
  onOutcome?(outcome: CallOutcome): void;
  /** A connection was established. Facts about the previous peer may no longer be true. */
  onUp?(): void;
  onDown?(): void;
}

/** Calls to one ZMQ server over one DEALER socket. A correlation frame before the empty delimiter matches replies to calls. */
export class ZmqChannel implements Channel, Transport {
  readonly #connection: ZmqConnection;
  readonly #slots: CallSlots;

  constructor(settings: ZmqChannelSettings, parts: ZmqChannelParts) {
    this.#connection = new ZmqConnection(
      { address: settings.address, curve: settings.curve, context: parts.context },
      {
        onReply: (id, body) => this.#slots.answered(id, { body }),
        onRefused: (pending) => this.#refused(pending),
        onUp: () => {
          parts.onUp?.();
          this.#slots.drain();
        },
        onDown: () => {
          parts.onDown?.();
          this.#slots.reset();
        },
        onGraceOver: () => this.#slots.withdrawQueued('unreachable'),
      },
    );
    this.#slots = new CallSlots(settings, { ...parts, transport: this });
  }

  readiness(): 'ready' | 'connecting' | 'down' {
    return this.#connection.readiness();
  }

  transmit(pending: PendingCall): void {
    this.#connection.send(pending);
  }

  send(call: LegacyCall): Promise<Reply> {
    return this.#slots.send(call);
  }

  releaseSentBefore(instantMs: number): void {
    this.#slots.releaseSentBefore(instantMs);
  }

  load(): ChannelLoad {
    const { inFlight, queued } = this.#slots;
    return { inFlight, queued, isConnected: this.readiness() !== 'down' };
  }

  start(): void {
    this.#slots.restart();
    this.#connection.open();
  }

  async stop(): Promise<void> {
    this.#slots.stop();
    this.#connection.close();
  }

  #refused(pending: PendingCall): void {
    this.#slots.notSent(pending, this.readiness() === 'ready' ? 'queue_full' : 'unreachable');
  }
}

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
