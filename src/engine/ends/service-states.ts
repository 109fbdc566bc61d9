import type { ServiceName } from '../../domain/ids.ts';
import type { WritesState } from '../../domain/stage.ts';
import type { ServiceWrites, ServiceWritesStore } from '../ports/service-writes-ports.ts';

/**
 * How far each service's writes have left legacy, as this replica last read it. Used for what has no intent: reads, requests that
 * are relayed, and background work. A write obeys what its intent commit returned. While the journal is away, the last state counts.
 */
export class ServiceStates {
  readonly #store: Pick<ServiceWritesStore, 'all'>;
  #known: ReadonlyMap<ServiceName, ServiceWrites> = new Map();

  constructor(store: Pick<ServiceWritesStore, 'all'>) {
    this.#store = store;
  }

  /** @throws StorageError */
  async look(): Promise<void> {
    const found = await this.#store.all();
    this.#known = new Map(found.map((writes) => [writes.service, writes]));
  }

  /** Undefined for a service that is open. */
  of(service: ServiceName): ServiceWrites | undefined {
    return this.#known.get(service);
  }

  stateOf(service: ServiceName): WritesState {
    return this.#known.get(service)?.state ?? 'open';
  }

  /** Whether legacy is no longer there for the service. */
  isComplete(service: ServiceName): boolean {
    return this.stateOf(service) === 'complete';
  }
}
