import type { Backend } from '../domain/backend.ts';
import type { NotComparable } from '../domain/comparison.ts';
import { CrossfadeError, messageOf } from '../domain/errors.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { LegacyReadEffect } from '../domain/service-definition.ts';
import type { AskOrchestrator, MappedOperation } from './ask-orchestrator.ts';
import type { CallLegacy } from './call-legacy.ts';
import type { Judgement } from './compare/compare-replies.ts';
import { notCompared, type Verdicts } from './compare/verdicts.ts';
import type { Emit } from './events.ts';
import type { Fences } from './fences.ts';
import type { HoldLane } from './hold-lane.ts';
import type { Lane, Lanes } from './lanes.ts';
import { isWorthALook, LOOK_AGAIN_MS, looksAllowed } from './look-again.ts';
import type { Clock } from './ports.ts';
import type { DifferenceSample, DifferenceStore } from './difference-store.ts';
import { Snapshot } from './snapshot.ts';

/** Of the reads that do nothing to legacy so many ask the primary twice: what then differs is noise. */
const REPEAT_SHARE = 0.01;
/** Most that a lane is held for a comparison, its agents' writes waiting. */
const HOLD_MS = 250;
/** Replies kept in memory while they wait to be compared. */
const QUEUE_BYTES = 32 * 1024 * 1024;
/** A serial legacy service with so many agents waiting gets no shadow reads on top. */
const BUSY_QUEUE = 16;

/** An answer that an agent got, to be compared with what the other backend says. */
export interface ShadowRead {
  readonly operation: MappedOperation;
  readonly primary: Backend;
  readonly text: string;
  /** Taken before the primary was asked. */
  readonly before: Snapshot;
  /** False where legacy is asked only to keep the session alive. */
  readonly isCompared: boolean;
}

export interface ShadowParts {
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly askOrchestrator: AskOrchestrator;
  readonly differences: DifferenceStore;
  readonly verdicts: Verdicts;
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

/** Both answers of one read, and whether the lane stood still between them. */
interface Pair {
  readonly legacy: string;
  readonly orchestrator: string;
  readonly isSteady: boolean;
}

interface Task extends ShadowRead {
  /** How often it was looked at before. */
  readonly looks: number;
  readonly startedAtMs: number;
}

/**
 * Asks the other backend after the agent has its reply, and compares. Bounded: what does not fit is dropped and counted.
 * A lane that moved meanwhile proves nothing, and only a difference that is still there when looked at again counts.
 */
export class ShadowReads {
  readonly #parts: ShadowParts;
  readonly #waiting: Task[] = [];
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

  #enqueue(task: Task): void {
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

  async #run(task: Task): Promise<void> {
    try {
      const lane = await this.#parts.lanes.load(task.operation.service.name, task.operation.owner);
      if (!task.isCompared) await this.#askLegacy(task);
      else await this.#look(task, lane);
    } catch (error) {
      if (task.isCompared) this.#conclude(task, notComparable(error));
    }
  }

  async #look(task: Task, lane: Lane): Promise<void> {
    const fence = await this.#fence(lane);
    if (fence !== undefined) return this.#conclude(task, notCompared(fence));
    const isLastLook = task.looks === looksAllowed(effectOf(task));
    const isHeld = isLastLook && task.looks > 0;
    const pair = isHeld ? await this.#pairUnderHold(task, lane) : await this.#pair(task, lane);
    const judgement = await this.#judge(task, pair, isHeld);
    if (pair.isSteady && task.looks === 0) await this.#repeat(task);
    if (isWorthALook(judgement.comparison, task.looks) && !isLastLook && this.#mayLookAgain())
      this.#lookAgain(task);
    else this.#conclude(task, judgement, pair);
  }

