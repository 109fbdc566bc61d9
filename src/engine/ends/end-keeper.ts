import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Emit } from '../ports/events.ts';
import type { ServiceWrites, ServiceWritesStore } from '../ports/service-writes-ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { type CensusParts, takeCensus } from './census.ts';
import type { ServiceStates } from './service-states.ts';

const EVERY_MS = 1_000;

export interface EndKeeperParts extends CensusParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly states: ServiceStates;
  readonly store: Pick<
    ServiceWritesStore,
    'settle' | 'lastForLegacy' | 'claimCensus' | 'finishCensus' | 'foundForeign'
  >;
  /** A read-only service is open again, or complete. Legacy gets what the journal kept, or never gets it. @throws StorageError */
  readonly decided: () => Promise<void>;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly settings: {
    /** How long after the record a request to legacy that was sent before it may still take effect. */
    readonly settleMs: number;
    readonly censusEverySeconds: number;
  };
}

/**
 * Follows the services that take no more writes on legacy: ../README.md, "Moving the writes of a lane", T13. Every replica may do each
 * step, because the statements have their conditions.
 */
export class EndKeeper {
  readonly #parts: EndKeeperParts;
  readonly #stopping = new AbortController();
  readonly #counting = new Map<ServiceName, Promise<void>>();
  #loop: Promise<void> | undefined;

  constructor(parts: EndKeeperParts) {
    this.#parts = parts;
  }

  /** The states are known before the first request. May be called again after a failure. @throws StorageError */
  async start(): Promise<void> {
    await this.#parts.states.look();
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    await Promise.all(this.#counting.values());
  }

  async #run(): Promise<void> {
    const { clock, emit } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        await this.#follow();
      } catch (error) {
        emit('journal:failed', { reason: messageOf(error) });
      }
    }
  }

  async #follow(): Promise<void> {
    const { states, services, store, settings, emit } = this.#parts;
    const before = [...services.keys()].map((service) => ({ service, state: states.stateOf(service) }));
    await states.look();
    const changed = before.filter(({ service, state }) => states.stateOf(service) !== state);
    for (const { service } of changed) this.#tell(service);
    if (changed.some(({ service }) => states.stateOf(service) !== 'read_only')) await this.#parts.decided();
    for (const service of services.values()) {
      const writes = states.of(service.name);
      if (writes?.state !== 'read_only') continue;
      if (writes.settledAtMs === undefined) {
        if (await store.settle(service.name, settings.settleMs))
          emit('service:settled', { service: service.name });
      } else this.#count(service, writes);
    }
  }

  #tell(service: ServiceName): void {
    const { states, emit } = this.#parts;
    const state = states.stateOf(service);
    if (state === 'read_only') emit('service:read_only', { service });
    if (state === 'complete') emit('service:completed', { service });
  }

  /** A census may take longer than the pause between two looks. */
  #count(service: ServiceRuntime, writes: ServiceWrites): void {
    const { name } = service;
    if (this.#counting.has(name)) return;
    const counting = this.#census(service, writes)
      .catch((error: unknown) =>
        this.#parts.emit('service:census_failed', { service: name, reason: messageOf(error) }),
      )
      .finally(() => this.#counting.delete(name));
    this.#counting.set(name, counting);
  }

  async #census(service: ServiceRuntime, writes: ServiceWrites): Promise<void> {
    const { store, emit, settings } = this.#parts;
    const { name } = service;
    if (!(await store.claimCensus(name, settings.censusEverySeconds))) return;
    const last = await store.lastForLegacy(name);
    const { result, foreign } = await takeCensus({ service, writes, last }, this.#parts);
    const found = await store.foundForeign(name, foreign);
    await store.finishCensus(name, result);
    for (const { owner, kind, changes, writers } of found)
      emit('service:foreign_change', { service: name, owner, kind, changes, writers });
    emit('service:census', {
      service: name,
      lanes: result.lanes,
      unproven: result.unproven,
      foreign: found.length,
    });
  }
}
