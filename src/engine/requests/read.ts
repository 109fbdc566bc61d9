import { ConnectionError, CrossfadeError } from '../../domain/errors.ts';
import { keepsEverything } from '../../domain/retention.ts';
import { type AskOrchestrator, isMapped, type MappedOperation } from '../calls/ask-orchestrator.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Decision } from '../ports/decision.ts';
import type { Watermarks } from '../delivery/watermarks.ts';
import type { Emit, EventName, Listener, MigrationEvents } from '../ports/events.ts';
import type { RestoredBackups } from '../flips/restored-backups.ts';
import type { FenceReason, Fences } from '../lane/fence.ts';
import { type Answer, labelsOf, type OwnedOperation } from '../ports/operation.ts';
import type { LaneView } from '../ports/ports.ts';
import type { ReverseSends } from '../ports/reverse-ports.ts';
import type { Lane } from '../lane/lane.ts';
import type { SeenPrimary } from '../lane/primaries.ts';
import { type Lanes, Snapshot } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import { within } from '../../shared/within.ts';
import type { ShadowReads } from '../shadow/shadow-reads.ts';
import { CHANGING } from '../shadow/shadow-task.ts';
import type { Backend } from '../../domain/backend.ts';
import type { ServiceName } from '../../domain/ids.ts';

export interface ReadParts {
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly askOrchestrator: AskOrchestrator;
  readonly shadows: Pick<ShadowReads, 'offer'>;
  readonly watermarks: Pick<Watermarks, 'stopForRead'>;
  readonly fences: Fences;
  /** What became of the lane's writes on their way to legacy. */
  readonly reverse: Pick<ReverseSends, 'last'>;
  /** Whether a lane may answer although a database may have been restored. Absent: it may. */
  readonly restored?: Pick<RestoredBackups, 'admit' | 'mayJournalBeOlder'> | undefined;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Longest time that a cut-over read waits for the orchestrator before legacy answers. @defaultValue 250 */
  readonly readTimeoutMs: number;
  /** Whether deliveries succeed. If not, no read waits for one. */
  readonly mayDeliveriesSucceed: () => boolean;
  /** Requests the lane's deliveries at once. */
  readonly hurry: (lane: Lane) => void;
  readonly deliveryWait: Pick<DeliveryWait, 'of' | 'ofCopy'>;
  /** Whether the lane is copied now, or as soon as a copy may begin. */
  readonly isCopiedSoon: (lane: Lane) => boolean;
}

/** Reads for these reasons need no session that is kept alive on legacy. */
const WITHOUT_LEGACY: ReadonlySet<Decision['reason']> = new Set(['flipped', 'read_only', 'complete']);

/**
 * Answers from the orchestrator if the flag and the lane's fence permit it, else from legacy: ../README.md, "Life of a read". The
 * orchestrator answers for a flipped lane whatever they say: "Moving the writes of a lane", T10.
 */
export class ReadPath {
  readonly #parts: ReadParts;

  constructor(parts: ReadParts) {
    this.#parts = parts;
  }

  /** @param seen what has just been learned of the lane */
  async read(
    operation: OwnedOperation,
    decision: Decision,
    { view, lane = this.#laneOf(operation) }: Pick<SeenPrimary, 'view' | 'lane'> = {},
  ): Promise<Answer> {
    if (decision.reason === 'flipped') return this.#flipped(operation, decision, view);
    const admitted = this.#parts.restored?.admit(lane);
    if (admitted !== undefined) await admitted;
    if (decision.primary !== 'orchestrator' || !isMapped(operation))
      return this.#fromLegacy(operation, decision, lane);
    if (decision.reason === 'complete') return this.#atTheEnd(operation, decision);
    return (
      (await this.#cutOver(operation, decision, { view, known: lane })) ??
      this.#fromLegacy(operation, decision)
    );
  }

  /** Without the fence, because nothing can be on its way from legacy. Legacy cannot answer instead. */
  #atTheEnd(operation: MappedOperation, decision: Decision): Promise<Answer> {
    const patienceMs = operation.deadlineAtMs - this.#parts.clock.now();
    return this.#fromOrchestrator(operation, { lane: this.#laneOf(operation), decision, patienceMs });
  }

  /** Undefined if legacy must answer instead. */
  async #cutOver(
    operation: MappedOperation,
    decision: Decision,
    { view, known }: { readonly view: LaneView | undefined; readonly known: Lane },
  ): Promise<Answer | undefined> {
    try {
      const { lanes, fences, readTimeoutMs } = this.#parts;
      // If memory knows the lane there is no wait, and so no timer.
      const isAnswered = fences.isInMemory(known) && !known.isBehind;
      const lane = isAnswered ? known : await this.#inTime(lanes.load(known.service, known.owner));
      const reason = isAnswered
        ? fences.lookInMemory(known)
        : await this.#inTime(this.#fence(operation, lane, view));
      if (reason === undefined)
        return await this.#fromOrchestrator(operation, { lane, decision, patienceMs: readTimeoutMs });
      this.#fellBack(operation, reason);
    } catch (error) {
      this.#fellBack(operation, reasonOf(error));
    }
    return undefined;
  }

