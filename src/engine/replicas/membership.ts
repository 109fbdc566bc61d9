import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ReplicaIdentity, ReplicaReport, ReplicaStore } from '../ports/replica-ports.ts';
import type { Signals } from '../signals.ts';

/** A replica may act for this long after it sent a heartbeat. Then others may take over its lanes. */
const LEASE_MS = 3_000;
/** A write is sent only while at least this much of the lease is left. */
const RESERVE_MS = 1_000;
/** A new replica waits until every replica that does not know of it, and may assume that it is alone, has lost its lease. */
const SETTLE_IN_MS = LEASE_MS - RESERVE_MS;
/** More than two clocks drift apart, which is at most 0.05 % for quartz. */
const DRIFT = 0.001;

interface MembershipParts {
  readonly identity: ReplicaIdentity;
  readonly store: ReplicaStore;
  readonly clock: Clock;
  /** Where it writes while the journal is away, if anywhere. */
  readonly spill?: { readonly id: string } | undefined;
  /** Whether it has written, or may write, something that the journal does not know. */
  readonly isSpilling: () => boolean;
  /** The shares of lanes on which it acts, by service. */
  readonly shares: () => Readonly<Record<string, number>>;
  readonly signals: Pick<Signals, 'replicasChanged'>;
}

/** Replicas that share one journal, and a service with this one. */
export interface ReplicaCounts {
  /** Replicas with a lease, including this one. */
  readonly live: number;
  /** Replicas without a lease whose work is not taken over yet. */
  readonly silent: number;
}

/**
 * This replica among the others that share its journal. Replicas without a common service do not count, because they have no
 * common lanes.
 */
