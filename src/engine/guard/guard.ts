import type { ServiceName } from '../../domain/ids.ts';
import type { Tally } from '../evidence/rate-bounds.ts';
import type { Finding } from '../ports/finding.ts';
import {
  addCounts,
  addedQuantile,
  type GuardCounts,
  LONGEST_WINDOW,
  noCounts,
  QUARTER,
  SlidingTally,
  type WindowName,
  WINDOWS,
} from './guard-counts.ts';
import {
  countLevel,
  type GuardLimits,
  judgeDeadLetters,
  judgeLatency,
  judgeLegacyDiffers,
  judgeLost,
  type Judgement,
  judgeNotComparable,
  judgeRate,
  judgeStores,
  nearest,
  NO_TROUBLE,
  rateLevel,
  storesLevel,
  type TriggerLevel,
  type TroubledLanes,
} from './triggers.ts';

/** The action name for the counts of a service as a whole. */
const WHOLE = '';
const MINUTE_MS = 60_000;

const NONE: readonly never[] = [];

/** Shown with a latency finding of cut-over reads. */
const ABOVE_LEGACY = 'orchestrator slower than legacy';

/** The window of the present. */
const PRESENT = WINDOWS[0]?.name;
const HOLD = ['hold_ramp'] as const;
/** Only present errors drop shadow load. Over six hours, the information that shadow reads give is worth more. */
const DROP_AND_HOLD = ['drop_shadow_load', 'hold_ramp'] as const;

/** What was slow, and in how many of the last minutes. */
interface SlowMinutes {
  /** Absent: the proxy. */
  readonly detail?: string;
  readonly judged: Judgement;
}

/** One rate that is watched, over all windows. */
class WatchedRate {
  readonly #windows = WINDOWS.map((size) => ({ name: size.name, tally: new SlidingTally(size) }));

