import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../ports/ports.ts';
import type { ReplicaReport, ReplicaStore } from '../ports/replica-ports.ts';
import type { ReplicaIdentity } from '../ports/replica-identity.ts';

/** A replica acts for so long after a heartbeat was sent; then others may take over its lanes. */
const LEASE_MS = 3_000;
/** A write is sent only while so much of the lease is left. */
const RESERVE_MS = 1_000;
/** A new replica acts when whoever has not heard of it does not act any more: such a one believes that it is alone. */
const SETTLE_IN_MS = LEASE_MS - RESERVE_MS;

export interface MembershipParts {
  readonly identity: ReplicaIdentity;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  /** Where it writes while the journal is away, if anywhere. */
  readonly spill?: { readonly id: string } | undefined;
  /** Whether it has written, or may write, what the journal does not know. */
  readonly isSpilling: () => boolean;
  /**
   * Others have given this replica up, or one of them has gone: what is left of it is to be taken over. Resolves with whether it was;
   * asked again meanwhile, when that too is done.
   */
  readonly onChange: (what: 'expelled' | 'gone') => Promise<boolean>;
}

/** Replicas that share one journal, and a service with this one. */
export interface ReplicaCounts {
  /** Heard of within their lease; this one is among them. */
  readonly live: number;
  /** Not heard of, and not taken over yet. */
  readonly silent: number;
}

/** This replica among the others that share its journal. One that shares no service with it is none of them: their lanes never meet. */
export class Membership {
  readonly #parts: MembershipParts;
  #others: readonly ReplicaReport[] = [];
  #leaseUntilMs = 0;
  #actsFromMs = 0;
  #heardAtMs = 0;
  /** When the last heartbeat was sent that was answered. */
  #answeredMs = -Infinity;
  #claimedAtMs = 0;
  #isAnySpilled = false;
  /** The others have given it up, and it has not begun anew yet. */
  #isGivenUp = false;
  /** Whether what replicas that have gone had left, and had found out, is known here. */
  #hasInherited = true;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
  }

  /**
   * Whether nobody else writes, or has written what is not in the journal: then memory knows all that the database knows. Known for
   * as long as whoever comes waits before it acts.
   */
  get isAlone(): boolean {
    const isFresh = this.#parts.clock.now() < this.#answeredMs + SETTLE_IN_MS;
    return isFresh && this.isOnlyOne && !this.#isAnySpilled && this.#hasInherited;
  }

  /** When the newest heartbeat was sent that was answered. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  /** Whether no other replica is registered. */
  get isOnlyOne(): boolean {
    return this.#others.length === 0;
  }

  /** Whether another replica may have written what the journal does not know. */
  get isAnySpilled(): boolean {
    return this.#isAnySpilled;
  }

  /** When it last said, or may have said, that all it writes is in the journal. */
  get claimedAtMs(): number {
    return this.#claimedAtMs;
  }

  counts(): ReplicaCounts {
    const silent = this.#others.filter(({ silentMs }) => silentMs > LEASE_MS).length;
    return { live: 1 + this.#others.length - silent, silent };
  }

  /** Whether a write may still be sent: nobody has taken over this replica's lanes, nor will within a second. */
  get mayAct(): boolean {
    const now = this.#parts.clock.now();
    return now >= this.#actsFromMs && now < this.#leaseUntilMs - RESERVE_MS;
  }

  /**
   * Whether this replica has heard of the others, or that the journal is away, a moment ago. One that stood still may have missed
   * that they began to journal; where it is alone, nobody does.
   */
  get mayPass(): boolean {
    return this.isOnlyOne || this.#parts.clock.now() < this.#heardAtMs + LEASE_MS - RESERVE_MS;
  }

  /** Whether every other replica of the service acts on this coverage, with no unjournaled write of the service under way. */
  allReport(service: ServiceName, number: number): boolean {
    return this.#others.every(
      ({ coverage, services }) => services?.includes(service) === false || coverage[service] === number,
    );
  }

  /** Resolves with whether others are, or were until they died, on the list. @throws StorageError */
  async join(): Promise<boolean> {
    const { store, identity, clock } = this.#parts;
    const others = await store.register(identity.id, this.#parts.spill?.id);
    await this.beat({});
    if (this.counts().live > 1) {
      await clock.sleep(SETTLE_IN_MS);
      await this.beat({});
    }
    return others > 0;
  }

  /** Says that this replica lives, and learns of the others. @throws StorageError */
  async beat(coverage: Readonly<Record<string, number>>): Promise<void> {
    const { store, identity, clock } = this.#parts;
    const sentAtMs = clock.now();
    const isSpilling = this.#parts.isSpilling();
    if (!isSpilling) this.#claimedAtMs = sentAtMs;
    const beat = { coverage, isSpilling };
    const { replicas: reports, isAnySpilled } = await store.heartbeat(identity.id, beat).finally(() => {
      this.#heardAtMs = clock.now();
    });
    this.#isAnySpilled = isAnySpilled;
    this.#answeredMs = sentAtMs;
    const isListed = reports.some(({ replica }) => replica === identity.id);
    const known = this.#others;
    this.#others = reports.filter(
      ({ replica, services }) => replica !== identity.id && identity.shares(services),
    );
    // Late enough for others to have taken lanes over, although none has struck this one off the list.
    const hasLapsed = this.#leaseUntilMs > 0 && sentAtMs > this.#leaseUntilMs && !this.isOnlyOne;
    if (!isListed || hasLapsed || this.#isGivenUp) return this.#beginAnew();
    this.#leaseUntilMs = sentAtMs + LEASE_MS;
    if (hasGone(known, this.#others)) this.#takeOver('gone');
  }

  #takeOver(what: 'expelled' | 'gone'): void {
    this.#hasInherited = false;
    void this.#parts.onChange(what).then((isDone) => {
      this.#hasInherited = isDone;
    });
  }

  /** As another replica: what the one before had claimed or had open is anybody's. */
  async #beginAnew(): Promise<void> {
    const { store, identity, clock } = this.#parts;
    this.#leaseUntilMs = 0;
    // Where one of the statements fails, the next heartbeat tries again: who is still listed is not taken for who was never given up.
    this.#isGivenUp = true;
    await store.leave(identity.id);
    identity.renew();
    await store.register(identity.id, this.#parts.spill?.id);
    this.#isGivenUp = false;
    this.#actsFromMs = clock.now() + SETTLE_IN_MS;
    this.#takeOver('expelled');
  }

  leave(): Promise<void> {
    return this.#parts.store.leave(this.#parts.identity.id);
  }
}

function hasGone(known: readonly ReplicaReport[], others: readonly ReplicaReport[]): boolean {
  const listed = new Set<ReplicaId>(others.map(({ replica }) => replica));
  return (
    known.some(({ replica }) => !listed.has(replica)) || others.some(({ silentMs }) => silentMs > LEASE_MS)
  );
}
