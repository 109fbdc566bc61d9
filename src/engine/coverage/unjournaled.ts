import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../ports/ports.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';

const LOOK_EVERY_MS = 20;

export interface UnjournaledParts {
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly clock: Clock;
  /** Resolves when the service has taken everything that was sent to it before. */
  readonly probed: (service: ServiceRuntime) => Promise<void>;
}

/** What became of a write that no journal knows. */
export type UnjournaledEnd = 'certain' | 'unknown';

/**
 * Counts the writes that no journal knows, from their sending until it is certain that they take no effect any more. The first
 * copies under a coverage wait for them: a lane that is read before such a write takes effect would miss it for ever.
 */
export class Unjournaled {
  readonly #parts: UnjournaledParts;

  constructor(parts: UnjournaledParts) {
    this.#parts = parts;
  }

  /** A write is about to be sent. The function that is returned says once how it ended. */
  begin(service: ServiceRuntime): (end: UnjournaledEnd) => void {
    const coverage = this.#parts.coverage.get(service.name);
    if (coverage === undefined) return () => undefined;
    coverage.unjournaled += 1;
    return (end) => {
      if (end === 'certain') coverage.unjournaled -= 1;
      else void this.#settled(service).then(() => (coverage.unjournaled -= 1));
    };
  }

  /** The process before this one may have sent what nobody knows of. */
  inherit(service: ServiceRuntime): void {
    this.begin(service)('unknown');
  }

  /** Resolves when none is under way any more, or after `ms`: the next process would not know of it. */
  async ended(ms: number): Promise<void> {
    const { clock, coverage } = this.#parts;
    const untilMs = clock.now() + ms;
    const isUnderWay = (): boolean => [...coverage.values()].some(({ unjournaled }) => unjournaled > 0);
    while (isUnderWay() && clock.now() < untilMs) await clock.sleep(LOOK_EVERY_MS);
  }

  /** Two answered probes, and not sooner than one deadline after the send: it may lie in the network so long. */
  async #settled(service: ServiceRuntime): Promise<void> {
    await Promise.all([this.#parts.probed(service), this.#parts.clock.sleep(service.deadlineMs)]);
  }
}
