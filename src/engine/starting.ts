import { messageOf, StorageError } from '../domain/errors.ts';
import type { Emit } from './ports/events.ts';
import type { Clock } from './ports/ports.ts';
import { UNKNOWN_COVERAGE, type Coverage } from './ports/service-runtime.ts';
import type { Spill } from './spill/spill.ts';

const RETRY_MS = 1_000;

export interface StartingParts {
  /** Absent: nothing may be spilled, and the journal must answer. */
  readonly spill: Spill | undefined;
  readonly coverage: ReadonlyMap<string, Coverage>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** May be called again after a failure. @throws StorageError */
  begin(): Promise<void>;
}

/**
 * Starts the engine among the other replicas, and takes over what the last process left. If the journal is away and an earlier
 * process has used it, agents are served all the same. Every write is spilled and legacy answers every read, until the journal
 * answers.
 */
export class Starting {
  readonly #parts: StartingParts;
  readonly #stopping = new AbortController();
  #trying: Promise<void> | undefined;

  constructor(parts: StartingParts) {
    this.#parts = parts;
  }

  /** @throws StorageError if the journal is away and nothing may be spilled */
  async start(): Promise<void> {
    const { spill } = this.#parts;
    spill?.inherit();
    try {
      await this.#parts.begin();
    } catch (error) {
      if (spill?.mayStartAway !== true || !(error instanceof StorageError)) throw error;
      this.#parts.emit('journal:failed', { reason: error.message });
      this.#assumeCoverage();
      spill.startAway();
      this.#trying = this.#tryAgain();
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#trying;
  }

  /** It is unknown whether a service is covered. Spilling writes of an uncovered one does no harm. */
  #assumeCoverage(): void {
    for (const state of this.#parts.coverage.values()) state.number = UNKNOWN_COVERAGE;
  }

  async #tryAgain(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await this.#parts.clock.sleep(RETRY_MS, signal);
      if (signal.aborted) return;
      try {
        return await this.#parts.begin();
      } catch (error) {
        this.#parts.emit('journal:failed', { reason: messageOf(error) });
      }
    }
  }
}
