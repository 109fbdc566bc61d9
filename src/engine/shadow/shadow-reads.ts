import { messageOf } from '../../domain/errors.ts';
import type { AskOrchestrator, MappedOperation } from '../calls/ask-orchestrator.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Judgement } from '../compare/compare-replies.ts';
import type { RemovedItems } from '../compare/removed-items.ts';
import { notCompared, type Verdicts } from '../compare/verdicts.ts';
import type { Emit } from '../ports/events.ts';
import type { FenceReason, Fences } from '../lane/fence.ts';
import type { HoldLane } from '../lane/hold-lane.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import {
  both,
  isWorthALook,
  LOOK_AGAIN_MS,
  looksAllowed,
  NOTHING_SEEN,
  type Sightings,
  sightingsIn,
  surviving,
} from '../compare/look-again.ts';
import type { Watermark, Watermarks } from '../delivery/watermarks.ts';
import type { Clock } from '../../shared/clock.ts';
import type { DifferenceStore } from '../compare/comparison-stores.ts';
import type { LaneSamples } from './lane-samples.ts';
import {
  CHANGING,
  comparedOf,
  effectOf,
  explainedBy,
  type GoneBy,
  lookOf,
  mayWait,
  namesOf,
  notComparable,
  type Pair,
  POSTPONED_MS,
  RACY,
  sampleOf,
  type ShadowRead,
  type ShadowTask,
  showsLess,
} from './shadow-task.ts';
import { ShadowPairs } from './shadow-pairs.ts';

/** Share of the reads without side effects that ask legacy twice. A difference between these answers is noise. */
const REPEAT_SHARE = 0.01;
/** Most replies in memory that wait for comparison. */
const QUEUE_BYTES = 32 * 1024 * 1024;
/** A serial legacy service with this many waiting agents gets no shadow reads. */
const BUSY_QUEUE = 16;

interface ShadowParts {
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly askOrchestrator: AskOrchestrator;
  readonly differences: DifferenceStore;
  readonly verdicts: Verdicts;
  /** Evidence for reads with side effects on legacy. Absent: from their answers alone. */
  readonly samples?: Pick<LaneSamples, 'sample' | 'doubt'> | undefined;
  /** Explains why legacy shows less of a lane than the orchestrator. Absent: it counts as a difference. */
  readonly explainGone?: ((operation: MappedOperation) => Promise<GoneBy | undefined>) | undefined;
  /** Absent: answers are not checked for removed items. */
  readonly removed?: Pick<RemovedItems, 'of'> | undefined;
  readonly random: () => number;
  readonly fences: Fences;
  readonly hold: HoldLane;
  readonly watermarks: Pick<Watermarks, 'stopAt'>;
  /** Whether no other replica writes. */
  readonly isAlone: () => boolean;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Most waiting reads. @defaultValue 1000 */
  readonly queueSize: number;
  /** Most reads at the same time. @defaultValue 4 */
  readonly concurrency: number;
  /** @defaultValue 2000 */
  readonly timeoutMs: number;
}

/** One look at a read's two answers. */
interface JudgedPair {
  readonly judgement: Judgement;
  readonly pair: Pair;
  readonly shown: Sightings;
}

/**
 * Asks the other backend after the agent has its reply, and compares. Bounded: what does not fit is dropped and counted. A lane
 * that changed meanwhile proves nothing. A difference counts only if another look shows it again.
 */
export class ShadowReads {
  readonly #parts: ShadowParts;
  readonly #pairs: ShadowPairs;
  readonly #waiting: ShadowTask[] = [];
  /** Reads whose lanes are at their watermarks. Deliveries wait for them, so they go first. */
  readonly #awaited: ShadowTask[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #bytes = 0;
  #running = 0;
  /** Reads whose lanes have not reached their watermarks. */
  #approaching = 0;
  #isStopped = false;

