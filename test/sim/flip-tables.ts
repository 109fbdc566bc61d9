import { parseLaneKey, type LaneKey, type ServiceName } from '../../src/domain/ids.ts';
import {
  FIRST_LANE_HOURS,
  type FirstLane,
  type FlipHold,
  type FlipShare,
  type FlipShareStore,
} from '../../src/engine/ports/flip-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';

/** The rows of `flip_shares`, `flip_holds` and `first_lanes`. */
export class ShareTable {
  readonly #shares = new Map<ServiceName, FlipShare>();
  readonly #holds = new Map<ServiceName, FlipHold>();
  readonly #first = new Map<ServiceName, FirstLane>();

  of(service: ServiceName): FlipShare | undefined {
    return this.#shares.get(service);
  }

  all(): ReadonlyMap<ServiceName, FlipShare> {
    return new Map(this.#shares);
  }

  set(service: ServiceName, share: FlipShare): void {
    this.#shares.set(service, share);
  }

  isHeld(service: ServiceName): boolean {
    return this.#holds.has(service);
  }

  get holds(): Map<ServiceName, FlipHold> {
    return this.#holds;
  }

  nameFirst(lane: FirstLane): void {
    this.#first.set(parseLaneKey(lane.lane).service, lane);
  }

  firstLane(service: ServiceName, wallMs: number): FirstLane | undefined {
    const first = this.#first.get(service);
    return first !== undefined && wallMs - first.atMs < FIRST_LANE_HOURS * 3_600_000 ? first : undefined;
  }
}

/** The rows of `flips`, `flip_attempts` and `lane_verifications`. */
export class FlipTable {
  readonly verified = new Map<LaneKey, { readonly digest: string; readonly atMs: number }>();
  readonly attempts = new Map<LaneKey, { failed: number; reason: string; nextMs: number }>();
  /** Comparisons after a flip, by lane and epoch. */
  readonly compared = new Map<string, 'equal' | 'different'>();

  /** The lane has moved. */
  moved(key: LaneKey): void {
    this.attempts.delete(key);
  }
}

/** `storage/flip-shares.ts` over the tables in memory. */
export function shareStoreOf(database: Database, statement: Statement): FlipShareStore {
  const { shares, replicas, clock } = database;
  return {
    shares: () => statement('shares', () => shares.all()),
    resize: (service, percentage, version) =>
      statement('resize a share', () => {
        database.synced();
        const share = shares.of(service);
        if (share === undefined) return shares.set(service, { number: 1, percentage, version });
        if (share.percentage === percentage || database.isFlippedBeyond(service, percentage)) return;
        shares.set(service, { ...share, percentage, number: share.number + 1 });
      }),
    agree: (service, version) =>
      statement('agree on a version', () => {
        database.synced();
        const share = shares.of(service);
        if (share === undefined || share.version === version || !replicas.allHave(service, version)) return;
        shares.set(service, { ...share, version, number: share.number + 1 });
      }),
    hold: (service, by) =>
      statement('hold flips', () => {
        database.synced();
        if (!shares.isHeld(service)) shares.holds.set(service, { ...by, atMs: clock.wallOf(clock.now()) });
      }),
    lift: (service) =>
      statement('lift a hold of flips', () => {
        database.synced();
        return shares.holds.delete(service);
      }),
    held: () => statement('held flips', () => new Map(shares.holds)),
    nameFirst: (lane, by) =>
      statement('name the first lane', () => {
        database.synced();
        if (database.isFlippedBeyond(parseLaneKey(lane).service, 0)) return false;
        shares.nameFirst({ ...by, lane, atMs: clock.wallOf(clock.now()) });
        return true;
      }),
    firstLane: (service) =>
      statement('the first lane', () => shares.firstLane(service, clock.wallOf(clock.now()))),
  };
}
