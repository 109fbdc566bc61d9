import type { AskOrchestrator } from '../calls/ask-orchestrator.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import { isErrorText } from '../compare/compare-replies.ts';
import type { Emit, PairedAnswer } from '../ports/events.ts';
import type { Fences } from '../lane/fence.ts';
import type { HoldLane } from '../lane/hold-lane.ts';
import type { Lane } from '../lane/lane.ts';
import { Snapshot } from '../lane/lanes.ts';
import type { Watermark, Watermarks } from '../delivery/watermarks.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Pair, ShadowTask } from './shadow-task.ts';

/** Longest hold of a lane for a comparison, while its agents' writes wait. */
const HOLD_MS = 250;

interface PairParts {
  readonly callLegacy: CallLegacy;
  readonly askOrchestrator: AskOrchestrator;
  readonly fences: Pick<Fences, 'catchUp'>;
  readonly hold: HoldLane;
  readonly watermarks: Pick<Watermarks, 'stopAt'>;
  /** Whether no other replica writes. */
  readonly isAlone: () => boolean;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Longest time of one answer. */
  readonly timeoutMs: number;
}

/** Gets both answers of a read. @throws CrossfadeError if one does not come */
export class ShadowPairs {
  readonly #parts: PairParts;

  constructor(parts: PairParts) {
    this.#parts = parts;
  }

  /**
   * The agent's own answer is one of the pair. The other backend's answer is also used for its latency.
   * @param isPostponed whether the failure is retried later. It makes no pair yet then
   */
  async first(task: ShadowTask, isPostponed: (error: unknown) => boolean): Promise<Pair> {
    const { text, primary, before, primaryMs, watermark } = task;
    const { clock } = this.#parts;
    const own: PairedAnswer = { ms: primaryMs, isFailure: isErrorText(text) };
    const startedAtMs = clock.now();
    try {
      const other = primary === 'legacy' ? await this.#askOrchestrator(task) : await this.askLegacy(task);
      this.#paired(task, own, { ms: clock.now() - startedAtMs, isFailure: isErrorText(other) });
      const isSteady = watermark?.isSure() === true || before.stillHolds;
      const stood = { isSteady, place: before.place };
      return primary === 'legacy'
        ? { legacy: text, orchestrator: other, ...stood }
        : { legacy: other, orchestrator: text, ...stood };
    } catch (error) {
      if (!isPostponed(error)) this.#paired(task, own, { isFailure: true });
      throw error;
    }
  }

  /** Both are asked again. The orchestrator is asked when it holds exactly the writes that legacy had, or the lane must stay unchanged. */
  async again(task: ShadowTask, lane: Lane): Promise<Pair> {
    const before = new Snapshot(lane);
    const legacy = await this.askLegacy(task);
    const isStoppable = before.stillHolds && task.isFlipped !== true;
    const watermark = isStoppable ? this.#parts.watermarks.stopAt(lane) : undefined;
    if (watermark !== undefined) return this.#atWatermark(task, { legacy, place: before.place, watermark });
    const orchestrator = await this.#askOrchestrator(task);
    return { legacy, orchestrator, isSteady: before.stillHolds, place: before.place };
  }

  async #atWatermark(
    task: ShadowTask,
    { legacy, place, watermark }: Pick<Pair, 'legacy' | 'place'> & { readonly watermark: Watermark },
  ): Promise<Pair> {
    try {
      await watermark.reached;
      const orchestrator = await this.#askOrchestrator(task);
      return { legacy, orchestrator, isSteady: watermark.isSure(), place };
    } finally {
      watermark.release();
    }
  }

  /** A lane that agents use all the time is held for the read only. If that takes too long, nothing is proven. */
  underHold<Seen>(
    task: ShadowTask,
    lane: Lane,
    look: (read: () => Promise<Pair>) => Promise<Seen>,
  ): Promise<Seen> {
    const isStoppable = this.#parts.isAlone() && task.isFlipped !== true;
    if (isStoppable) return look(() => this.#underShortHold(task, lane));
    return this.#underLongHold(task, lane, look);
  }

  /** Agents can write again as soon as legacy has answered. */
  async #underShortHold(task: ShadowTask, lane: Lane): Promise<Pair> {
    const untilMs = this.#parts.clock.now() + HOLD_MS;
    const held = await this.#parts.hold(lane, untilMs);
    try {
      const legacy = await this.askLegacy(task, untilMs);
      const watermark = this.#parts.watermarks.stopAt(lane);
      const { place } = new Snapshot(lane);
      held.release();
      if (watermark === undefined) return { legacy, orchestrator: '', isSteady: false, place };
      return await this.#atWatermark(task, { legacy, place, watermark });
    } finally {
      held.release();
    }
  }

  /** Deliveries of other replicas, and those to legacy, cannot be stopped, so the lane is held until both have answered. */
  async #underLongHold<Seen>(
    task: ShadowTask,
    lane: Lane,
    look: (read: () => Promise<Pair>) => Promise<Seen>,
  ): Promise<Seen> {
    const untilMs = this.#parts.clock.now() + HOLD_MS;
    const held = await this.#parts.hold(lane, untilMs);
    try {
      const behind = await this.#parts.fences.catchUp(lane, untilMs - this.#parts.clock.now(), 'compare');
      return await look(async () => {
        const [legacy, orchestrator] = await Promise.all([
          this.askLegacy(task, untilMs),
          this.#askOrchestrator(task, untilMs),
        ]);
        const isSteady = behind === undefined && held.isSure();
        return { legacy, orchestrator, isSteady, place: new Snapshot(lane).place };
      });
    } finally {
      held.release();
    }
  }

  async askLegacy(task: ShadowTask, deadlineAtMs = this.#deadline()): Promise<string> {
    const { reply } = await this.#parts.callLegacy(task.operation, 'shadow', { deadlineAtMs });
    return reply.body.toString('utf8');
  }

  #askOrchestrator(task: ShadowTask, deadlineAtMs = this.#deadline()): Promise<string> {
    return this.#parts.askOrchestrator(task.operation, 'shadow', deadlineAtMs);
  }

  #deadline(): number {
    return this.#parts.clock.now() + this.#parts.timeoutMs;
  }

  #paired({ operation, primary }: ShadowTask, own: PairedAnswer, other: PairedAnswer): void {
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
}
