import { type CrossfadeError, messageOf, refusalReasonOf } from '../../domain/errors.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import type { DeliveryQueue } from '../lane/delivery-queue.ts';
import type { Parcel } from './pack.ts';

const RETRY_MS = 50;

interface RefusalParts {
  readonly queue: Pick<DeliveryQueue, 'block' | 'unblock'>;
  readonly journal: Pick<Journal, 'deadLetter'>;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Records writes that the secondary refuses for good as dead letters (W3). Only their own lane waits for that. */
export class Refusals {
  readonly #parts: RefusalParts;
  readonly #lanes = new Set<Lane>();

  constructor(parts: RefusalParts) {
    this.#parts = parts;
  }

  /** Dead letters that are not durable yet. */
  get open(): number {
    return this.#lanes.size;
  }

  isOpen(lane: Lane): boolean {
    return this.#lanes.has(lane);
  }

  /**
   * Later writes of the lane wait from now on. Never rejects. If the journal does not take the dead letter, the write is sent
   * again.
   */
  async record({ lane, write }: Parcel, error: CrossfadeError): Promise<void> {
    const { journal, queue, clock, emit } = this.#parts;
    const refusal = { code: error.code, reason: refusalReasonOf(error) };
    this.#lanes.add(lane);
    queue.block(lane, write.sequence);
    try {
      await journal.deadLetter({ ref: write, ...refusal });
      const { operationId, action, sequence } = write;
      const facts = { service: lane.service, lane: lane.key, operationId, action, sequence };
      emit('delivery:dead_letter', { ...facts, ...refusal });
    } catch (cause) {
      emit('journal:failed', { reason: messageOf(cause) });
      await clock.sleep(RETRY_MS);
      queue.unblock(lane, write.sequence);
    } finally {
      this.#lanes.delete(lane);
    }
  }
}