  /** Legacy answers what only it can answer, and in place of an orchestrator that fails. Both only if it lacks nothing. */
  async #flipped(operation: OwnedOperation, decision: Decision, view?: LaneView): Promise<Answer> {
    const { clock, readTimeoutMs } = this.#parts;
    const lane = this.#laneOf(operation);
    const obstacle = this.#obstacle(operation, lane, view);
    if (!isMapped(operation)) {
      if (obstacle !== undefined) throw this.#unanswered(operation, obstacle);
      return this.#fromLegacy(operation, decision);
    }
    const patienceMs = obstacle === undefined ? readTimeoutMs : operation.deadlineAtMs - clock.now();
    try {
      await this.#admitted(lane, patienceMs);
      return await this.#fromOrchestrator(operation, { lane, decision, patienceMs });
    } catch (error) {
      // A person decides which database is right.
      if (isRestored(error)) throw error;
      const found = obstacle ?? (await this.#lacks(lane));
      if (found !== undefined) throw this.#unanswered(operation, found, error);
      this.#parts.emit('read:fell_back', {
        ...labelsOf(operation),
        reason: reasonOf(error),
        isFlipped: true,
      });
      return this.#fromLegacy(operation, { ...decision, shadowRead: false });
    }
  }

  /** Asked only after a failure, because skipped writes are rare. */
  async #lacks({ key }: Lane): Promise<Obstacle | undefined> {
    try {
      const { lacksWrite, isLost } = await this.#inTime(this.#parts.reverse.last(key));
      return lacksWrite || isLost ? 'skipped' : undefined;
    } catch {
      return 'journal_away';
    }
  }

  #laneOf({ service, owner, lane }: OwnedOperation): Lane {
    return this.#parts.lanes.of(service.name, owner, lane);
  }

  /** An orchestrator that does not say where it is in the lane counts as failed. @throws ConnectionError */
  async #admitted(lane: Lane, ms: number): Promise<void> {
    const admitted = this.#parts.restored?.admit(lane);
    if (admitted !== undefined) await within(admitted, ms, { what: 'comparing the lane' });
  }

  /** Why legacy may not answer for a flipped lane. */
  #obstacle(operation: OwnedOperation, lane: Lane, view: LaneView | undefined): Obstacle | undefined {
    if (this.#parts.restored?.mayJournalBeOlder === true) return 'journal_in_doubt';
    const fence = this.#knownFence(lane, view);
    if (fence !== undefined || !isMapped(operation)) return fence;
    // The orchestrator still shows what legacy has forgotten since.
    if (!keepsEverything(operation.service.definition.lanes.retention)) return 'retention';
    return CHANGING.has(operation.action.onLegacy(operation.message)) ? 'changes_legacy' : undefined;
  }

  #knownFence(lane: Lane, view: LaneView | undefined): Obstacle | undefined {
    const { fences } = this.#parts;
    if (view !== undefined) return fences.judge(lane, view);
    return fences.isInMemory(lane) ? fences.lookInMemory(lane) : 'journal_away';
  }

  #inTime<Value>(asked: Promise<Value>): Promise<Value> {
    return within(asked, this.#parts.readTimeoutMs, { what: 'the journal' });
  }

  async #fence(
    operation: OwnedOperation,
    lane: Lane,
    view: LaneView | undefined,
  ): Promise<FenceReason | undefined> {
    const { fences, deliveryWait, hurry, mayDeliveriesSucceed } = this.#parts;
    const reason = view === undefined ? await fences.look(lane) : fences.judge(lane, view);
    if (!mayDeliveriesSucceed()) return reason;
    if (reason === 'behind') {
      hurry(lane);
      return fences.catchUp(lane, deliveryWait.of(lane.service, operation.name));
    }
    if (this.#isNew(lane, reason))
      return fences.catchUp(lane, deliveryWait.ofCopy(lane.service, operation.name));
    return reason;
  }

  /** Agents have just begun to write to the lane, so its first copy goes before all others. */
  #isNew(lane: Lane, reason: FenceReason | undefined): boolean {
    const isUnseeded = reason === 'not_seeded' || reason === 'copying';
    return isUnseeded && lane.isBehind && lane.ownSequence > 0 && this.#parts.isCopiedSoon(lane);
  }

  async #fromOrchestrator(
    operation: MappedOperation,
    { lane, decision, patienceMs }: { lane: Lane; decision: Decision; patienceMs: number },
  ): Promise<Answer> {
    const { askOrchestrator, clock, shadows } = this.#parts;
    const startedAtMs = clock.now();
    const before = new Snapshot(lane);
    const deadlineAtMs = Math.min(operation.deadlineAtMs, startedAtMs + patienceMs);
    const text = await askOrchestrator(operation, 'live', deadlineAtMs);
    const primaryMs = clock.now() - startedAtMs;
    const effect = operation.action.onLegacy(operation.message);
    // Keeps a session alive on legacy while legacy is primary for writes. Its answer may be compared.
    const isKept = !WITHOUT_LEGACY.has(decision.reason) && (effect === 'touches' || effect === 'loads');
    if (decision.shadowRead || isKept) {
      shadows.offer({
        operation,
        primary: 'orchestrator',
        isFlipped: decision.reason === 'flipped',
        text,
        primaryMs,
        before,
        isCompared: decision.shadowRead,
      });
    }
    return {
      reply: { body: Buffer.from(text) },
      backend: 'orchestrator',
      primaryMs,
    };
  }

  async #fromLegacy(
    operation: OwnedOperation,
    decision: Decision,
    lane = this.#laneOf(operation),
  ): Promise<Answer> {
    const { callLegacy } = this.#parts;
    const isCompared = decision.shadowRead && isMapped(operation);
    const before = isCompared ? new Snapshot(lane) : undefined;
    const { reply, durationMs } = await callLegacy(operation, 'live');
    if (before !== undefined && isMapped(operation)) {
      const text = reply.body.toString('utf8');
      // If reads of the lane have moved, agents wait for its deliveries.
      const isMarked = decision.primary === 'legacy' && before.stillHolds;
      this.#parts.shadows.offer({
        operation,
        primary: 'legacy',
        text,
        primaryMs: durationMs,
        before,
        isCompared: true,
        // At once, because the agent's next write comes after this answer.
        watermark: isMarked ? this.#parts.watermarks.stopForRead(lane) : undefined,
      });
    }
    return { reply, backend: 'legacy', primaryMs: durationMs };
  }

  #fellBack(operation: OwnedOperation, reason: string): void {
    this.#parts.emit('read:fell_back', { ...labelsOf(operation), reason });
  }

  /** The agent may try again. Legacy's answer could lack an acknowledged write. */
  #unanswered(operation: OwnedOperation, reason: Obstacle, cause?: unknown): ConnectionError {
    this.#parts.emit('read:unanswered', { ...labelsOf(operation), reason });
    if (cause instanceof ConnectionError) return cause;
    return new ConnectionError(`legacy may not answer for the lane: ${reason}`, {
      effect: 'not_applied',
      cause,
    });
  }
}

