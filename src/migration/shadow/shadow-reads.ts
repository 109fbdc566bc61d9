import { messageOf } from '../../domain/errors.ts';
import type { AskOrchestrator } from '../ask-orchestrator.ts';
import type { CallLegacy } from '../call-legacy.ts';
import { isErrorText, type Judgement } from '../compare/compare-replies.ts';
import type { RemovedItems } from '../compare/removed-items.ts';
import type { Verdicts } from '../compare/verdicts.ts';
import type { Emit, PairedAnswer } from '../events.ts';
import type { Fences } from '../lanes/fences.ts';
import type { HoldLane } from '../lanes/hold-lane.ts';
import type { Lane, Lanes } from '../lanes/lanes.ts';
import { isWorthALook, LOOK_AGAIN_MS, looksAllowed } from './look-again.ts';
import type { Clock } from '../ports.ts';
import type { LaneSamples } from '../reconciliation/lane-samples.ts';
import type { DifferenceStore } from './difference-store.ts';
import { judgeFenced } from './fenced-lane.ts';
import {
  comparedOf,
  effectOf,
  lookOf,
  namesOf,
  notComparable,
  RACY,
  sampleOf,
  type Pair,
  type ShadowRead,
  type ShadowTask,
} from './shadow-task.ts';
import { Snapshot } from '../lanes/snapshot.ts';

/** Of the reads that do nothing to legacy so many ask legacy twice: what then differs is noise. */
const REPEAT_SHARE = 0.01;
/** Most that a lane is held for a comparison, its agents' writes waiting. */
const HOLD_MS = 250;
/** Replies kept in memory while they wait to be compared. */
const QUEUE_BYTES = 32 * 1024 * 1024;
/** A serial legacy service with so many agents waiting gets no shadow reads on top. */
const BUSY_QUEUE = 16;

export interface ShadowParts {
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly askOrchestrator: AskOrchestrator;
  readonly differences: DifferenceStore;
  readonly verdicts: Verdicts;
  /** Where reads that do something to legacy get their evidence; absent: from their answers alone. */
  readonly samples?: Pick<LaneSamples, 'sample' | 'doubt'> | undefined;
  /** Absent: nobody looks for removed items. */
  readonly removed?: Pick<RemovedItems, 'of'> | undefined;
  readonly random: () => number;
  readonly fences: Fences;
  readonly hold: HoldLane;
  /** Whether no other replica writes. */
  readonly isAlone: () => boolean;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Reads that wait. @defaultValue 1000 */
  readonly queueSize: number;
  /** Reads at the same time. @defaultValue 4 */
  readonly concurrency: number;
  /** @defaultValue 2000 */
  readonly timeoutMs: number;
}

/**
 * Asks the other backend after the agent has its reply, and compares. Bounded: what does not fit is dropped and counted.
 * A lane that moved meanwhile proves nothing, and only a difference that is still there when looked at again counts.
 */
export class ShadowReads {
  readonly #parts: ShadowParts;
  readonly #waiting: ShadowTask[] = [];
  readonly #timers = new Set<NodeJS.Timeout>();
  #bytes = 0;
  #running = 0;
  #isStopped = false;

  constructor(parts: ShadowParts) {
    this.#parts = parts;
  }

  /** Reads that wait, run, or will be looked at again. */
  get size(): number {
    return this.#waiting.length + this.#running + this.#timers.size;
  }

  /** Takes a read over, or drops it. Never waits. */
  offer(read: ShadowRead): void {
    if (read.isCompared) this.#parts.samples?.sample(read.operation);
    const isFull = this.#waiting.length >= this.#parts.queueSize || this.#bytes > QUEUE_BYTES;
    const isBusy =
      read.primary === 'orchestrator' && read.operation.service.legacy.load('live').queued > BUSY_QUEUE;
    if (isFull || isBusy) return this.#dropped(read, isFull ? 'queue_full' : 'legacy_busy');
    this.#enqueue({ ...read, looks: 0, startedAtMs: this.#parts.clock.now() });
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting.length = 0;
    while (this.#running > 0) await this.#parts.clock.sleep(1);
  }

  #enqueue(task: ShadowTask): void {
    this.#waiting.push(task);
    this.#bytes += task.text.length;
    setImmediate(() => this.#pump());
  }

  #pump(): void {
    while (!this.#isStopped && this.#running < this.#parts.concurrency) {
      const task = this.#waiting.shift();
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
      if (!task.isCompared) await this.#askLegacy(task);
      else await this.#look(task, lane);
    } catch (error) {
      if (task.isCompared) this.#conclude(task, notComparable(error));
    }
  }

  async #look(task: ShadowTask, lane: Lane): Promise<void> {
    // Before the fence: what is removed by now has reached the orchestrator when that lets through.
    const deleted = await this.#removed(task);
    const reason = await this.#parts.fences.catchUp(lane, this.#parts.timeoutMs);
    if (reason !== undefined) {
      const fenced = { lane, reason, deadlineAtMs: this.#deadline() };
      return this.#conclude(task, await judgeFenced(task, fenced, this.#parts));
    }
    const isLastLook = task.looks === looksAllowed(effectOf(task));
    const isHeld = isLastLook && task.looks > 0;
    const pair = isHeld ? await this.#pairUnderHold(task, lane) : await this.#pair(task, lane);
    const judgement = await this.#judge(task, pair, { isHeld, deleted });
    if (pair.isSteady && task.looks === 0) await this.#repeat(task, pair);
    if (isWorthALook(judgement.comparison, task.looks) && !isLastLook && this.#mayLookAgain())
      this.#lookAgain(task);
    else this.#conclude(task, judgement, pair);
  }

  /** A/A, on legacy also when cut over: what the orchestrator says two ways excuses nothing. A lane that moved says nothing of noise. */
  async #repeat(task: ShadowTask, { legacy }: Pair): Promise<void> {
    const { random, verdicts } = this.#parts;
    if (effectOf(task) !== 'nothing' || random() >= REPEAT_SHARE) return;
    try {
      const again = await this.#askLegacy(task);
      if (task.before.stillHolds) await verdicts.repeated(namesOf(task), legacy, again);
    } catch {
      // An answer that did not come is no noise, and its comparison goes on without it.
    }
  }