  add(atMs: number, tally: Tally): void {
    if (tally.tries === 0 && tally.hits === 0) return;
    for (const window of this.#windows) window.tally.add(atMs, tally);
  }

  setBack(nowMs: number): void {
    for (const { tally } of this.#windows) tally.setBack(nowMs);
  }

  /** The windows, unless even the longest has too few hits. That is the common case, and this is called every second. */
  windowsWith(leastHits: number, nowMs: number): readonly { name: string; tally: Tally }[] {
    const longest = this.#windows.at(-1)?.tally;
    if (longest === undefined || longest.hits === 0) return NONE;
    longest.advance(nowMs);
    if (longest.hits < leastHits) return NONE;
    for (const window of this.#windows) window.tally.advance(nowMs);
    return this.#windows;
  }
}

/** The rates of one action, or of a service as a whole. */
class WatchedAction {
  readonly mismatches = new WatchedRate();
  readonly orchestrator = new WatchedRate();
  readonly proxy = new WatchedRate();
  readonly compared = new ComparedReads();

  setBack(nowMs: number): void {
    for (const each of [this.mismatches, this.orchestrator, this.proxy, this.compared]) each.setBack(nowMs);
  }

  add(atMs: number, counts: GuardCounts): void {
    this.mismatches.add(atMs, { hits: counts.mismatches, tries: counts.comparable });
    this.orchestrator.add(atMs, { hits: counts.orchestratorFailures, tries: counts.orchestratorReads });
    this.proxy.add(atMs, { hits: counts.proxyFailures, tries: counts.operations });
    this.compared.add(atMs, counts);
  }
}

/**
 * Watches one service. Events go in with their time, and findings come out on request. It has no clock and no store, so that
 * stored minutes can be replayed against other limits. Times are milliseconds of one clock, of any kind.
 */
export class ServiceGuard {
  readonly #service: ServiceName;
  readonly #limits: GuardLimits;
  readonly #actions = new Map<string, WatchedAction>();
  #nowMs = -Infinity;
  /** Counts by minute, for the service as a whole. */
  readonly #minutes = new Map<number, GuardCounts>();
  /** The minute at which latency was last evaluated. The result can only change at the next minute. */
  #latencyOf = -1;
  #latency: readonly SlowMinutes[] = NONE;
  #incomparable = new IncomparableReads();
  #legacyMismatches = new SlidingTally(LONGEST_WINDOW);
  #seenAgain = 0;
  #signal: string | undefined;
  #troubled: TroubledLanes = NO_TROUBLE;

  constructor(service: ServiceName, limits: GuardLimits) {
    this.#service = service;
    this.#limits = limits;
  }

  /** Sets the present time. If a clock that was ahead is set back, the windows must not wait for it. */
  turnTo(nowMs: number): void {
    if (nowMs < this.#nowMs) {
      for (const watched of this.#actions.values()) watched.setBack(nowMs);
      this.#incomparable.setBack(nowMs);
      this.#legacyMismatches.setBack(nowMs);
      for (const minute of this.#minutes.keys())
        if (minute > Math.floor(nowMs / MINUTE_MS)) this.#minutes.delete(minute);
    }
    this.#nowMs = nowMs;
  }

  /** @param atMs not after the present time, because the windows would end there */
  add(action: string, atMs: number, counts: GuardCounts): void {
    this.#watched(action).add(atMs, counts);
    this.#watched(WHOLE).add(atMs, counts);
    this.#incomparable.add(atMs, counts);
    if (counts.legacyMismatches > 0)
      this.#legacyMismatches.add(atMs, { hits: counts.legacyMismatches, tries: 0 });
    const minute = Math.floor(atMs / MINUTE_MS);
    let sum = this.#minutes.get(minute);
    if (sum === undefined) this.#minutes.set(minute, (sum = noCounts()));
    addCounts(sum, counts);
    if (minute < this.#latencyOf) this.#latencyOf = -1;
  }

  /** An answer showed a deleted item (I5). */
  seenAgain(count = 1): void {
    this.#seenAgain += count;
  }

  /** An external signal says that agents have problems. */
  signal(words: string): void {
    this.#signal = words;
  }

  trouble(lanes: TroubledLanes): void {
    this.#troubled = lanes;
  }

  /** Everything found at this time. Of each rate, only the most severe finding. */
  findings(nowMs: number): Finding[] {
    this.turnTo(nowMs);
    return [...this.#rateFindings(nowMs), ...this.#notCompared(nowMs), ...this.#otherFindings(nowMs)];
  }

  /** How close each trigger is to its trip, at the action and window where it is closest. */
  levels(nowMs: number): TriggerLevel[] {
    const { slowMinutes, deadLetterLanes, deadLetterMs } = this.#limits;
    const old = this.#troubled.deadLetterAgesMs.filter((ageMs) => ageMs >= deadLetterMs).length;
    return [
      ...this.#rateLevels(nowMs),
      this.#latencyLevel(nowMs, slowMinutes),
      countLevel('deleted_item_seen', this.#seenAgain, 1),
      countLevel('dead_letters', old, deadLetterLanes),
      countLevel('lost', this.#troubled.lost, 1),
      countLevel('legacy_differs', this.#legacyDiffers(nowMs) === undefined ? 0 : 1, 1),
      storesLevel(this.#troubled.stores, this.#limits),
      this.#notComparableLevel(nowMs),
      countLevel('not_compared', [...this.#notCompared(nowMs)].length > 0 ? 1 : 0, 1),
      countLevel('external', this.#signal === undefined ? 0 : 1, 1),
    ];
  }

  /**
   * The latency that the proxy added in the last minutes, including the present one: the quantile in milliseconds. Null without
   * operations.
   */
  addedQuantile(quantile: number): number | null {
    const sum = noCounts();
    for (const counts of this.#minutes.values()) addCounts(sum, counts);
    return addedQuantile(sum, quantile);
  }

  /** Resets the counts, because a person has judged them. Lanes with problems stay. */
  reset(): void {
    this.#actions.clear();
    this.#minutes.clear();
    this.#latencyOf = -1;
    this.#incomparable = new IncomparableReads();
    this.#legacyMismatches = new SlidingTally(LONGEST_WINDOW);
    this.#seenAgain = 0;
    this.#signal = undefined;
  }

  #watched(action: string): WatchedAction {
    const known = this.#actions.get(action);
    if (known !== undefined) return known;
    const made = new WatchedAction();
    this.#actions.set(action, made);
    return made;
  }

  *#rateFindings(nowMs: number): Generator<Finding> {
    for (const { trigger, rule, action, detail, tally } of this.#rates(this.#limits.leastHits, nowMs)) {
      const judged = judgeRate(tally, rule, this.#limits);
      if (judged !== undefined) yield this.#finding(trigger, judged, { action, detail });
    }
  }

  #rateLevels(nowMs: number): TriggerLevel[] {
    const all = [...this.#rates(1, nowMs)];
    return (['inconsistency', 'errors'] as const).map((trigger) => {
      const levels = all
        .filter((rate) => rate.trigger === trigger)
        .map(({ action, detail, tally, rule }) => ({
          trigger,
          detail,
          ...(action !== WHOLE && { action }),
          ...rateLevel(tally, rule.limit, this.#limits),
        }));
      return nearest(levels) ?? { trigger, numbers: {}, reached: 0 };
    });
  }

  #latencyLevel(nowMs: number, slowMinutes: number): TriggerLevel {
    const levels = this.#judgedLatency(nowMs).map(({ judged, ...who }) => ({
      ...countLevel('latency', judged.numbers['slow_minutes'] ?? 0, slowMinutes),
      ...who,
    }));
    return nearest(levels) ?? countLevel('latency', 0, slowMinutes);
  }

  #notComparableLevel(nowMs: number): TriggerLevel {
    const { notComparableRate: limit, leastOperations, z } = this.#limits;
    const { name: detail, tally } = this.#incomparable.windowAt(nowMs, this.#limits);
    const level = rateLevel(tally, limit, { leastHits: 1, z });
    const enough = Math.min(1, tally.tries / leastOperations);
    return { trigger: 'not_comparable', detail, numbers: level.numbers, reached: level.reached * enough };
  }

  /** Every watched rate, by window, with at least this many hits. */
  *#rates(leastHits: number, nowMs: number) {
    const { mismatchRate, errorRate } = this.#limits;
    for (const [action, watched] of this.#actions) {
      const streams = [
        { trigger: 'inconsistency', rate: watched.mismatches, limit: mismatchRate, now: HOLD, who: '' },
        {
          trigger: 'errors',
          rate: watched.orchestrator,
          limit: errorRate,
          now: DROP_AND_HOLD,
          who: 'orchestrator, ',
        },
        { trigger: 'errors', rate: watched.proxy, limit: errorRate, now: DROP_AND_HOLD, who: 'proxy, ' },
      ] as const;
      for (const { trigger, rate, limit, now, who } of streams)
        for (const { name, tally } of rate.windowsWith(leastHits, nowMs)) {
          const rule = { limit, early: name === PRESENT ? now : HOLD };
          yield { trigger, rule, action, detail: who + name, tally };
        }
    }
  }

  *#notCompared(nowMs: number): Generator<Finding> {
    for (const [action, { compared }] of this.#actions) {
      const judged = compared.judge(nowMs, this.#limits);
      if (judged !== undefined) yield this.#finding('not_compared', judged, { action });
    }
  }

  *#otherFindings(nowMs: number): Generator<Finding> {
    for (const { judged, ...who } of this.#judgedLatency(nowMs)) yield this.#finding('latency', judged, who);
    const deadLetters = judgeDeadLetters(this.#troubled, this.#limits);
    if (deadLetters !== undefined) yield this.#finding('dead_letters', deadLetters);
    const lost = judgeLost(this.#troubled);
    if (lost !== undefined) yield this.#finding('lost', lost);
    const stores = judgeStores(this.#troubled, this.#limits);
    if (stores !== undefined) yield this.#finding('stores', stores);
    const legacyDiffers = this.#legacyDiffers(nowMs);
    if (legacyDiffers !== undefined) yield this.#finding('legacy_differs', legacyDiffers);
    const { name: detail, tally } = this.#incomparable.windowAt(nowMs, this.#limits);
    const incomparable = judgeNotComparable(tally, this.#limits);
    if (incomparable !== undefined) yield this.#finding('not_comparable', incomparable, { detail });
    if (this.#seenAgain > 0) yield this.#finding('deleted_item_seen', tripWith({ items: this.#seenAgain }));
    if (this.#signal !== undefined) yield this.#finding('external', tripWith({}), { detail: this.#signal });
  }

  #legacyDiffers(nowMs: number): Judgement | undefined {
    this.#legacyMismatches.advance(nowMs);
    return judgeLegacyDiffers(this.#troubled, this.#legacyMismatches.hits);
  }

  /** Evaluates the complete minutes before this one, once per minute. */
  #judgedLatency(nowMs: number): readonly SlowMinutes[] {
    const present = Math.floor(nowMs / MINUTE_MS);
    if (present === this.#latencyOf) return this.#latency;
    const oldest = present - this.#limits.ofMinutes;
    for (const minute of this.#minutes.keys()) if (minute < oldest) this.#minutes.delete(minute);
    const whole = [...this.#minutes].filter(([minute]) => minute < present).map(([, counts]) => counts);
    this.#latencyOf = present;
    const added = judgeLatency(whole, 'added', this.#limits);
    const aboveLegacy = judgeLatency(whole, 'aboveLegacy', this.#limits);
    this.#latency = [
      ...(added === undefined ? [] : [{ judged: added }]),
      ...(aboveLegacy === undefined ? [] : [{ judged: aboveLegacy, detail: ABOVE_LEGACY }]),
    ];
    return this.#latency;
  }

  #finding(
    trigger: Finding['trigger'],
    { steps, numbers }: Judgement,
    where: { readonly action?: string; readonly detail?: string } = {},
  ): Finding {
    const { action = WHOLE, detail } = where;
    return {
      service: this.#service,
      trigger,
      steps,
      numbers,
      ...(action !== WHOLE && { action }),
      ...(detail !== undefined && { detail }),
    };
  }
}

function tripWith(numbers: Readonly<Record<string, number>>): Judgement {
  return { steps: ['reads_to_legacy'], numbers };
}

const QUARTER_MS = QUARTER.slotMs * QUARTER.slots;

/**
 * Whether reads that have moved are still compared, for one action or for a service. Evidence that is not renewed loses its
 * value, because the orchestrator, its data or the sampling may have changed since.
 */
class ComparedReads {
  readonly #quarter = new SlidingTally(QUARTER);
  readonly #long = new SlidingTally(LONGEST_WINDOW);
  /** Hits: reads that a flag sent to the orchestrator. Tries: comparisons that were dropped. */
  readonly #moved = new SlidingTally(LONGEST_WINDOW);
  #movedSinceMs = Infinity;

  add(atMs: number, { comparable, operations, orchestratorReads, flippedReads, dropped }: GuardCounts): void {
    const moved = orchestratorReads - flippedReads;
    this.#quarter.add(atMs, { hits: comparable, tries: operations });
    this.#long.add(atMs, { hits: comparable, tries: operations });
    this.#moved.add(atMs, { hits: moved, tries: dropped });
    if (moved > 0) this.#movedSinceMs = Math.min(this.#movedSinceMs, atMs);
  }

  setBack(nowMs: number): void {
    for (const tally of [this.#quarter, this.#long, this.#moved]) tally.setBack(nowMs);
  }

  /** An alert is sent and increases are blocked. No reads move back, because nothing wrong was found. */
  judge(nowMs: number, limits: GuardLimits): Judgement | undefined {
    const [quarter, long, moved] = [this.#quarter, this.#long, this.#moved];
    for (const tally of [quarter, long, moved]) tally.advance(nowMs);
    const isWatched = moved.hits > 0 && nowMs - this.#movedSinceMs >= QUARTER_MS;
    if (!isWatched || quarter.tries === 0 || quarter.hits > 0 || !this.#isMissed(limits)) return undefined;
    const numbers = { operations: quarter.tries, compared: 0, dropped: moved.tries };
    return { steps: ['alert', 'hold_ramp'], numbers };
  }

  /** Judged by the share of the last hours, so that 1 % sampling in a quiet night causes no alarm. */
  #isMissed({ leastHits, leastOperations }: GuardLimits): boolean {
    if (this.#long.hits === 0) return this.#long.tries >= leastOperations;
    return (this.#long.hits / this.#long.tries) * this.#quarter.tries >= leastHits;
  }
}

/**
 * The share of a service's reads that could not be compared. The window is 15 minutes, because short races with writes are no
 * reason for an alert. If that window has too few reads, and there are still reads that cannot be compared, the window is six
 * hours.
 */
class IncomparableReads {
  readonly #quarter = new SlidingTally(QUARTER);
  readonly #long = new SlidingTally(LONGEST_WINDOW);

  add(atMs: number, { comparable, notComparable }: GuardCounts): void {
    const tries = comparable + notComparable;
    if (tries === 0) return;
    for (const tally of [this.#quarter, this.#long]) tally.add(atMs, { hits: notComparable, tries });
  }

  setBack(nowMs: number): void {
    for (const tally of [this.#quarter, this.#long]) tally.setBack(nowMs);
  }

  /** The tally that is judged now. */
  windowAt(
    nowMs: number,
    { leastOperations, notComparableRate }: GuardLimits,
  ): { readonly name: WindowName; readonly tally: SlidingTally } {
    const [quarter, long] = [this.#quarter, this.#long];
    for (const tally of [quarter, long]) tally.advance(nowMs);
    const isGoingOn = quarter.hits > notComparableRate * quarter.tries;
    return isGoingOn && quarter.tries < leastOperations
      ? { name: LONGEST_WINDOW.name, tally: long }
      : { name: QUARTER.name, tally: quarter };
  }
}
