import type { Span } from '@opentelemetry/api';
import type { OperationId } from '../domain/ids.ts';

/** Largest number of sampled operations that are kept open for later events. */
const MOST_OPEN = 2_000;
/** Deliveries and comparisons after this time are not traced. */
const OPEN_MS = 60_000;

/** A sampled operation: its span, and the offset from the engine's instants to wall-clock time. */
export interface OpenOperation {
  readonly span: Span;
  readonly startedAtMs: number;
  /** Add it to an instant of the monotonic clock to get milliseconds since 1970. */
  readonly epochOffsetMs: number;
  isReplied: boolean;
}

/** The sampled operations of the last minute, bounded. The oldest are removed first, and an open span is ended then. */
export class OpenOperations {
  readonly #open = new Map<OperationId, OpenOperation>();

  get size(): number {
    return this.#open.size;
  }

  get(id: OperationId): OpenOperation | undefined {
    return this.#open.get(id);
  }

  add(id: OperationId, operation: OpenOperation): void {
    this.#open.set(id, operation);
    for (const [oldest, { startedAtMs }] of this.#open) {
      if (this.#open.size <= MOST_OPEN && operation.startedAtMs - startedAtMs <= OPEN_MS) return;
      this.#drop(oldest);
    }
  }

  clear(): void {
    for (const id of this.#open.keys()) this.#drop(id);
  }

  #drop(id: OperationId): void {
    const operation = this.#open.get(id);
    if (operation?.isReplied === false) {
      operation.span.setAttribute('crossfade.is_complete', false);
      operation.span.end();
    }
    this.#open.delete(id);
  }
}
