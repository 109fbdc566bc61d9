import { sessionIdOf, type MemoryId, type ServiceName } from '../../domain/ids.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { readContents } from '../items/lane-contents.ts';
import type { Lane } from '../lane/lane.ts';
import { findNamed } from '../items/named-items.ts';
import type { Parcel } from './parcel.ts';
import type { Clock, Orchestrator, PendingWrite } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { orchestratorWritesOf } from './write-plan.ts';

export interface PackParts {
  readonly orchestrator: Orchestrator;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** The item that a write named is unknown, or is not on the secondary. The lane must be copied. */
  readonly onUnnamed: (lane: Lane) => void;
}

/** Turns journaled writes into operations of the orchestrator, under the fence of their lane. */
export class Packer {
  readonly #parts: PackParts;

  constructor(parts: PackParts) {
    this.#parts = parts;
  }

  /**
   * Whether it names its items. They can be found only after everything before it is delivered, so it starts a batch of its own.
   */
  isNaming({ lane, write }: Pick<Parcel, 'lane' | 'write'>): boolean {
    const action = this.#parts.services.get(lane.service)?.definition.actions[write.action];
    return write.letter !== 'skipped' && action?.kind === 'write' && action.names !== undefined;
  }

  pack(lane: Lane, write: PendingWrite): Parcel {
    return { lane, write, operations: this.#operationsOf(lane, write) };
  }

  /** The parcels that can be sent, with their named items resolved. @throws CrossfadeError if the secondary cannot be read */
  async complete(parcels: readonly Parcel[]): Promise<readonly Parcel[]> {
    if (!parcels.some((parcel) => this.isNaming(parcel))) return parcels;
    const completed = await Promise.all(
      parcels.map(async (parcel) => (this.isNaming(parcel) ? this.#completed(parcel) : parcel)),
    );
    return completed.filter((parcel) => parcel !== undefined);
  }

  async #completed({ lane, write }: Parcel): Promise<Parcel | undefined> {
    const items = write.items === undefined ? undefined : findNamed(write.items, await this.#listed(lane));
    // A copy that has begun meanwhile decides about the lane.
    if (lane.condition !== 'clean') return undefined;
    if (items !== undefined) return { lane, write, operations: this.#operationsOf(lane, write, items) };
    this.#parts.onUnnamed(lane);
    return undefined;
  }

  async #listed(lane: Lane) {
    const { orchestrator, services, clock, timeoutMs } = this.#parts;
    const lanes = services.get(lane.service)?.definition.lanes;
    if (lanes === undefined) return [];
    const options = () => ({ purpose: 'probe' as const, deadlineAtMs: clock.now() + timeoutMs });
    const sessionId = sessionIdOf(lanes.sessionPrefix, lane.owner);
    return (await readContents({ orchestrator, sessionId, lanes, options })).listed;
  }

  #operationsOf(lane: Lane, write: PendingWrite, items: readonly MemoryId[] = []): OrchestratorWrite[] {
    const service = this.#parts.services.get(lane.service);
    // A write that a person has skipped is delivered as nothing, so that later writes continue.
    if (service === undefined || write.letter === 'skipped') return [];
    const fence = { key: lane.key, generation: lane.generation, sequence: write.sequence };
    return orchestratorWritesOf(service, { owner: lane.owner, write, items }).map((operation) => ({
      ...operation,
      lane: fence,
    }));
  }
}
