import { parseLaneKey, type LaneKey, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { LaneState } from '../../domain/lane.ts';
import { isReadable } from '../../domain/service-definition.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Journal } from '../ports/ports.ts';
import { readLegacyLanes } from './legacy-lanes.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import type { Settler } from '../writes/settle.ts';
import type { TakeOver } from '../replicas/take-over.ts';

/**
 * Why a lane cannot be copied now. `stopped`: it has lost items. `undone`: its repair was undone, and a plain copy takes what the
 * undo brought back for items that legacy lost. `flipped`: the orchestrator is primary for its writes. A lane that is stopped for another reason can be copied.
 */
export type NoCopy = 'unreadable' | 'uncovered' | 'stopped' | 'undone' | 'unknown_lane' | 'flipped';

const NOT_COPIED: Readonly<Record<string, NoCopy>> = { lost: 'stopped', repair_undone: 'undone' };

function obstacleIn({ primary, condition, reason }: LaneState): NoCopy | undefined {
  if (primary === 'orchestrator') return 'flipped';
  return condition === 'stopped' ? NOT_COPIED[reason] : undefined;
}

export interface LaneCommandParts {
  readonly lanes: Lanes;
  readonly journal: Pick<Journal, 'lanes'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly settler: Settler;
  readonly takeOver: TakeOver;
}

/** Commands of people for single lanes. */
export class LaneCommands {
  readonly #parts: LaneCommandParts;

  constructor(parts: LaneCommandParts) {
    this.#parts = parts;
  }

  /** Whether the service's store can be read. Then a copy settles what is uncertain. Otherwise a person does. */
  isReadable(name: ServiceName): boolean {
    const service = this.#parts.services.get(name);
    return service !== undefined && isReadable(service);
  }

  /** A person has changed what the journal says of a lane. Its home, in any replica, continues from there. Returns at once. */
  changed(key: LaneKey): void {
    const { service, owner } = parseLaneKey(key);
    void this.#parts.takeOver.tellHome(this.#parts.lanes.of(service, owner));
  }

  /** Undefined if it can be copied. @throws StorageError */
  async whyNotCopied(key: LaneKey): Promise<NoCopy | undefined> {
    const { service, owner } = parseLaneKey(key);
    if (!this.isReadable(service)) return 'unreadable';
    if ((this.#parts.coverage.get(service)?.number ?? 0) === 0) return 'uncovered';
    const state = (await this.#parts.journal.lanes([key])).get(key);
    if (state === undefined && (await this.#isNowhere(service, owner))) return 'unknown_lane';
    return state && obstacleIn(state);
  }

  /** A mistyped owner must not create a lane. If legacy cannot be read, the copy reports that. */
  async #isNowhere(name: ServiceName, owner: Owner): Promise<boolean> {
    const service = this.#parts.services.get(name);
    if (service === undefined) return true;
    const reading = (await readLegacyLanes(service, [owner])).get(owner);
    return reading !== undefined && 'lane' in reading && !reading.lane.exists;
  }

  /** Requests a copy of the lane by its home. @throws StorageError */
  async copy(key: LaneKey): Promise<void> {
    const { service, owner } = parseLaneKey(key);
    this.#parts.settler.copyAnew(await this.#parts.lanes.load(service, owner), 'asked_for');
  }
}