/**
 * `journal_away`, `journal_in_doubt`: it is not known what legacy lacks. `skipped`: it lacks a write for good. `changes_legacy`: the read would not leave legacy as it is.
 */
type Obstacle =
  FenceReason | 'journal_away' | 'journal_in_doubt' | 'skipped' | 'retention' | 'changes_legacy';

/** A restored database lacks something of the lane. */
function isRestored(error: unknown): boolean {
  return error instanceof ConnectionError && error.reason === 'restored';
}

function reasonOf(error: unknown): string {
  return error instanceof CrossfadeError ? (error.reason ?? error.code) : 'internal_error';
}

/** A cut-over read may take this much longer than the same reads on legacy, at the 99th percentile. */
const ABOVE_LEGACY_MS = 25;
/** Number of durations from which a percentile is computed. */
const WINDOW = 256;
/** Fewer are not enough. */
const LEAST = 16;
/** Legacy may answer no reads of an action any more, so old durations are ignored. */
const OUTDATED_MS = 15 * 60_000;
/** Percentiles are computed again after this time. Otherwise each read would sort the window. */
const REUSED_MS = 250;
/** Factor on recent deliveries, because the next one may take longer. */
const ROOM = 1.25;

/** The newest durations of one kind, and their percentiles. */
class Recent {
  readonly #clock: Clock;
  readonly #durationsMs: number[] = [];
  #next = 0;
  #lastAtMs = -Infinity;
  #sorted: readonly number[] = [];
  #sortedAtMs = -Infinity;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(durationMs: number): void {
    this.#durationsMs[this.#next] = durationMs;
    this.#next = (this.#next + 1) % WINDOW;
    this.#lastAtMs = this.#clock.now();
  }

  /** Undefined if too few are known. */
  quantileMs(share: number): number | undefined {
    const nowMs = this.#clock.now();
    if (this.#durationsMs.length < LEAST || nowMs - this.#lastAtMs > OUTDATED_MS) return undefined;
    if (nowMs - this.#sortedAtMs >= REUSED_MS) {
      this.#sorted = this.#durationsMs.toSorted((a, b) => a - b);
      this.#sortedAtMs = nowMs;
    }
    return this.#sorted[Math.min(this.#sorted.length - 1, Math.floor(this.#sorted.length * share))];
  }
}