  /** A/A: the primary is asked again. A lane that moved meanwhile says nothing about noise. */
  async #repeat(task: Task): Promise<void> {
    const { random, verdicts } = this.#parts;
    if (effectOf(task) !== 'nothing' || random() >= REPEAT_SHARE) return;
    try {
      const again =
        task.primary === 'legacy' ? await this.#askLegacy(task) : await this.#askOrchestrator(task);
      if (task.before.stillHolds) await verdicts.repeated(namesOf(task), task.text, again);
    } catch {
      // An answer that did not come is no noise, and its comparison goes on without it.
    }
  }

  /** What other replicas write in between is not seen here: beside them only a lane that is held can prove a difference. */
  async #judge(task: Task, pair: Pair, isHeld: boolean): Promise<Judgement> {
    if (!pair.isSteady) return RACY;
    const judgement = await this.#parts.verdicts.compare(...comparedOf(task, pair));
    const proves = judgement.comparison.verdict !== 'mismatch' || isHeld || this.#parts.isAlone();
    return proves ? judgement : RACY;
  }

  /** The first time the agent's own answer is one of the pair; later both are read anew. */
  async #pair(task: Task, lane: Lane): Promise<Pair> {
    const isFirst = task.looks === 0;
    const before = isFirst ? task.before : new Snapshot(lane);
    const legacy = isFirst && task.primary === 'legacy' ? task.text : await this.#askLegacy(task);
    const orchestrator =
      isFirst && task.primary === 'orchestrator' ? task.text : await this.#askOrchestrator(task);
    return { legacy, orchestrator, isSteady: before.stillHolds };
  }

  /** A lane that agents never leave alone is held for the read only; where that takes too long, nothing is proved. */
  async #pairUnderHold(task: Task, lane: Lane): Promise<Pair> {
    const untilMs = this.#parts.clock.now() + HOLD_MS;
    const held = await this.#parts.hold(lane, untilMs);
    try {
      const behind = await this.#parts.fences.catchUp(lane, untilMs - this.#parts.clock.now());
      const [legacy, orchestrator] = await Promise.all([
        this.#askLegacy(task, untilMs),
        this.#askOrchestrator(task, untilMs),
      ]);
      return { legacy, orchestrator, isSteady: behind === undefined };
    } finally {
      held.release();
    }
  }

  async #fence(lane: Lane): Promise<NotComparable | undefined> {
    const reason = await this.#parts.fences.catchUp(lane, this.#parts.timeoutMs);
    if (reason === undefined) return undefined;
    return reason === 'not_seeded' || reason === 'behind' ? 'not_seeded' : 'dirty';
  }

  async #askLegacy(task: Task, deadlineAtMs = this.#deadline()): Promise<string> {
    const { reply } = await this.#parts.callLegacy(task.operation, 'shadow', { deadlineAtMs });
    return reply.body.toString('utf8');
  }

  #askOrchestrator(task: Task, deadlineAtMs = this.#deadline()): Promise<string> {
    return this.#parts.askOrchestrator(task.operation, 'shadow', deadlineAtMs);
  }

  #deadline(): number {
    return this.#parts.clock.now() + this.#parts.timeoutMs;
  }

  #mayLookAgain(): boolean {
    return !this.#isStopped && this.#timers.size < this.#parts.queueSize;
  }

  #lookAgain(task: Task): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#enqueue({ ...task, looks: task.looks + 1 });
    }, LOOK_AGAIN_MS[task.looks]);
    this.#timers.add(timer);
  }

  #conclude(task: Task, judgement: Judgement, pair?: Pair): void {
    const { clock, differences, emit, verdicts } = this.#parts;
    const { operation, primary } = task;
    const facts = { operationId: operation.id, lane: operation.lane, ...namesOf(task) };
    const comparison = verdicts.conclude(facts, judgement, pair?.legacy);
    emit('shadow:compared', { ...facts, primary, comparison, durationMs: clock.now() - task.startedAtMs });
    if (comparison.verdict !== 'mismatch') return;
    differences
      .add({
        ...facts,
        primary,
        comparison,
        atMs: clock.wallMs(),
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

const RACY = notCompared('racy');

function notComparable(error: unknown): Judgement {
  const isTimeout = error instanceof CrossfadeError && error.reason === 'timeout';
  return notCompared(isTimeout ? 'shadow_timeout' : 'shadow_error');
}

function effectOf({ operation }: Task): LegacyReadEffect {
  return operation.action.onLegacy(operation.message);
}

function namesOf({ operation }: Task): { readonly service: ServiceName; readonly action: string } {
  return { service: operation.service.name, action: operation.name };
}

function comparedOf(task: Task, { legacy, orchestrator }: Pair): Parameters<Verdicts['compare']> {
  return [namesOf(task), { legacy, orchestrator, request: task.operation.message.fields }];
}

function sampleOf(task: Task, { legacy, orchestrator }: Pair): DifferenceSample {
  return { legacy, orchestrator, request: task.operation.message.text };
}
