import { laneKeyOf, type LaneKey, type OperationId, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { LaneCondition, LaneState } from '../../domain/lane.ts';
import type { Clock } from '../ports/ports.ts';
import { Turn } from './turn.ts';
import { fenceOf, type FenceReason, type FenceUse } from './fence.ts';

/** A write that was answered just now, that waits for its twin, or whose outcome is unknown and not durable yet. */
export interface ReplyUnderWay {
  readonly operation: OperationId;
  readonly action: string;
  readonly request: string;
  /** Resolves when its agent has the reply, or the journal knows that it has none. */
  readonly known: Promise<void>;
  /** Its agent will not get one. */
  lacksReply: boolean;
  readonly sinceMs: number;
}

/**
 * What this replica knows of a lane. The journal's row is the truth; this follows it write by write.
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
 * A stopped lane stays stopped whatever makes its history uncertain. `adopt` and `adoptForeign` take over the condition from the journal's
 * row, except where this replica knows better than the row.
 *
 * Beside its condition a lane is seeded under a coverage number or not (`seededUnder`, `unseed`), has an applied and a delivered sequence
 * (`appliedUpTo`, `deliveredUpTo`), and may have unknown outcomes under settlement (`beginSettling`, `endSettling`, `closeAt`, `closed`).
 */
export class Lane {
  readonly service: ServiceName;
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly turn: Turn;

  #id = 0;
  #sequence = 0;
  #generation = 0;
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

  // What the journal says

  /** Takes over the journal's row. Deliveries that this replica made and has not recorded yet stay known. */
  adopt(state: LaneState): void {
    this.#id = state.id;
    this.#sequence = Math.max(this.#sequence, state.sequence);
    this.#generation = Math.max(this.#generation, state.generation);
    this.#seededCoverage = Math.max(this.#seededCoverage, state.seededCoverage);
    this.#delivered = Math.max(this.#delivered, state.deliveredSequence);
    // The lane's home knows better than a row that was read before a copy began or ended.
    const knowsBetter = this.#isLoaded && this.#isHome && state.isHome;
    // That its history is uncertain may not be durable yet.
    const isUncertain = this.isSettling && this.#condition === 'dirty' && state.condition === 'clean';
    if (!knowsBetter && !isUncertain) this.#condition = state.condition;
    if (!knowsBetter) this.#exceptions = state.exceptions;
    this.found(state.finding);
    this.#isHome = state.isHome;
    this.#isLoaded = true;
  }

  /**
   * Takes over the row after another replica, or a person, changed it. A row that says `clean` may have been read before the copy that is
   * under way here began, or before an unknown outcome that is being settled here was durable. A row that says `copying` may have been read
   * before that copy ended here: the lane would stay `copying` for ever.
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

  /** The journal was asked, and has no row of the lane. */
  markLoaded(): void {
    this.#isLoaded = true;
  }

  /** The journal must be asked again; what is under way goes on. */
  forget(): void {
    this.#isLoaded = false;
    this.#isHome = false;
    this.#hasUnseen = true;
    this.#forgotten += 1;
  }

  /** A reconciliation found a difference, or one is settled. A row that was read before its last change changes nothing. */
  found(finding: number): void {
    const [known, given] = [Math.abs(this.#finding), Math.abs(finding)];
    if (given > known || (given === known && finding < 0)) this.#finding = finding;
  }

  /**
   * Another replica found the lane's history uncertain so often.
   * @returns whether that is more often than this replica knew
   */
  foundUncertain(times: number): boolean {
    const isNew = times > this.#foundUncertain;
    this.#foundUncertain = times;
    return isNew;
  }

  // Its condition

  /** Its history is uncertain: a copy must settle it. */
  markDirty(): void {
    if (this.#condition !== 'stopped') this.#condition = 'dirty';
  }

  /** @returns the condition to give to `abandonCopy` where the copy cannot begin */
  beginCopy(): LaneCondition {
    const before = this.#condition;
    this.#condition = 'copying';
    return before;
  }

  /** The journal has recorded the beginning. An older row may have been adopted since it was asked for. */
  copyBegun(state: LaneState): void {
    this.adopt(state);
    if (this.#condition === 'clean') this.#condition = 'copying';
  }

  /** Another replica is the lane's home, so this one does not copy it. */
  abandonCopy(before: LaneCondition): void {
    this.#condition = before;
  }

  /** The secondary equals what the primary showed at this sequence. What made the lane dirty meanwhile has asked for another copy. */
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

  /** A write passed unjournaled: only a copy can seed it again. */
  unseed(): void {
    this.#seededCoverage = 0;
  }

  // Writes

  /** A write of this replica has got its sequence. */
  sequenced(sequence: number): void {
    if (sequence !== this.#ownSequence + 1) this.#hasUnseen = true;
    this.#ownSequence = sequence;
  }

  /** Memory holds all writes that wait from now on. */
  sawAll(): void {
    this.#hasUnseen = false;
  }

  /** A write is sent to the primary. */
  beginWrite(): void {
    this.#inFlight += 1;
    this.#activity += 1;
  }

  /** Its outcome, or that it is unknown, is known. */
  endWrite(): void {
    this.#inFlight -= 1;
    this.#activity += 1;
  }

  /** The primary has applied its writes up to here. */
  appliedUpTo(sequence: number): void {
    this.#applied = Math.max(this.#applied, sequence);
  }

  /** The secondary has. */
  deliveredUpTo(sequence: number): void {
    this.#delivered = Math.max(this.#delivered, sequence);
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ upTo }) => upTo > this.#delivered);
    for (const { upTo, admit } of waiting) if (upTo <= this.#delivered) admit();
  }

  /** Resolves when the secondary holds every write that is applied by now, or after `ms`. True where it does. */
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

  // Writes of which it is not known yet whether their agents get a reply

  awaitReply(reply: ReplyUnderWay): void {
    this.#replying.push(reply);
  }

  replyKnown(reply: ReplyUnderWay): void {
    this.#replying = this.#replying.filter((one) => one !== reply);
  }

  // Unknown outcomes

  /** An unknown outcome is being settled: a copy must not overtake that. */
  beginSettling(): void {
    this.#settling += 1;
  }

  endSettling(): void {
    this.#settling -= 1;
  }

  /** From this instant on a copy proves what became of every unknown outcome of the lane. */
  closeAt(instantMs: number): void {
    this.#closesAtMs = instantMs;
  }

  closed(): void {
    this.#closesAtMs = 0;
  }

  // What it is

  /** Of the journal's row; 0 where there is none. */
  get id(): number {
    return this.#id;
  }

  get sequence(): number {
    return this.#sequence;
  }

  get generation(): number {
    return this.#generation;
  }

  get seededCoverage(): number {
    return this.#seededCoverage;
  }

  get condition(): LaneCondition {
    return this.#condition;
  }

  /** Items that the secondary refuses, and nobody has accepted. */
  get exceptions(): number {
    return this.#exceptions;
  }

  /** {@link LaneState.finding} as far as this replica knows. */
  get finding(): number {
    return this.#finding;
  }

  /** Every applied write up to here is on the secondary. */
  get delivered(): number {
    return this.#delivered;
  }

  /** Last write that the primary has applied. */
  get applied(): number {
    return this.#applied;
  }

  /** Writes between their sequence and their outcome. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Counts every beginning and end of a write: two equal readings with none in flight saw the same contents. */
  get activity(): number {
    return this.#activity;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  /** Last sequence that was given to a write of this replica. */
  get ownSequence(): number {
    return this.#ownSequence;
  }

  /** Writes lie between those of this replica that it has not seen: memory does not hold all that waits. */
  get hasUnseen(): boolean {
    return this.#hasUnseen;
  }

  /** Whether this replica delivers and copies it, as far as the journal said last. */
  get isHome(): boolean {
    return this.#isHome;
  }

  /** How often it was forgotten: what waited here before belongs to another replica until the journal is asked again. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** Oldest first. */
  get replying(): readonly ReplyUnderWay[] {
    return this.#replying;
  }

  get isSettling(): boolean {
    return this.#settling > 0;
  }

  /** 0 where it has no unknown outcome. */
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

  /** Whether this replica, its home, does something that the journal may not know of yet. */
  get isInWork(): boolean {
    return this.#isHome && (this.isBehind || this.isUnwell || this.#isUnsettled);
  }

  get isUnwell(): boolean {
    return this.#condition === 'dirty' || this.#condition === 'copying';
  }

  get #isUnsettled(): boolean {
    return this.isSettling || this.#closesAtMs > 0;
  }
}
