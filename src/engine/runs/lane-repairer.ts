import { type Owner, type ServiceName, type SessionId, sessionIdOf } from '../../domain/ids.ts';
import { applyCopy } from '../copies/copy-apply.ts';
import { CopyCalls } from '../copies/copy-calls.ts';
import type { CopyAdvice } from '../copies/copy-judgement.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import { lostAs, readMemories } from '../items/lane-contents.ts';
import { isRetime } from '../copies/legacy-times.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, Orchestrator, PendingWrite } from '../ports/ports.ts';
import type { WriteHistory } from '../ports/journal-facts.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { LostAs, LostItemStore } from '../ports/lost-items.ts';
import {
  encodeJson,
  isJsonObject,
  Json,
  parseTolerantly,
  rawElements,
  rawMembers,
} from '../../domain/json.ts';
import { laneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite, WriteActionName } from '../../domain/orchestrator-call.ts';
import type { ListedMemory } from '../items/copy-plan.ts';
import { orchestratorWritesOf } from '../items/write-facts.ts';
import type { RepairStep, RepairStore } from './divergence-ports.ts';
import type { LaneComparer } from './lane-comparer.ts';

interface RepairerParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly lanes: Lanes;
  readonly journal: Pick<Journal, 'beginCopy' | 'stopLane' | 'lanes'>;
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

/** Makes the orchestrator hold what legacy shows of one lane, knowing which side moved. Also undoes that. */
export class LaneRepairer {
  readonly #parts: RepairerParts;

  constructor(parts: RepairerParts) {
    this.#parts = parts;
  }

