import { cutoverBucket } from '../../domain/cutover-bucket.ts';
import { isReadable } from '../../domain/service-definition.ts';
import { within } from '../../shared/within.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Emit } from '../ports/events.ts';
import type { FlipStore } from '../ports/flip-ports.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Shares } from './shares.ts';

/** Longest time that the first write of a new owner waits for legacy's store and the journal. */
const LONGEST_MS = 1_000;

export interface BirthParts {
  readonly store: Pick<FlipStore, 'bear'>;
  readonly shares: Pick<Shares, 'contains' | 'of'>;
  /** Whether lanes of the service may be flipped now, as far as this replica knows. Constant time, because each first write asks. */
  readonly isReady: (service: ServiceName) => boolean;
  readonly lanes: Pick<Lanes, 'load'>;
  readonly clock: Clock;
  readonly emit: Emit;
}

/**
 * New owners whose first write goes to the orchestrator at once: ../README.md, "Moving the writes of a lane". The row is made before the
 * write's intent, whose commit then names the orchestrator as every later one does.
 */
export class Births {
  readonly #parts: BirthParts;

  constructor(parts: BirthParts) {
    this.#parts = parts;
  }

  /** In the lane's turn. Never rejects: an owner that is not born on the orchestrator begins on legacy. */
  async consider({ service }: OwnedOperation, lane: Lane): Promise<void> {
    const { shares, isReady } = this.#parts;
    if (lane.id !== 0 || !isReady(service.name) || !shares.contains(lane)) return;
    // If the row is made later, the commit of the write's intent returns it, or has made it before.
    const considered = this.#consider(service, lane);
    await within(considered, LONGEST_MS, { what: 'the birth of a lane' }).catch(() => undefined);
  }

  async #consider(service: ServiceRuntime, lane: Lane): Promise<void> {
    const { lanes, shares, store, emit } = this.#parts;
    await lanes.load(service.name, lane.owner);
    const share = shares.of(service.name);
    if (lane.id !== 0 || share === undefined || !(await this.#isUnknown(service, lane))) return;
    const state = await store.bear(lane.key, {
      share: share.number,
      version: share.version,
      bucket: cutoverBucket(service.name, lane.key),
    });
    if (state === undefined) return;
    lane.adopt(state);
    emit('lane:born', { service: service.name, lane: lane.key });
  }

  /** Whether legacy's store shows no trace of the owner. It is read without the service, which may be down. */
  async #isUnknown(service: ServiceRuntime, { owner }: Lane): Promise<boolean> {
    const { definition, context } = service;
    const { call: _never, ...access } = service.access;
    if (!isReadable({ definition, access })) return false;
    const { exists, items } = await definition.lanes.readLegacy(owner, access, context);
    return !exists && items.length === 0;
  }
}
