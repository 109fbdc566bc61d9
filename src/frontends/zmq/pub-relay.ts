import { Context, Publisher, Subscriber } from 'zeromq';
import { messageOf } from '../../domain/errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { takePort } from '../take-port.ts';

export interface PubRelaySettings {
  /** `tcp://host:port` of the legacy service's PUB socket. */
  readonly source: string;
  readonly host: string;
  /** The port agents subscribe to. */
  readonly port: number;
  readonly clock: Clock;
  /** How long start() waits for a port that is in use, milliseconds. @defaultValue 0 */
  readonly takeOverMs?: number;
  /** A broadcast could not be forwarded. Broadcasts are never repeated. */
  onProblem?(problem: 'broadcast_lost', detail: string): void;
}

export interface PubRelay {
  /** @throws Error if the port is in use */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Subscribers send only subscriptions. A longer message closes their connection. */
const SUBSCRIPTION_BYTES = 4_096;

/** Forwards a legacy service's broadcasts, frame by frame. Reconnects by itself. */
export function createPubRelay(settings: PubRelaySettings): PubRelay {
  const context = new Context();
  let source: Subscriber | undefined;
  let target: Publisher | undefined;

  async function relay(from: Subscriber, to: Publisher): Promise<void> {
    while (!from.closed) {
      try {
        await to.send(await from.receive());
      } catch (error) {
        if (!from.closed) settings.onProblem?.('broadcast_lost', messageOf(error));
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  return {
    start: async () => {
      const made = new Publisher({ context, linger: 0, sendTimeout: 0, maxMessageSize: SUBSCRIPTION_BYTES });
      const address = `tcp://${settings.host}:${settings.port}`;
      await takePort(() => made.bind(address), settings).catch((error: unknown) => {
        made.close();
        throw error;
      });
      target = made;
      source = new Subscriber({ context, linger: 0, reconnectInterval: 100, reconnectMaxInterval: 2_000 });
      source.subscribe();
      source.connect(settings.source);
      void relay(source, target);
    },
    stop: async () => {
      source?.close();
      target?.close();
    },
  };
}