  /**
   * A copy that may remove items from the orchestrator: those that never belonged there, were replaced on legacy, or whose loss
   * was accepted by name. Its changes can be undone under the run's number, if there is one.
   * @returns the number of changed items; 0 if another replica is the lane's home
   */
  async repair(run: number | undefined, name: ServiceName, owner: Owner): Promise<number> {
    const { lanes, copies } = this.#parts;
    const lane = await lanes.load(name, owner);
    try {
      return await copies.exclusively(lane, () => this.#repair(run, lane));
    } catch (error) {
      // For all other parts, the lane is being copied. The queue ends that.
      copies.add(lane, 'dirty');
      throw error;
    }
  }

  /**
   * Stores items on legacy again while nothing of the lane is delivered or compared, then repairs the lane. So neither store
   * shows an item twice meanwhile.
   * @throws what `restore` throws, after the lane was repaired; CrossfadeError
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

  /** A lane whose home is another replica is not paused here. That replica continues to deliver what is restored. */
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
   * Undoes what a repair changed. The lane is stopped then, because it differs from legacy again by a person's decision. If
   * agents have altered or deleted items of the lane since, it is left unchanged.
   * @returns why it was left unchanged; undefined if it was undone
   */
  async undo(step: RepairStep): Promise<string | undefined> {
    const { lanes, copies, repairs } = this.#parts;
    const lane = await lanes.load(step.service, step.owner);
    try {
      return await copies.exclusively(lane, async () => {
        if (!(await repairs.isOpen(step))) return 'it was undone by another request meanwhile';
        const left = await this.#putBack(lane, step);
        if (left !== undefined) return left;
        // A copy that was requested before would repair it again.
        copies.drop(lane);
        await repairs.undone(step);
        return undefined;
      });
    } finally {
      // The undo began and did not finish. Deliveries of the lane wait until it is equal again.
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
      const flipped = (await journal.lanes([lane.key])).get(lane.key)?.primary === 'orchestrator';
      if (flipped) return 'the orchestrator is primary for its writes, and nothing is copied over a primary';
      return 'another replica is its home: run the command against that replica';
    }
    lane.adopt(state);
    await this.#parts.quiet(lane);
    const { history } = this.#parts;
    const writes = sequence === null ? undefined : await history.between(lane.key, sequence, state.sequence);
    if (writes === undefined)
      return 'the journal no longer holds what agents wrote to it since, so it is left unchanged';
    if (!onlyAdded(service, lane.owner, writes))
      return 'agents have altered or deleted items of it since, so it is left unchanged';
    const { sessionPrefix } = service.definition.lanes;
    const sessionId = sessionIdOf(sessionPrefix, lane.owner);
    const operations = stillToPutBack(parseInverse(inverse, sessionId), await this.#held(sessionId));
    const { generation } = state;
    const fence = { ...laneFence(lane, generation), sequence: lane.delivered };
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
    if (service === undefined) throw new Error(`Unknown service "${name}"`);
    return service;
  }
}

const CHANGES: ReadonlySet<string> = new Set(['create', 'update', 'delete']);

/** Equal only for the item that a person has decided about, and not for another item that got the same id. */
function placeOf({ memoryId, digest, position }: LostAs): string {
  return `${memoryId} ${digest} ${position}`;
}

/**
 * The writes that undo a copy's operations, as JSON text. What they deleted is created again under its own id, what they created
 * is deleted, and what they moved is moved back.
 */
export function inverseOf(operations: readonly OrchestratorWrite[], listed: readonly ListedMemory[]): string {
  const held = new Map(listed.map(({ memory }) => [memory.memory_id, memory]));
  const inverse = operations.flatMap((operation): object[] => {
    const { action, payload } = operation;
    const id = String(payload['memory_id']);
    const memory = held.get(id);
    // Legacy's own time of an item stays correct in any case, so it is not undone.
    if (isRetime(operation)) return [];
    if (action === 'create') return [{ action: 'delete', payload: { memory_id: id } }];
    if (memory === undefined) return [];
    if (action === 'update')
      return [{ action, payload: { memory_id: id, position: memory.position, tags: memory.tags } }];
    if (action !== 'delete') return [];
    const { memory_type, tags, position, created_at } = memory;
    const content = new Json(memory.content);
    const created = { memory_id: id, memory_type, content, tags, position, created_at };
    return [{ action: 'create', payload: { ...created, create_session: true, escape_unstorable: true } }];
  });
  return encodeJson(inverse.toReversed());
}

/** Parses the text of {@link inverseOf} for sending. @throws SyntaxError */
export function parseInverse(text: string, sessionId: SessionId): OrchestratorWrite[] {
  return rawElements(text).map((raw) => {
    const { action = '""', payload = '{}' } = rawMembers(raw);
    const parsed = parseTolerantly(payload);
    const { content } = rawMembers(payload);
    return {
      action: JSON.parse(action) as WriteActionName,
      sessionId,
      payload: {
        ...(isJsonObject(parsed) ? parsed : {}),
        // Numbers and their spelling survive only as text.
        ...(content !== undefined && { content: new Json(content) }),
        suppress_events: true,
      },
    };
  });
}

/** Whether the writes of a lane only added items. Then nothing that a repair changed before them was altered or deleted. */
function onlyAdded(service: ServiceRuntime, owner: Owner, writes: readonly PendingWrite[]): boolean {
  return writes.every((write) => isAddition(service, owner, write));
}

function isAddition(service: ServiceRuntime, owner: Owner, write: PendingWrite): boolean {
  const action = service.definition.actions[write.action];
  // A write that names its item by place removes or alters it. A write that proves that the lane was empty began another life of
  // it.
  if (action?.kind !== 'write' || action.names !== undefined || action.provesEmpty === true) return false;
  return orchestratorWritesOf(service, { owner, write }).every(({ action: name }) => !REMOVING.has(name));
}

const REMOVING: ReadonlySet<string> = new Set(['update', 'delete', 'bulk_delete', 'end_session']);

/** Leaves out what is already done, because the repair or its undo may have stopped in the middle. */
function stillToPutBack(
  operations: readonly OrchestratorWrite[],
  held: ReadonlySet<string>,
): OrchestratorWrite[] {
  return operations.filter(
    ({ action, payload }) => held.has(String(payload['memory_id'])) === (action !== 'create'),
  );
}