export class Membership {
  readonly #parts: MembershipParts;
  #others: readonly ReplicaReport[] = [];
  #leaseUntilMs = 0;
  #actsFromMs = 0;
  #heardAtMs = 0;
  /** When the last answered heartbeat was sent. */
  #answeredMs = -Infinity;
  /** What the journal's clock showed when it answered that heartbeat. */
  #journalMs = Infinity;
  #claimedAtMs = 0;
  #isAnySpilled = false;
  /** The others have given this replica up, and it has no new identity yet. */
  #isGivenUp = false;
  /** It was given up, and has not read since then which services the others have covered. */
  #isOutdated = false;
  readonly #pauses: Pauses;
  /** The pauses before the heartbeat that ended last. What it heard is as old as a later pause. */
  #pausesHeard = 0;
  /** The pauses before the heartbeat that failed last. */
  #pausesUnheard = 0;
  /** Whether this replica knows what departed replicas left and found out. */
  #hasInherited = true;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#pauses = new Pauses(parts.clock);
  }

  /**
   * Whether no other replica writes, or has written something that is not in the journal. Then memory knows everything that the
   * database knows. This stays true as long as a new replica waits before it acts.
   */
  get isAlone(): boolean {
    const isFresh = this.#parts.clock.now() < this.#answeredMs + SETTLE_IN_MS;
    const isKnown = this.#hasInherited && !this.#isOutdated;
    return isFresh && this.isOnlyOne && !this.#isAnySpilled && isKnown;
  }

  /** When the newest answered heartbeat was sent. */
  get answeredMs(): number {
    return this.#answeredMs;
  }

  /**
   * What the journal's clock shows at most, Unix milliseconds. Infinity if that is not known. This does not depend on the wall clock of
   * this machine, which may be an hour off.
   */
  get journalMs(): number {
    const elapsedMs = this.#parts.clock.now() - this.#answeredMs;
    return this.#journalMs + elapsedMs * (1 + DRIFT);
  }

  /** Whether no other replica is registered. */
  get isOnlyOne(): boolean {
    return this.#others.length === 0;
  }

  /** Whether another replica may have written something that the journal does not know. */
  get isAnySpilled(): boolean {
    return this.#isAnySpilled;
  }

  /** When it last reported, or may have reported, that all its writes are in the journal. */
  get claimedAtMs(): number {
    return this.#claimedAtMs;
  }

  counts(): ReplicaCounts {
    const silent = this.#others.filter(({ silentMs }) => silentMs > LEASE_MS).length;
    return { live: 1 + this.#others.length - silent, silent };
  }

  /** Whether a write may still be sent: no replica has taken over this replica's lanes, or will within a second. */
  get mayAct(): boolean {
    const now = this.#parts.clock.now();
    return now >= this.#actsFromMs && now < this.#leaseUntilMs - RESERVE_MS;
  }

  /**
   * Whether this replica has heard recently of the others, or that the journal is away. A process that was paused may have missed
   * that the others began to journal, or that there are others now. While the journal hangs, a replica that was alone assumes that it
   * still is.
   */
  get mayPass(): boolean {
    if (this.#isOutdated || this.#pauses.count !== this.#pausesHeard) return false;
    return this.isOnlyOne || this.#parts.clock.now() < this.#heardAtMs + LEASE_MS - RESERVE_MS;
  }

  /** It has read which services are covered. A replica that was given up waits until the others know that it is there again. */
  caughtUp(): void {
    if (this.#parts.clock.now() >= this.#actsFromMs) this.#isOutdated = false;
  }

  /** Whether every other replica of the service uses this coverage, and has no unjournaled write of the service under way. */
  allReport(service: ServiceName, number: number): boolean {
    return this.#others.every(
      ({ coverage, services }) => services?.includes(service) === false || coverage[service] === number,
    );
  }

  /** Resolves with whether other replicas are registered, including dead ones. @throws StorageError */
  async join(): Promise<boolean> {
    const { store, identity, clock } = this.#parts;
    this.#pauses.start();
    const others = await store.register(identity.id, this.#parts.spill?.id);
    await this.beat({});
    if (this.counts().live > 1) {
      await clock.sleep(SETTLE_IN_MS);
      await this.beat({});
    }
    return others > 0;
  }

  /** Sends a heartbeat, and learns of the others. @throws StorageError */
  async beat(coverage: Readonly<Record<string, number>>): Promise<void> {
    const { store, identity, clock } = this.#parts;
    const sentAtMs = clock.now();
    const pauses = this.#pauses.count;
    const isSpilling = this.#parts.isSpilling();
    if (!isSpilling) this.#claimedAtMs = sentAtMs;
    const beat = { coverage, isSpilling, shares: this.#parts.shares() };
    const answered = store.heartbeat(identity.id, beat).finally(() => (this.#heardAtMs = clock.now()));
    const answer = await answered.catch((error: unknown) => {
      this.#unanswered(pauses);
      throw error;
    });
    const { replicas: reports, isAnySpilled, nowMs } = answer;
    this.#pausesHeard = pauses;
    this.#isAnySpilled = isAnySpilled;
    this.#answeredMs = sentAtMs;
    this.#journalMs = nowMs;
    const isListed = reports.some(({ replica }) => replica === identity.id);
    const known = this.#others;
    this.#others = reports.filter(
      ({ replica, services }) => replica !== identity.id && identity.shares(services),
    );
    // The heartbeat is so late that others may have taken lanes over, although none has unregistered this replica.
    const hasLapsed = this.#leaseUntilMs > 0 && sentAtMs > this.#leaseUntilMs && !this.isOnlyOne;
    if (!isListed || hasLapsed || this.#isGivenUp) return this.#beginAnew();
    this.#leaseUntilMs = sentAtMs + LEASE_MS;
    if (hasGone(known, this.#others)) this.#takeOver('gone');
  }

  /** A connection that broke during a pause fails at once, although the journal is there. So only a second failure says that it is away. */
  #unanswered(pauses: number): void {
    if (pauses === this.#pausesUnheard) this.#pausesHeard = pauses;
    this.#pausesUnheard = pauses;
  }

  #takeOver(what: 'expelled' | 'gone'): void {
    this.#hasInherited = false;
    void this.#parts.signals.replicasChanged(what).then((isDone) => {
      this.#hasInherited = isDone;
    });
  }

  /** Continues under a new identity. The claims and open writes of the old one may be taken over. */
  async #beginAnew(): Promise<void> {
    const { store, identity, clock } = this.#parts;
    this.#leaseUntilMs = 0;
    this.#isOutdated = true;
    // If a statement fails, the next heartbeat tries again, because a replica that is still listed does not count as given up.
    this.#isGivenUp = true;
    await store.leave(identity.id);
    identity.renew();
    await store.register(identity.id, this.#parts.spill?.id);
    this.#isGivenUp = false;
    this.#actsFromMs = clock.now() + SETTLE_IN_MS;
    this.#takeOver('expelled');
  }

  /** Ends its timer, which would keep the process alive. */
  stop(): void {
    this.#pauses.stop();
  }

  leave(): Promise<void> {
    this.stop();
    return this.#parts.store.leave(this.#parts.identity.id);
  }
}

function hasGone(known: readonly ReplicaReport[], others: readonly ReplicaReport[]): boolean {
  const listed = new Set<ReplicaId>(others.map(({ replica }) => replica));
  return (
    known.some(({ replica }) => !listed.has(replica)) || others.some(({ silentMs }) => silentMs > LEASE_MS)
  );
}

const LOOK_EVERY_MS = 1_000;

/** Pauses of this process. They show in a timer that fires much too late. */
class Pauses {
  readonly #clock: Clock;
  readonly #stopping = new AbortController();
  #isStarted = false;
  #lookedAtMs: number;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lookedAtMs = clock.now();
  }

  /** Grows with each pause, also before the timer has fired. */
  get count(): number {
    const isLate = this.#clock.now() - this.#lookedAtMs >= LOOK_EVERY_MS + RESERVE_MS;
    return this.#count + (isLate ? 1 : 0);
  }

  start(): void {
    if (!this.#isStarted) void this.#run();
    this.#isStarted = true;
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    this.#lookedAtMs = this.#clock.now();
    while (!signal.aborted) {
      await this.#clock.sleep(LOOK_EVERY_MS, signal);
      this.#count = this.count;
      this.#lookedAtMs = this.#clock.now();
    }
  }
}
