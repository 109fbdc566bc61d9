import { Publisher } from 'zeromq';

export interface StatePublisherSettings {
  readonly endpoint: string;
  readonly everyMs: number;
  readonly message: () => string;
}

export interface StatePublisher {
  start: () => Promise<void>;
  stop: () => Promise<void>;
}

/** Publishes the state as one frame without a topic, at once and then periodically. */
export function createStatePublisher(settings: StatePublisherSettings): StatePublisher {
  const { endpoint, everyMs, message } = settings;
  let socket: Publisher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();
  const publish = (): void => {
    sending = sending.then(() => socket?.send(message())).catch(() => undefined);
  };
  return {
    start: async () => {
      const publisher = new Publisher({ linger: 0 });
      try {
        await publisher.bind(endpoint);
      } catch (error) {
        publisher.close();
        throw error;
      }
      socket = publisher;
      publish();
      timer = setInterval(publish, everyMs);
    },
    stop: async () => {
      clearInterval(timer);
      await sending;
      await socket?.unbind(endpoint);
      socket?.close();
      socket = undefined;
    },
  };
}
