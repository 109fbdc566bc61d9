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
  /** Whether the service is not asked any more: then nothing is forwarded, and the connection to it is closed. @defaultValue never */
  readonly isOver?: () => boolean;
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
/** How soon the end of a service is noticed. */
const LOOK_EVERY_MS = 1_000;

/** Forwards a legacy service's broadcasts, frame by frame. Reconnects by itself. */
export function createPubRelay(settings: PubRelaySettings): PubRelay {
  const context = new Context();
  let source: Subscriber | undefined;
  let target: Publisher | undefined;
  let looking: NodeJS.Timeout | undefined;
  const isOver = settings.isOver ?? (() => false);

  function endIfOver(): void {
    if (!isOver()) return;
    clearInterval(looking);
    source?.close();
  }

  async function relay(from: Subscriber, to: Publisher): Promise<void> {
    while (!from.closed) {
      try {
        const frames = await from.receive();
        if (!isOver()) await to.send(frames);
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
      if (isOver()) return;
      source = new Subscriber({ context, linger: 0, reconnectInterval: 100, reconnectMaxInterval: 2_000 });
      source.subscribe();
      source.connect(settings.source);
      void relay(source, target);
      looking = setInterval(endIfOver, LOOK_EVERY_MS);
    },
    stop: async () => {
      clearInterval(looking);
      source?.close();
      target?.close();
    },
  };
}