/**
 * How long a cut-over read waits for the deliveries of its lane. It waits as long as recent deliveries took that reads waited
 * for. The limit is that the 99th percentile of these reads stays within 25 ms of legacy's own. If even the fastest deliveries
 * take longer, the read does not wait. The same applies to the first copy of a lane.
 */
export class DeliveryWait {
  readonly #clock: Clock;
  readonly #delivered = new Map<ServiceName, Recent>();
  readonly #copied = new Map<ServiceName, Recent>();
  readonly #answered = new Map<string, Recent>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get listener(): Listener {
    return (name, event) => this.#handlers[name]?.(event);
  }

  readonly #handlers: { readonly [Name in EventName]?: (event: MigrationEvents[Name]) => void } = {
    'delivery:awaited': ({ service, durationMs }) => {
      recentOf(this.#delivered, service, this.#clock).add(durationMs);
    },
    'lane:copied': ({ service, durationMs }) => {
      recentOf(this.#copied, service, this.#clock).add(durationMs);
    },
    'backend:called': ({ service, action, backend, purpose, result, durationMs }) => {
      if (result !== 'answered' || purpose === 'probe') return;
      recentOf(this.#answered, keyOf(service, action, backend), this.#clock).add(durationMs);
    },
  };

  /** Milliseconds. */
  of(service: ServiceName, action: string): number {
    return this.#ofThose(this.#delivered.get(service), this.mostMs(service, action));
  }

  /** The same for a lane that is new to the orchestrator. The read waits for its copy, which replaces the deliveries. */
  ofCopy(service: ServiceName, action: string): number {
    return this.#ofThose(this.#copied.get(service), this.mostMs(service, action));
  }

  #ofThose(recent: Recent | undefined, mostMs: number): number {
    if ((recent?.quantileMs(0.1) ?? 0) > mostMs) return 0;
    return Math.min(mostMs, (recent?.quantileMs(0.99) ?? Infinity) * ROOM);
  }

  /** The maximum, whatever deliveries took. After the wait comes an answer of the orchestrator, or of legacy. */
  mostMs(service: ServiceName, action: string): number {
    const of = (backend: Backend, share: number): number =>
      this.#answered.get(keyOf(service, action, backend))?.quantileMs(share) ?? 0;
    const answerMs = Math.max(of('legacy', 0.5), of('orchestrator', 0.5));
    return Math.max(0, ABOVE_LEGACY_MS + Math.max(of('legacy', 0.99) - answerMs, 0));
  }
}

function keyOf(service: ServiceName, action: string, backend: Backend): string {
  return `${service} ${action} ${backend}`;
}

function recentOf<Key>(recent: Map<Key, Recent>, key: Key, clock: Clock): Recent {
  const known = recent.get(key);
  if (known !== undefined) return known;
  const made = new Recent(clock);
  recent.set(key, made);
  return made;
}
