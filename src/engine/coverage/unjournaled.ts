import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';

const LOOK_EVERY_MS = 20;

export interface UnjournaledParts {
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly clock: Clock;
  /** Resolves when the service has processed everything that was sent to it before. */
  readonly probed: (service: ServiceRuntime) => Promise<void>;
}

/** The end of a write that is not in the journal. */
export type UnjournaledEnd = 'certain' | 'unknown';

/**
 * Counts the writes that are not in the journal, from their sending until they can certainly take no more effect. The first
 * copies under a coverage wait for them, because a lane that is read before such a write takes effect would never contain it.
 */
export class Unjournaled {
  readonly #parts: UnjournaledParts;

  constructor(parts: UnjournaledParts) {
    this.#parts = parts;
  }

  /** Records that a write is about to be sent. The returned function must be called once with its end. */
  begin(service: ServiceRuntime): (end: UnjournaledEnd) => void {
    const coverage = this.#parts.coverage.get(service.name);
    if (coverage === undefined) return () => undefined;
    coverage.unjournaled += 1;
    return (end) => {
      if (end === 'certain') coverage.unjournaled -= 1;
      else void this.#settled(service).then(() => (coverage.unjournaled -= 1));
    };
  }

  /** The previous process may have sent writes that are unknown here. */
  inherit(service: ServiceRuntime): void {
    this.begin(service)('unknown');
  }

  /** Resolves when none is under way, or after `ms`. The next process would not know of them. */
  async ended(ms: number): Promise<void> {
    const { clock, coverage } = this.#parts;
    const untilMs = clock.now() + ms;
    const isUnderWay = (): boolean => [...coverage.values()].some(({ unjournaled }) => unjournaled > 0);
    while (isUnderWay() && clock.now() < untilMs) await clock.sleep(LOOK_EVERY_MS);
  }

  /** Two answered probes, and at least one deadline after the send, because the request may stay in the network that long. */
  async #settled(service: ServiceRuntime): Promise<void> {
    await Promise.all([this.#parts.probed(service), this.#parts.clock.sleep(service.deadlineMs)]);
  }
}
