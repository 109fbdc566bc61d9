import { parseLaneKey, type LaneKey, type ServiceName } from '../../domain/ids.ts';
import { isReadable } from '../../domain/service-definition.ts';
import type { Lanes } from './lanes.ts';
import type { Journal } from '../ports.ts';
import type { Coverage, ServiceRuntime } from '../service-runtime.ts';
import type { Settler } from '../settlements/settle.ts';
import type { TakeOver } from '../replicas/take-over.ts';

/** Why a lane cannot be copied now. */
export type NoCopy = 'unreadable' | 'uncovered' | 'stopped';

export interface LaneDeskParts {
  readonly lanes: Lanes;
  readonly journal: Journal;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly settler: Settler;
  readonly takeOver: TakeOver;
}

/** What people ask of single lanes. */
export class LaneDesk {
  readonly #parts: LaneDeskParts;

  constructor(parts: LaneDeskParts) {
    this.#parts = parts;
  }

  /** Whether the service's contents can be looked at: then a copy settles what is not known, else a person does. */
  isReadable(name: ServiceName): boolean {
    const service = this.#parts.services.get(name);
    return service !== undefined && isReadable(service);
  }

  /** A person has changed what the journal says of a lane: its home, in whichever replica, goes on from there. Returns at once. */
  changed(key: LaneKey): void {
    const { service, owner } = parseLaneKey(key);
    void this.#parts.takeOver.tellHome(this.#parts.lanes.of(service, owner));
  }

  /** Undefined where it can be copied. @throws StorageError */
  async whyNotCopied(key: LaneKey): Promise<NoCopy | undefined> {
    const { service } = parseLaneKey(key);
    if (!this.isReadable(service)) return 'unreadable';
    if ((this.#parts.coverage.get(service)?.number ?? 0) === 0) return 'uncovered';
    const state = (await this.#parts.journal.lanes([key])).get(key);
    return state?.condition === 'stopped' ? 'stopped' : undefined;
  }

  /** Has the lane copied, by its home. @throws StorageError */
  async copy(key: LaneKey): Promise<void> {
    const { service, owner } = parseLaneKey(key);
    this.#parts.settler.copyAnew(await this.#parts.lanes.load(service, owner), 'asked_for');
  }
}
