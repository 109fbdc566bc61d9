import { sessionIdOf, type Owner, type ServiceName, type SessionId } from '../../domain/ids.ts';
import { applyCopy } from '../copies/copy-apply.ts';
import { CopyCalls } from '../copies/copy-calls.ts';
import type { CopyAdvice } from '../copies/copy-judgement.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import { readMemories } from '../items/lane-contents.ts';
import { isRetime } from '../copies/legacy-times.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock, Journal, Orchestrator } from '../ports/ports.ts';
import type { WriteHistory } from '../ports/lane-history.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { LostAs, LostItemStore } from '../ports/lost-items.ts';
import type { RepairStep, RepairStore } from './divergence-ports.ts';
import { inverseOf, parseInverse } from './inverse.ts';
import type { LaneComparer } from './lane-comparer.ts';
import { lostAs } from '../items/lost-as.ts';
import { onlyAdded, stillToPutBack } from './put-back.ts';

export interface RepairerParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly lanes: Lanes;
  readonly journal: Journal;
  readonly orchestrator: Orchestrator;
  readonly copies: CopyQueue;
  readonly comparer: LaneComparer;
  readonly lostItems: LostItemStore;
  readonly repairs: RepairStore;
  readonly history: WriteHistory;
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
    const lane = await lanes.load(name, owner);
    try {
      return await copies.exclusively(lane, () => this.#repair(run, lane));
    } catch (error) {
      // The lane is being copied, as far as everybody knows: the queue ends that.
      copies.add(lane, 'dirty');
      throw error;
    }
  }

  /**
   * Lets items be stored on legacy again while nothing of the lane is delivered or compared, then repairs the lane: neither store shows
   * one of them twice meanwhile. @throws what `restore` throws, after the lane was repaired; CrossfadeError
   */
  async restoring(name: ServiceName, owner: Owner, restore: (lane: Lane) => Promise<void>): Promise<void> {
    const { lanes, copies } = this.#parts;
    const lane = await lanes.load(name, owner);
    try {
      await copies.exclusively(lane, async () => {
        await this.#pause(lane);
        const failure = await restore(lane).then(
          () => undefined,
          (error: unknown) => ({ error }),
        );
        await this.#repair(undefined, lane);
        if (failure !== undefined) throw failure.error;
      });
    } finally {
      if (lane.condition === 'copying') copies.add(lane, 'dirty');
    }
  }

  /** A lane whose home is another replica is not paused here: that replica goes on to deliver what is restored. */
  async #pause(lane: Lane): Promise<void> {
    const before = lane.beginCopy();
    const state = await this.#parts.journal.beginCopy(lane.key);
    if (state === undefined) lane.abandonCopy(before);
    else lane.copyBegun(state);
    await this.#parts.quiet(lane);
  }

  async #repair(run: number | undefined, lane: Lane): Promise<number> {
    const { service: name, owner } = lane;
    const service = this.#service(name);
    let changed = 0;
    const advice: CopyAdvice = {
      removable: async (found) => {
        const facts = { owner, key: lane.key, ...found };
        const { removable } = await this.#parts.comparer.attribute(service, facts);
        const decided = new Set((await this.#parts.lostItems.decided(name, owner)).map(placeOf));
        const givenUp = found.listed.filter((item) => decided.has(placeOf(lostAs(item))));
        return new Set([...removable, ...givenUp.map(({ memory }) => memory)].map(({ memory_id: id }) => id));
      },
      undecided: async ({ listed }) => {
        const waiting = new Set((await this.#parts.lostItems.waiting(name, owner)).map(placeOf));
        const left = listed.filter((item) => waiting.has(placeOf(lostAs(item))));
        return new Set(left.map(({ memory }) => memory.memory_id));
      },
      beforeWriting: async ({ listed, sequence }, operations) => {
        changed = operations.filter((one) => CHANGES.has(one.action) && !isRetime(one)).length;
        if (run === undefined) return;
        const inverse = inverseOf(operations, listed);
        await this.#parts.repairs.add({ run, service: name, owner, inverse, sequence });
      },
    };
    await this.#parts.copy(lane, advice);
    return changed;
  }

  /**
   * Puts back what a repair changed. The lane stops there: it differs from legacy again, and a person has wanted that. What agents have
   * altered or deleted since does not come back: such a lane is left as it is. @returns why it was left, undefined where it was not
   */
  async undo(step: RepairStep): Promise<string | undefined> {
    const { lanes, copies, repairs } = this.#parts;
    const lane = await lanes.load(step.service, step.owner);
    try {
      return await copies.exclusively(lane, async () => {
        if (!(await repairs.isOpen(step))) return 'somebody else has put it back meanwhile';
        const left = await this.#putBack(lane, step);
        if (left !== undefined) return left;
        // A copy that was asked for before would repair it once more.
        copies.drop(lane);
        await repairs.undone(step);
        return undefined;
      });
    } finally {
      // It was begun, and did not come to its end: deliveries of the lane wait until it is equal again.
      if (lane.condition === 'copying') copies.add(lane, 'dirty');
    }
  }

  async #putBack(lane: Lane, { inverse, sequence }: RepairStep): Promise<string | undefined> {
    const { journal } = this.#parts;
    const service = this.#service(lane.service);
    const before = lane.beginCopy();
    const state = await journal.beginCopy(lane.key);
    if (state === undefined) {
      lane.abandonCopy(before);
      return 'another replica is its home, ask that one';
    }
    lane.adopt(state);
    await this.#parts.quiet(lane);
    const { history } = this.#parts;
    const writes = sequence === null ? undefined : await history.between(lane.key, sequence, state.sequence);
    if (writes === undefined) return 'what agents wrote to it since is not known any more, it stays as it is';
    if (!onlyAdded(service, lane.owner, writes))
      return 'agents have altered or deleted items of it since, it stays as it is';
    const { sessionPrefix } = service.definition.lanes;
    const sessionId = sessionIdOf(sessionPrefix, lane.owner);
    const operations = stillToPutBack(parseInverse(inverse, sessionId), await this.#held(sessionId));
    const { generation } = state;
    const fence = { key: lane.key, generation, sequence: lane.delivered };
    if (operations.length > 0) await applyCopy(operations, fence, new CopyCalls(this.#parts));
    await journal.stopLane(lane.key, 'repair_undone');
    lane.stop();
    return undefined;
  }

  async #held(sessionId: SessionId): Promise<ReadonlySet<string>> {
    const { orchestrator, clock, timeoutMs } = this.#parts;
    const options = () => ({ purpose: 'probe' as const, deadlineAtMs: clock.now() + timeoutMs });
    const memories = await readMemories({ orchestrator, sessionId, options });
    return new Set(memories.map(({ memory_id: id }) => id));
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
