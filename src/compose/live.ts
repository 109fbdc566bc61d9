import type { ServiceName } from '../domain/ids.ts';
import type { Events } from '../engine/ports/events.ts';
import type { Clock } from '../shared/clock.ts';
import { LiveBook, SAMPLE_MS } from '../operator/live-book.ts';
import type { Part } from '../shared/parts.ts';

export interface LiveFacts {
  readonly services: ReadonlyMap<ServiceName, unknown>;
  readonly events: Events;
  readonly clock: Clock;
}

export interface Live {
  readonly book: LiveBook;
  readonly part: Part;
}

/** What happens now, in samples, for the people who watch the desk. */
export function createLive({ services, events, clock }: LiveFacts): Live {
  const book = new LiveBook([...services.keys()]);
  events.subscribe(book.listener);
  let timer: NodeJS.Timeout | undefined;
  const start = async (): Promise<void> => {
    timer = setInterval(() => book.turn(clock.wallMs()), SAMPLE_MS);
    timer.unref();
  };
  return { book, part: { name: 'live samples', start, stop: async () => clearInterval(timer) } };
}
