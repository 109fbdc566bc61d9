import type { Backend } from '../../domain/backend.ts';
import { laneKeyOf, type LaneKey, type OperationId, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { LaneCondition, LaneState } from '../../domain/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import { Turn } from './turn.ts';
import { fenceOf, type FenceReason, type FenceUse } from './fence.ts';

/** A write that was just answered, or that waits for an equal write, or whose unknown outcome is not durable yet. */
export interface ReplyUnderWay {
  readonly operation: OperationId;
  readonly action: string;
  readonly request: string;
  /** Resolves when its agent has the reply, or when the journal knows that the agent has none. */
  readonly known: Promise<void>;
  /** Its agent will not get a reply. */
  lacksReply: boolean;
  readonly sinceMs: number;
}

/**
 * What this replica knows of a lane. The journal's row is the truth. This object follows it write by write.
 *
 * The conditions and what moves a lane between them:
 *
 *     clean ──markDirty──▶ dirty ──beginCopy──▶ copying ──finishCopy──▶ clean
 *       └───────────────beginCopy──────────────▶   │
 *                                                  ├──stop─────────▶ stopped (a person decides)
 *                                                  ├──abandonCopy──▶ what it was before (another replica is the home)
 *                                                  └──markDirty────▶ dirty (another copy is due; finishCopy leaves it dirty)
 *     stopped ──beginCopy──▶ copying (a repair that a person asked for)
 *
 * A stopped lane stays stopped, even when its history becomes uncertain. `adopt` and `adoptForeign` take over the condition from the
 * journal's row, except where this replica knows more than the row.
 *
 * Besides its condition, a lane is seeded under a coverage number or not (`seededUnder`, `unseed`). It has an applied and a delivered
 * sequence (`appliedUpTo`, `deliveredUpTo`). It may have unknown outcomes that are being settled (`beginSettling`, `endSettling`,
 * `closeAt`, `closed`).
 */
export class Lane {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly turn: Turn;

  #id = 0;
  #sequence = 0;
  #generation = 0;
  #epoch = 0;
  #primary: Backend = 'legacy';
  #primarySeenAtMs = -Infinity;
  #seededCoverage = 0;
  #condition: LaneCondition = 'clean';
  #exceptions = 0;
  #finding = 0;
  #delivered = 0;
  #applied = 0;
  #inFlight = 0;
  #activity = 0;
  #isLoaded = false;
  #ownSequence = 0;
  #hasUnseen = false;
  #isHome = false;
  #forgotten = 0;
  #foundUncertain = 0;
  #settling = 0;
  #closing = 0;
  #closesAtMs = 0;
  #replying: ReplyUnderWay[] = [];
  /** Reads that wait for its deliveries, each up to a sequence. */
  #waiting: { readonly upTo: number; readonly admit: () => void }[] = [];

  constructor(service: ServiceName, owner: Owner, clock: Clock) {
    this.service = service;
    this.owner = owner;
    this.key = laneKeyOf(service, owner);
    this.turn = new Turn(clock);
  }

  // The journal's row

  /** Adopts the journal's row. Deliveries of this replica that are not recorded yet stay known. */
  adopt(state: LaneState): void {
    this.#id = state.id;
    this.#sequence = Math.max(this.#sequence, state.sequence);
    this.#generation = Math.max(this.#generation, state.generation);
    // A flip back leaves the lane unseeded.
    if (state.epoch > this.#epoch) this.#seededCoverage = state.seededCoverage;
    if (state.epoch >= this.#epoch) this.#primary = state.primary;
    this.#epoch = Math.max(this.#epoch, state.epoch);
    this.#seededCoverage = Math.max(this.#seededCoverage, state.seededCoverage);
    this.#delivered = Math.max(this.#delivered, state.deliveredSequence);
    // The lane's home knows better than a row that was read before a copy began or ended.
    const knowsBetter = this.#isLoaded && this.#isHome && state.isHome;
    // The mark that its history is uncertain may not be durable yet.
    const isUncertain = this.isSettling && this.#condition === 'dirty' && state.condition === 'clean';
    if (!knowsBetter && !isUncertain) this.#condition = state.condition;
    if (!knowsBetter) this.#exceptions = state.exceptions;
    this.found(state.finding);
    this.#isHome = state.isHome;
    this.#isLoaded = true;
  }

  /**
   * Adopts the row after another replica, or a person, changed it. A row that says `clean` may be older than a copy that this
   * replica runs, or than an unknown outcome that it settles. A row that says `copying` may be older than the end of that copy.
   * Without the check the lane would stay `copying` forever.
   */
  adoptForeign(state: LaneState): void {
    const condition = this.#condition;
    const isOurs = this.#isHome && state.isHome;
    const wasReadBefore =
      isOurs && state.condition === 'clean' && (condition === 'copying' || this.isSettling);
    const wasReadMeanwhile = isOurs && this.#isLoaded && state.condition === 'copying';
    this.#isLoaded = false;
    this.adopt(state);
    if (wasReadBefore || wasReadMeanwhile) this.#condition = condition;
  }

  /** The journal showed its primary when it was asked, at this time. An older epoch changes nothing. */
  sawPrimary({ epoch, primary }: Pick<LaneState, 'epoch' | 'primary'>, askedAtMs: number): void {
    if (epoch < this.#epoch) return;
    this.#epoch = epoch;
    this.#primary = primary;
    this.#primarySeenAtMs = Math.max(this.#primarySeenAtMs, askedAtMs);
  }

  /** The journal was queried, and has no row of the lane. */
  markLoaded(): void {
    this.#isLoaded = true;
  }

  /** The journal must be queried again. Work in progress continues. */
  forget(): void {
    this.#isLoaded = false;
    this.#isHome = false;
    this.#hasUnseen = true;
    this.#forgotten += 1;
  }

  /** A reconciliation found a difference, or one is resolved. A row that is older than the last change changes nothing. */
  found(finding: number): void {
    const [known, given] = [Math.abs(this.#finding), Math.abs(finding)];
    if (given > known || (given === known && finding < 0)) this.#finding = finding;
  }

  /**
   * Another replica found the lane's history uncertain, for this number of times.
   * @returns whether the number is higher than this replica knew
   */
  foundUncertain(times: number): boolean {
    const isNew = times > this.#foundUncertain;
    this.#foundUncertain = times;
    return isNew;
  }

  // Its condition

  /** Its history is uncertain. A copy must settle it. */
  markDirty(): void {
    if (this.#condition !== 'stopped') this.#condition = 'dirty';
  }

  /** @returns the condition to pass to `abandonCopy` if the copy cannot begin */
  beginCopy(): LaneCondition {
    const before = this.#condition;
    this.#condition = 'copying';
    return before;
  }

  /** The journal has recorded the start of the copy. An older row may have been adopted since the request. */
  copyBegun(state: LaneState): void {
    this.adopt(state);
    if (this.#condition === 'clean') this.#condition = 'copying';
  }

  /** Another replica is the lane's home, so this one does not copy it. */
  abandonCopy(before: LaneCondition): void {
    this.#condition = before;
  }

  /**
   * The secondary equals what the primary showed at this sequence. If the lane was marked dirty meanwhile, another copy is due.
   */
  finishCopy(state: LaneState, { coverage, sequence }: { coverage: number; sequence: number }): void {
    this.#seededCoverage = coverage;
    this.#exceptions = state.exceptions;
    this.found(state.finding);
    if (this.#condition === 'copying') this.#condition = 'clean';
    this.deliveredUpTo(sequence);
  }

  /** A copy found something that a person must decide. */
  stop(): void {
    this.#condition = 'stopped';
  }

  // Seeding

  /** The secondary holds everything that the primary holds of it, under this coverage. */
  seededUnder(coverage: number): void {
    this.#seededCoverage = coverage;
  }

  /** A write passed unjournaled. Only a copy can seed the lane again. */
  unseed(): void {
    this.#seededCoverage = 0;
  }

  // Writes

  /** A write of this replica got its sequence. */
  sequenced(sequence: number): void {
    if (sequence !== this.#ownSequence + 1) this.#hasUnseen = true;
    this.#ownSequence = sequence;
  }

  /** From now on, memory holds all waiting writes. */
  sawAll(): void {
    this.#hasUnseen = false;
  }

  /** A write is being sent to the primary. */
  beginWrite(): void {
    this.#inFlight += 1;
    this.#activity += 1;
  }

  /** Its outcome is known, or known to be unknown. */
  endWrite(): void {
    this.#inFlight -= 1;
    this.#activity += 1;
  }

  /** The primary has applied the lane's writes up to here. */
  appliedUpTo(sequence: number): void {
    this.#applied = Math.max(this.#applied, sequence);
  }

  /** The secondary has applied the lane's writes up to here. */
  deliveredUpTo(sequence: number): void {
    this.#delivered = Math.max(this.#delivered, sequence);
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ upTo }) => upTo > this.#delivered);
    for (const { upTo, admit } of waiting) if (upTo <= this.#delivered) admit();
  }

  /** Resolves when the secondary holds every write that is applied now, or after `ms`. True in the first case. */
  async caughtUp(ms: number): Promise<boolean> {
    if (!this.isBehind) return true;
    return new Promise((resolve) => {
      const waiter = {
        upTo: this.#applied,
        admit: (): void => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(
        () => {
          this.#waiting = this.#waiting.filter((one) => one !== waiter);
          resolve(false);
        },
        Math.max(0, ms),
      );
      this.#waiting.push(waiter);
    });
  }

  // Writes whose agents may not get a reply

  awaitReply(reply: ReplyUnderWay): void {
    this.#replying.push(reply);
  }

  replyKnown(reply: ReplyUnderWay): void {
    this.#replying = this.#replying.filter((one) => one !== reply);
  }

  // Unknown outcomes

  /** An unknown outcome is being settled. A copy must not overtake that. */
  beginSettling(): void {
    this.#settling += 1;
  }

  endSettling(): void {
    this.#settling -= 1;
  }

  /** The sequence of one of its writes must be closed on the orchestrator before the next write. */
  beginClosing(): void {
    this.#closing += 1;
  }

  endClosing(): void {
    this.#closing -= 1;
  }

  /** From this time on, a copy shows the effect of every unknown outcome of the lane. */
  closeAt(instantMs: number): void {
    this.#closesAtMs = instantMs;
  }

  closed(): void {
    this.#closesAtMs = 0;
  }

  // Its state

  /** From the journal's row; 0 if there is none. */
  get id(): number {
    return this.#id;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Rises with every change of the primary. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The backend that is primary for its writes, as far as this replica knows. The journal says it with every intent. */
  get primary(): Backend {
    return this.#primary;
  }

  /** When the journal last showed the primary, by the monotonic clock. Only what reads and intents learned counts. */
  get primarySeenAtMs(): number {
    return this.#primarySeenAtMs;
  }

  get seededCoverage(): number {
    return this.#seededCoverage;
  }

  get condition(): LaneCondition {
    return this.#condition;
  }

  /** Items that the secondary refuses and that no person has accepted. */
  get exceptions(): number {
    return this.#exceptions;
  }

  /** {@link LaneState.finding}, as far as this replica knows. */
  get finding(): number {
    return this.#finding;
  }

  /** Every applied write up to here is on the secondary. */
  get delivered(): number {
    return this.#delivered;
  }

  /** The last write that the primary has applied. */
  get applied(): number {
    return this.#applied;
  }

  /** Writes between their sequence and their outcome. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Counts the start and the end of every write. If two readings are equal and none is in flight, the lane did not change. */
  get activity(): number {
    return this.#activity;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** The last sequence that a write of this replica got. */
  get ownSequence(): number {
    return this.#ownSequence;
  }

  /** Other replicas' writes lie between those of this replica, so memory does not hold all waiting writes. */
  get hasUnseen(): boolean {
    return this.#hasUnseen;
  }

  /** Whether this replica delivers and copies it, according to the journal's last answer. */
  get isHome(): boolean {
    return this.#isHome;
  }

  /**
   * Incremented when the lane is dropped from memory. Deliveries queued under an older value belong to another replica until they
   * are reloaded from the journal.
   */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Oldest first. */
  get replying(): readonly ReplyUnderWay[] {
    return this.#replying;
  }

  get isClosing(): boolean {
    return this.#closing > 0;
  }

  get isSettling(): boolean {
    return this.#settling > 0;
  }

  /** 0 if it has no unknown outcome. */
  get closesAtMs(): number {
    return this.#closesAtMs;
  }

  get isBehind(): boolean {
    return this.#applied > this.#delivered;
  }

  /** Why the secondary may not answer for it, as far as this replica knows. */
  fence(coverage: number, use: FenceUse = 'read'): FenceReason | undefined {
    return fenceOf(this, coverage, use);
  }

  get isIdle(): boolean {
    const isUnderWay = this.turn.isTaken || this.#inFlight + this.#replying.length > 0;
    if (isUnderWay || this.#isUnsettled) return false;
    return !this.#isLoaded || (!this.isBehind && this.#condition === 'clean');
  }

  /** Whether this replica, its home, does something that the journal may not know yet. */
  get isInWork(): boolean {
    return this.#isHome && (this.isBehind || this.isUnwell || this.#isUnsettled);
  }

  get isUnwell(): boolean {
    return this.#condition === 'dirty' || this.#condition === 'copying';
  }

  get #isUnsettled(): boolean {
    return this.isSettling || this.isClosing || this.#closesAtMs > 0;
  }
}
