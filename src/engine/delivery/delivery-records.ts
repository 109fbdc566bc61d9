import { messageOf } from '../../domain/errors.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, WriteRef } from '../ports/ports.ts';
import type { Signals } from '../signals.ts';

const RETRY_MS = 1_000;

interface RecordParts {
  readonly journal: Pick<Journal, 'delivered'>;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly signals: Pick<Signals, 'note'>;
}

/**
 * Records the delivery position of each lane. A record that the journal did not take is written later. Until then the lane counts
 * as lagging, for other replicas and for the interlocks, even if no further delivery of it comes.
 */
export class DeliveryRecords {
  readonly #parts: RecordParts;
  /** The newest delivery of each lane whose record must be written again. */
  readonly #missing = new Map<Lane, WriteRef>();
  #isRetrying = false;
  #isStopped = false;

  constructor(parts: RecordParts) {
    this.#parts = parts;
  }

  /**
   * Never rejects, and is not awaited. If a crash of this process loses the record, the delivery is made again and has no effect.
   * If a crash of the database loses it, it is recorded again.
   */
  async record(lane: Lane, write: WriteRef): Promise<void> {
    const failure = await this.#tried(lane, write);
    if (failure !== undefined) this.#parts.emit('journal:failed', { reason: failure });
    if (this.#missing.size > 0 && !this.#isRetrying) await this.#retry();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #retry(): Promise<void> {
    this.#isRetrying = true;
    while (this.#missing.size > 0 && !this.#isStopped) {
      await this.#parts.clock.sleep(RETRY_MS);
      const again = [...this.#missing];
      this.#missing.clear();
      const failures = await Promise.all(again.map(([lane, write]) => this.#tried(lane, write)));
      const reason = failures.find((failure) => failure !== undefined);
      if (reason !== undefined) this.#parts.emit('journal:failed', { reason });
    }
    this.#isRetrying = false;
  }

  /** Why it could not be recorded, or undefined. */
  async #tried(lane: Lane, write: WriteRef): Promise<string | undefined> {
    const { sequence } = write;
    try {
      await this.#parts.journal.delivered(write);
    } catch (error) {
      if ((this.#missing.get(lane)?.sequence ?? 0) < sequence) this.#missing.set(lane, write);
      return messageOf(error);
    }
    // A crash of the database may lose the position.
    this.#parts.signals.note(lane.key);
    this.#parts.emit('delivery:recorded', { service: lane.service, lane: lane.key, sequence });
    return undefined;
  }
}
