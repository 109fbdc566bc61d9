import { laneKeyOf, sessionIdOf, type Owner, type ServiceName } from '../../domain/ids.ts';
import { applyCopy } from '../copies/copy-apply.ts';
import { CopyCalls } from '../copies/copy-calls.ts';
import type { CopyAdvice } from '../copies/copy-judgement.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Lane, Lanes } from '../lanes/lanes.ts';
import type { Clock, Journal, Orchestrator } from '../ports.ts';
import type { ServiceRuntime } from '../service-runtime.ts';
import type { LostAs, LostItemStore, RepairStep, RepairStore } from './divergence-ports.ts';
import { inverseOf, parseInverse } from './inverse.ts';
import { lostAs, type LaneComparer } from './lane-comparer.ts';

export interface RepairerParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly lanes: Lanes;
  readonly journal: Journal;
  readonly orchestrator: Orchestrator;
  readonly copies: CopyQueue;
  readonly comparer: LaneComparer;
  readonly lostItems: LostItemStore;
  readonly repairs: RepairStore;
  readonly clock: Clock;
  readonly timeoutMs: number;
  copy(lane: Lane, advice: CopyAdvice): Promise<void>;
  /** Resolves when no delivery of the lane is under way. */
  quiet(lane: Lane): Promise<void>;
}

/** Makes the orchestrator hold what legacy shows of one lane, knowing which side moved; and puts back what it held before. */
export class LaneRepairer {
  readonly #parts: RepairerParts;

  constructor(parts: RepairerParts) {
    this.#parts = parts;
  }

  /**
   * A copy that may take off the orchestrator what never belonged there, was replaced on legacy, or was given up by name. What it
   * changes can be put back under the run's number, where there is one. @returns how many items it changed; 0 where another replica is the lane's home
   */
  async repair(run: number | undefined, name: ServiceName, owner: Owner): Promise<number> {
    const { lanes, copies } = this.#parts;
    const service = this.#service(name);
    const lane = await lanes.load(name, owner);
    let changed = 0;
    const advice: CopyAdvice = {
      removable: async (found) => {
        const facts = { owner, key: lane.key, ...found };
        const { removable } = await this.#parts.comparer.attribute(service, facts);
        const decided = new Set((await this.#parts.lostItems.decided(name, owner)).map(placeOf));
        const givenUp = found.listed.filter((item) => decided.has(placeOf(lostAs(item))));
        return new Set([...removable, ...givenUp.map(({ memory }) => memory)].map(({ memory_id: id }) => id));
      },
      beforeWriting: async ({ listed }, operations) => {
        changed = operations.filter(({ action }) => CHANGES.has(action)).length;
        if (run === undefined) return;
        const inverse = inverseOf(operations, listed);
        await this.#parts.repairs.add({ run, service: name, owner, inverse });
      },
    };
    try {
      await copies.exclusively(lane, () => this.#parts.copy(lane, advice));
    } catch (error) {
      // The lane is being copied, as far as everybody knows: the queue ends that.
      copies.add(lane, 'dirty');
      throw error;
    }
    return changed;
  }

  /** Puts back what a repair changed. The lane stops there: it differs from legacy again, and a person has wanted that. */
  async undo({ service: name, owner, inverse, ...step }: RepairStep): Promise<boolean> {
    const { lanes, copies, repairs } = this.#parts;
    const lane = await lanes.load(name, owner);
    const isUndone = await copies.exclusively(lane, () => this.#putBack(lane, inverse));
    if (isUndone) await repairs.undone({ ...step, service: name, owner, inverse });
    return isUndone;
  }

  /** @returns false where another replica is the lane's home */
  async #putBack(lane: Lane, inverse: string): Promise<boolean> {
    const { journal } = this.#parts;
    const { sessionPrefix } = this.#service(lane.service).definition.lanes;
    const before = lane.condition;
    lane.condition = 'copying';
    const state = await journal.beginCopy(lane.key);
    if (state === undefined) {
      lane.condition = before;
      return false;
    }
    lane.adopt(state);
    await this.#parts.quiet(lane);
    const operations = parseInverse(inverse, sessionIdOf(sessionPrefix, lane.owner));
    const fence = {
      key: laneKeyOf(lane.service, lane.owner),
      generation: state.generation,
      sequence: lane.delivered,
    };
    if (operations.length > 0) await applyCopy(operations, fence, new CopyCalls(this.#parts));
    await journal.stopLane(lane.key, 'repair_undone');
    lane.condition = 'stopped';
    return true;
  }

  #service(name: ServiceName): ServiceRuntime {
    const service = this.#parts.services.get(name);
    if (service === undefined) throw new Error(`No service is called "${name}"`);
    return service;
  }
}

const CHANGES: ReadonlySet<string> = new Set(['create', 'update', 'delete']);

/** Equal for the item that a person has decided about, and for no other that came to have its id. */
function placeOf({ memoryId, digest, position }: LostAs): string {
  return `${memoryId} ${digest} ${position}`;
}
