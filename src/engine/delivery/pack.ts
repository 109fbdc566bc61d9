import { type MemoryId, type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import { laneFence } from '../../domain/lane.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import { readContents } from '../items/lane-contents.ts';
import type { Lane } from '../lane/lane.ts';
import { findNamed } from '../items/copy-plan.ts';
import type { Signals } from '../signals.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator, PendingWrite, WriteAnswer } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { CrossfadeError } from '../../domain/errors.ts';
import { orchestratorWritesOf } from '../items/write-facts.ts';

interface PackParts {
  readonly orchestrator: Pick<Orchestrator, 'read'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signals: Pick<Signals, 'copyAnew'>;
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
    this.#parts.signals.copyAnew(lane, 'unnamed_items');
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
    const fence = { ...laneFence(lane, lane.generation), sequence: write.sequence };
    return orchestratorWritesOf(service, { owner: lane.owner, write, items }).map((operation) => ({
      ...operation,
      lane: fence,
    }));
  }
}

/** The result of a delivery. `skipped`: a dead letter that a person has skipped. */
export type Delivered = WriteAnswer['result'] | 'skipped';

/** A write on its way to the secondary, with its operations. */
export interface Parcel {
  readonly lane: Lane;
  readonly write: PendingWrite;
  readonly operations: readonly OrchestratorWrite[];
}

const DELETES: ReadonlySet<string> = new Set(['delete', 'bulk_delete', 'end_session']);

/** The result of each parcel, from the answers to all its operations. A write without operations counts as delivered. */
export function resultsOf(parcels: readonly Parcel[], answers: readonly WriteAnswer[]): Delivered[] {
  let at = 0;
  return parcels.map(({ write, operations }) => {
    const answer = operations.length === 0 ? undefined : answers[at];
    at += operations.length;
    return write.letter === 'skipped' ? 'skipped' : (answer?.result ?? 'applied');
  });
}

/** Deleting a missing item counts as a delete. */
export function isDelete({ operations }: Parcel): boolean {
  return operations.every(({ action }) => DELETES.has(action));
}

/** The parcel of the operation that the orchestrator named in its refusal. */
export function culpritOf(parcels: readonly Parcel[], error: CrossfadeError): Parcel | undefined {
  const index = error.details['operation'];
  if (typeof index !== 'number') return parcels.length === 1 ? parcels[0] : undefined;
  let end = 0;
  return parcels.find((parcel) => {
    end += parcel.operations.length;
    return index < end;
  });
}

/** Whether the secondary refused a batch unread, because it is too large for one message. */
export function isTooLarge(error: unknown): boolean {
  return (
    error instanceof CrossfadeError && error.effect === 'rejected' && error.details['field'] === 'message'
  );
}