  constructor(parts: ShadowParts) {
    this.#parts = parts;
    const { callLegacy, askOrchestrator, fences, hold, watermarks, isAlone, clock, timeoutMs } = parts;
    const emit: Emit = (...event) => this.#isStopped || parts.emit(...event);
    this.#pairs = new ShadowPairs({
      callLegacy,
      askOrchestrator,
      fences,
      hold,
      watermarks,
      isAlone,
      clock,
      timeoutMs,
      emit,
    });
  }

  /** Reads that wait, run, or will be looked at again. */
  get size(): number {
    return this.#queued + this.#running + this.#timers.size;
  }

  get #queued(): number {
    return this.#waiting.length + this.#awaited.length + this.#approaching;
  }

  /** Accepts a read or drops it. Never waits. */
  offer(read: ShadowRead): void {
    if (read.isCompared) this.#parts.samples?.sample(read.operation);
    if (isLeftToStores(read)) return;
    const isFull = this.#queued >= this.#parts.queueSize || this.#bytes > QUEUE_BYTES;
    const isBusy =
      read.primary === 'orchestrator' && read.operation.service.legacy.load('live').queued > BUSY_QUEUE;
    if (isFull || isBusy) return this.#dropped(read, isFull ? 'queue_full' : 'legacy_busy');
    const startedAtMs = this.#parts.clock.now();
    const task = { ...read, looks: 0, postponed: 0, seen: NOTHING_SEEN, startedAtMs };
    if (read.watermark === undefined) this.#enqueue(task, this.#waiting);
    else void this.#approach(task, read.watermark);
  }

  async #approach(task: ShadowTask, watermark: Watermark): Promise<void> {
    this.#approaching += 1;
    this.#bytes += task.text.length;
    await watermark.reached;
    this.#approaching -= 1;
    this.#bytes -= task.text.length;
    if (this.#isStopped) watermark.release();
    else this.#enqueue(task, this.#awaited);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const { watermark } of this.#awaited) watermark?.release();
    this.#awaited.length = 0;
    this.#waiting.length = 0;
    while (this.#running > 0) await this.#parts.clock.sleep(1);
  }

  #enqueue(task: ShadowTask, queue: ShadowTask[]): void {
    queue.push(task);
    this.#bytes += task.text.length;
    setImmediate(() => this.#pump());
  }

  #pump(): void {
    while (!this.#isStopped && this.#running < this.#parts.concurrency) {
      const task = this.#awaited.shift() ?? this.#waiting.shift();
      if (task === undefined) return;
      this.#bytes -= task.text.length;
      this.#running += 1;
      void this.#run(task).finally(() => {
        this.#running -= 1;
        this.#pump();
      });
    }
  }

  async #run(task: ShadowTask): Promise<void> {
    try {
      const lane = await this.#parts.lanes.load(task.operation.service.name, task.operation.owner);
      if (!task.isCompared) await this.#pairs.askLegacy(task);
      else if (isFlippedSince(task, lane)) await this.#conclude(task, RACY);
      else await this.#look(task, lane);
    } catch (error) {
      if (!task.isCompared) return;
      if (this.#isPostponed(task, error))
        this.#later({ ...task, postponed: task.postponed + 1 }, POSTPONED_MS);
      else await this.#conclude(task, notComparable(error));
    } finally {
      task.watermark?.release();
    }
  }

  #isPostponed(task: ShadowTask, error: unknown): boolean {
    return mayWait(task, error) && this.#mayLookAgain();
  }

  async #look(task: ShadowTask, lane: Lane): Promise<void> {
    // Before the fence, because items that are removed by now have reached the orchestrator when the fence opens.
    const deleted = await this.#removed(task);
    const reason = await this.#fence(task, lane);
    if (reason !== undefined) return this.#fenced(task, lane, reason);
    const most = looksAllowed(effectOf(task));
    const isFirst = task.looks === 0;
    if (!isFirst && task.looks === most) {
      const { judgement, pair } = await this.#lookUnderHold(task, lane, deleted);
      return this.#conclude(task, judgement, pair);
    }
    const pair = await (isFirst ? this.#first(task) : this.#pairs.again(task, lane));
    const look = await this.#judge(task, pair, { isHeld: false, deleted });
    if (pair.isSteady && isFirst) await this.#repeat(task, pair);
    // A read that must not be repeated has only this look.
    if (most === 0 || !isWorthALook(look.judgement.comparison, task.seen))
      return this.#conclude(task, look.judgement, pair);
    const again = { ...task, looks: task.looks + 1, seen: both(task.seen, look.shown) };
    if (this.#mayLookAgain()) this.#later(again, LOOK_AGAIN_MS[task.looks]);
    else await this.#conclude(task, RACY, pair);
  }

  async #first(task: ShadowTask): Promise<Pair> {
    const pair = await this.#pairs.first(task, (error) => this.#isPostponed(task, error));
    task.watermark?.release();
    return pair;
  }

  async #fenced(task: ShadowTask, lane: Lane, reason: FenceReason): Promise<void> {
    if (isPassing(task, lane, reason) && this.#mayLookAgain())
      return this.#later({ ...task, looks: 1 }, POSTPONED_MS);
    const deadlineAtMs = this.#parts.clock.now() + this.#parts.timeoutMs;
    return this.#conclude(task, await judgeFenced(task, { lane, reason, deadlineAtMs }, this.#parts));
  }

  /**
   * Whether the orchestrator may be asked. If a watermark decides what it must hold, or the lane has moved, its other deliveries
   * are not waited for.
   */
  async #fence(task: ShadowTask, lane: Lane): Promise<FenceReason | undefined> {
    const { fences, isAlone, timeoutMs } = this.#parts;
    const isWaiting = task.looks === 0 && task.watermark?.isSure() !== true && task.before.stillHolds;
    if (isWaiting || !isAlone()) return fences.catchUp(lane, timeoutMs, 'compare');
    const reason = await fences.look(lane, 'compare');
    // No watermark stops what legacy gets.
    return reason === 'behind' && task.isFlipped !== true ? undefined : reason;
  }

  /**
   * A difference that no earlier look has shown is looked at again while nothing can change. If legacy may not be asked again, it
   * proves nothing.
   */
  #lookUnderHold(
    task: ShadowTask,
    lane: Lane,
    deleted: ReadonlySet<string> | undefined,
  ): Promise<JudgedPair> {
    return this.#pairs.underHold(task, lane, async (read) => {
      const look = async (): Promise<JudgedPair> =>
        this.#judge(task, await read(), { isHeld: true, deleted });
      const first = await look();
      const isSettled = !isWorthALook(first.judgement.comparison, task.seen) || effectOf(task) !== 'nothing';
      const last = isSettled ? first : await look();
      const seen = isSettled ? task.seen : both(task.seen, first.shown);
      return { ...last, judgement: surviving(last.judgement, seen) };
    });
  }

  /**
   * The A/A comparison, always on legacy: noise of the orchestrator must not excuse a difference. A lane that changed says
   * nothing about noise.
   */
  async #repeat(task: ShadowTask, { legacy }: Pair): Promise<void> {
    const { random, verdicts } = this.#parts;
    if (effectOf(task) !== 'nothing' || random() >= REPEAT_SHARE) return;
    try {
      const again = await this.#pairs.askLegacy(task);
      if (task.before.stillHolds) await verdicts.repeated(namesOf(task), legacy, again);
    } catch {
      // An answer that did not come is not noise, and the comparison continues without it.
    }
  }

  /** Writes of other replicas in between are not visible here. With other replicas, only a held lane can prove a difference. */
  async #judge(
    task: ShadowTask,
    pair: Pair,
    { isHeld, deleted }: { isHeld: boolean; deleted: ReadonlySet<string> | undefined },
  ): Promise<JudgedPair> {
    if (!pair.isSteady) return { judgement: RACY, pair, shown: NOTHING_SEEN };
    const judgement = await this.#parts.verdicts.compare(...comparedOf(task, pair, deleted));
    const { verdict, deletedReturned } = judgement.comparison;
    if (verdict !== 'mismatch' && deletedReturned === undefined)
      return { judgement, pair, shown: NOTHING_SEEN };
    const isProof = isHeld || this.#parts.isAlone();
    return { judgement: isProof ? judgement : RACY, pair, shown: sightingsIn(judgement.comparison) };
  }

  /** If the journal cannot tell, the answers are compared in any case. */
  async #removed({ operation, watermark }: ShadowTask): Promise<ReadonlySet<string> | undefined> {
    try {
      return await this.#parts.removed?.of(operation.service.name, operation.lane, watermark?.sequence);
    } catch (error) {
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
      return undefined;
    }
  }

  #mayLookAgain(): boolean {
    return !this.#isStopped && this.#timers.size < this.#parts.queueSize && this.#bytes <= QUEUE_BYTES;
  }

  #later(task: ShadowTask, ms: number | undefined): void {
    this.#bytes += task.text.length;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#bytes -= task.text.length;
      this.#enqueue(task, this.#waiting);
    }, ms);
    this.#timers.add(timer);
  }

  /**
   * A difference that retention or a loss on legacy explains is not the orchestrator's. Reconciliation judges the lane in the
   * same way.
   */
  async #conclude(task: ShadowTask, judgement: Judgement, pair?: Pair): Promise<void> {
    const by = showsLess(judgement.comparison) ? await this.#parts.explainGone?.(task.operation) : undefined;
    this.#record(task, by === undefined ? judgement : explainedBy(judgement, by), pair);
  }

  #record(task: ShadowTask, judgement: Judgement, pair?: Pair): void {
    const { clock, differences, emit, samples, verdicts } = this.#parts;
    const { operation, primary } = task;
    const facts = { operationId: operation.id, lane: operation.lane, ...namesOf(task) };
    const comparison =
      task.isFlipped === true
        ? verdicts.concludeFlipped(facts, judgement)
        : verdicts.conclude(facts, judgement, pair && lookOf(task, pair));
    if (task.isFlipped === true) emit('flipped:compared', { ...facts, by: 'answers', comparison });
    else
      emit('shadow:compared', { ...facts, primary, comparison, durationMs: clock.now() - task.startedAtMs });
    if (comparison.reason === 'racy') samples?.doubt(operation);
    if (comparison.verdict !== 'mismatch') return;
    differences
      .add({
        ...facts,
        primary,
        comparison,
        atMs: clock.wallMs(),
        ...(judgement.judgedWith && { judgedWith: judgement.judgedWith }),
        ...(pair && { sample: sampleOf(task, pair) }),
      })
      .catch((error: unknown) => emit('journal:failed', { reason: messageOf(error) }));
  }

  #dropped(read: ShadowRead, reason: 'queue_full' | 'legacy_busy'): void {
    const { operation } = read;
    read.watermark?.release();
    this.#parts.emit('shadow:dropped', {
      operationId: operation.id,
      service: operation.service.name,
      action: operation.name,
      reason,
    });
  }
}