  /** What other replicas write in between is not seen here: beside them only a lane that is held can prove a difference. */
  async #judge(
    task: ShadowTask,
    pair: Pair,
    { isHeld, deleted }: { isHeld: boolean; deleted: ReadonlySet<string> | undefined },
  ): Promise<Judgement> {
    if (!pair.isSteady) return RACY;
    const judgement = await this.#parts.verdicts.compare(...comparedOf(task, pair, deleted));
    const { verdict, deletedReturned } = judgement.comparison;
    const isClean = verdict !== 'mismatch' && deletedReturned === undefined;
    return isClean || isHeld || this.#parts.isAlone() ? judgement : RACY;
  }

  /** The first time the agent's own answer is one of the pair; later both are read anew. */
  async #pair(task: ShadowTask, lane: Lane): Promise<Pair> {
    const isFirst = task.looks === 0;
    if (isFirst) return this.#firstPair(task);
    const before = new Snapshot(lane);
    const legacy = await this.#askLegacy(task);
    const orchestrator = await this.#askOrchestrator(task);
    return { legacy, orchestrator, isSteady: before.stillHolds, place: before.place };
  }

  async #firstPair(task: ShadowTask): Promise<Pair> {
    const { text, primary, before, primaryMs } = task;
    const { clock } = this.#parts;
    const own: PairedAnswer = { ms: primaryMs, isFailure: isErrorText(text) };
    const startedAtMs = clock.now();
    try {
      const other = primary === 'legacy' ? await this.#askOrchestrator(task) : await this.#askLegacy(task);
      this.#paired(task, own, { ms: clock.now() - startedAtMs, isFailure: isErrorText(other) });
      const stood = { isSteady: before.stillHolds, place: before.place };
      return primary === 'legacy'
        ? { legacy: text, orchestrator: other, ...stood }
        : { legacy: other, orchestrator: text, ...stood };
    } catch (error) {
      this.#paired(task, own, { isFailure: true });
      throw error;
    }
  }

  #paired({ operation, primary }: ShadowTask, own: PairedAnswer, other: PairedAnswer): void {
    if (this.#isStopped) return;
    const [legacy, orchestrator] = primary === 'legacy' ? [own, other] : [other, own];
    this.#parts.emit('shadow:paired', {
      operationId: operation.id,
      service: operation.service.name,
      action: operation.name,
      lane: operation.lane,
      primary,
      legacy,
      orchestrator,
    });
  }

  /** A lane that agents never leave alone is held for the read only; where that takes too long, nothing is proved. */
  async #pairUnderHold(task: ShadowTask, lane: Lane): Promise<Pair> {
    const untilMs = this.#parts.clock.now() + HOLD_MS;
    const held = await this.#parts.hold(lane, untilMs);
    try {
      const behind = await this.#parts.fences.catchUp(lane, untilMs - this.#parts.clock.now());
      const [legacy, orchestrator] = await Promise.all([
        this.#askLegacy(task, untilMs),
        this.#askOrchestrator(task, untilMs),
      ]);
      const isSteady = behind === undefined && held.isSure();
      return { legacy, orchestrator, isSteady, place: new Snapshot(lane).place };
    } finally {
      held.release();
    }
  }

  /** Where the journal cannot say it, the answers are compared all the same. */
  async #removed({ operation }: ShadowTask): Promise<ReadonlySet<string> | undefined> {
    try {
      return await this.#parts.removed?.of(operation.service.name, operation.lane);
    } catch (error) {
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
      return undefined;
    }
  }

  async #askLegacy(task: ShadowTask, deadlineAtMs = this.#deadline()): Promise<string> {
    const { reply } = await this.#parts.callLegacy(task.operation, 'shadow', { deadlineAtMs });
    return reply.body.toString('utf8');
  }

  #askOrchestrator(task: ShadowTask, deadlineAtMs = this.#deadline()): Promise<string> {
    return this.#parts.askOrchestrator(task.operation, 'shadow', deadlineAtMs);
  }

  #deadline(): number {
    return this.#parts.clock.now() + this.#parts.timeoutMs;
  }

  #mayLookAgain(): boolean {
    return !this.#isStopped && this.#timers.size < this.#parts.queueSize;
  }

  #lookAgain(task: ShadowTask): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#enqueue({ ...task, looks: task.looks + 1 });
    }, LOOK_AGAIN_MS[task.looks]);
    this.#timers.add(timer);
  }

  #conclude(task: ShadowTask, judgement: Judgement, pair?: Pair): void {
    const { clock, differences, emit, samples, verdicts } = this.#parts;
    const { operation, primary } = task;
    const facts = { operationId: operation.id, lane: operation.lane, ...namesOf(task) };
    const comparison = verdicts.conclude(facts, judgement, pair && lookOf(task, pair));
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
    this.#parts.emit('shadow:dropped', {
      operationId: operation.id,
      service: operation.service.name,
      action: operation.name,
      reason,
    });
  }
}