/** Where the orchestrator is primary, legacy is asked only to be compared, and its store says enough. */
function isLeftToStores(read: ShadowRead): boolean {
  return read.isFlipped === true && CHANGING.has(effectOf(read));
}

/** Then it is not known against which backend a difference would count. */
function isFlippedSince({ isFlipped = false }: ShadowTask, { primary }: Lane): boolean {
  return (primary === 'orchestrator') !== isFlipped;
}

interface FencedParts {
  readonly askOrchestrator: AskOrchestrator;
  readonly verdicts: Pick<Verdicts, 'compare'>;
}

/** A lane, and why its reads prove nothing now. */
interface Fenced {
  readonly lane: Lane;
  readonly reason: FenceReason;
  readonly deadlineAtMs: number;
}

/**
 * A read of a fenced lane is not comparable. If the share of such reads is too high, an alert is sent. But any caller may ask for
 * an owner that was never written. If both sides then answer the same, there is nothing to seed or report. It is not a match
 * either, because two empty answers prove nothing.
 */
export async function judgeFenced(task: ShadowTask, fenced: Fenced, parts: FencedParts): Promise<Judgement> {
  const { lane, reason, deadlineAtMs } = fenced;
  // Legacy has not got everything yet.
  if (task.isFlipped === true) return RACY;
  if (reason !== 'not_seeded' && reason !== 'behind') return notCompared('dirty');
  if (!isUnknown(lane) || task.primary !== 'legacy') return notCompared('not_seeded');
  const orchestrator = await parts.askOrchestrator(task.operation, 'shadow', deadlineAtMs);
  const pair = { legacy: task.text, orchestrator, isSteady: true, place: task.before.place };
  const { comparison } = await parts.verdicts.compare(...comparedOf(task, pair, undefined));
  return notCompared(comparison.verdict === 'match' ? 'unknown_lane' : 'not_seeded');
}

/** Agents write to the lane, so it is copied at once. Both sides are asked again after that. */
function isPassing(task: ShadowTask, lane: Lane, reason: FenceReason): boolean {
  if (task.looks > 0 || looksAllowed(effectOf(task)) === 0) return false;
  return reason === 'copying' || reason === 'dirty' || (reason === 'not_seeded' && lane.ownSequence > 0);
}

/** The journal has no row of it, and no write of this replica made one. */
function isUnknown({ id, sequence, ownSequence, inFlight }: Lane): boolean {
  return id === 0 && sequence === 0 && ownSequence === 0 && inFlight === 0;
}
