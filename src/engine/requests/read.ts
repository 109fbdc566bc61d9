import { CrossfadeError } from '../../domain/errors.ts';
import { type AskOrchestrator, isMapped, type MappedOperation } from '../calls/ask-orchestrator.ts';
import type { CallLegacy } from '../calls/call-legacy.ts';
import type { Decision } from '../ports/decision.ts';
import type { Watermarks } from '../delivery/watermarks.ts';
import type { Emit, EventName, Listener, MigrationEvents } from '../ports/events.ts';
import type { FenceReason, Fences } from '../lane/fence.ts';
import type { Answer, OwnedOperation } from '../ports/operation.ts';
import type { Lane } from '../lane/lane.ts';
import { type Lanes, Snapshot } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import { within } from '../../shared/within.ts';
import type { ShadowReads } from '../shadow/shadow-reads.ts';
import type { Backend } from '../../domain/backend.ts';
import type { ServiceName } from '../../domain/ids.ts';

export interface ReadParts {
  readonly lanes: Lanes;
  readonly callLegacy: CallLegacy;
  readonly askOrchestrator: AskOrchestrator;
  readonly shadows: Pick<ShadowReads, 'offer'>;
  readonly watermarks: Pick<Watermarks, 'stopForRead'>;
  readonly fences: Fences;
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

/** Answers from the orchestrator if the flag and the lane's fence permit it, else from legacy: ../README.md, "Life of a read". */
export class ReadPath {
  readonly #parts: ReadParts;

  constructor(parts: ReadParts) {
    this.#parts = parts;
  }

  async read(operation: OwnedOperation, decision: Decision): Promise<Answer> {
    if (decision.primary === 'orchestrator' && isMapped(operation)) {
      const answer = await this.#cutOver(operation, decision);
      if (answer !== undefined) return answer;
    }
    return this.#fromLegacy(operation, decision);
  }

  /** Undefined if legacy must answer instead. */
  async #cutOver(operation: MappedOperation, decision: Decision): Promise<Answer | undefined> {
    try {
      const { lanes, fences } = this.#parts;
      const known = lanes.of(operation.service.name, operation.owner);
      // If memory knows the lane there is no wait, and so no timer.
      const isAnswered = fences.isInMemory(known) && !known.isBehind;
      const lane = isAnswered ? known : await this.#inTime(lanes.load(known.service, known.owner));
      const reason = isAnswered
        ? fences.lookInMemory(known)
        : await this.#inTime(this.#fence(operation, lane));
      if (reason === undefined) return await this.#fromOrchestrator(operation, { lane, decision });
      this.#fellBack(operation, reason);
    } catch (error) {
      this.#fellBack(
        operation,
        error instanceof CrossfadeError ? (error.reason ?? error.code) : 'internal_error',
      );
    }
    return undefined;
  }

  #inTime<Value>(asked: Promise<Value>): Promise<Value> {
    return within(asked, this.#parts.readTimeoutMs, { what: 'the journal' });
  }

  async #fence(operation: OwnedOperation, lane: Lane): Promise<FenceReason | undefined> {
    const { fences, deliveryWait, hurry, mayDeliveriesSucceed } = this.#parts;
    const reason = await fences.look(lane);
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
    { lane, decision }: { lane: Lane; decision: Decision },
  ): Promise<Answer> {
    const { askOrchestrator, clock, readTimeoutMs, shadows } = this.#parts;
    const startedAtMs = clock.now();
    const before = new Snapshot(lane);
    const deadlineAtMs = Math.min(operation.deadlineAtMs, startedAtMs + readTimeoutMs);
    const text = await askOrchestrator(operation, 'live', deadlineAtMs);
    const primaryMs = clock.now() - startedAtMs;
    const effect = operation.action.onLegacy(operation.message);
    // Keeps a session alive on legacy while legacy is primary for writes. Its answer may be compared.
    if (decision.shadowRead || effect === 'touches' || effect === 'loads') {
      shadows.offer({
        operation,
        primary: 'orchestrator',
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

  async #fromLegacy(operation: OwnedOperation, decision: Decision): Promise<Answer> {
    const { lanes, callLegacy } = this.#parts;
    const isCompared = decision.shadowRead && isMapped(operation);
    const lane = lanes.of(operation.service.name, operation.owner);
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
    this.#parts.emit('read:fell_back', {
      operationId: operation.id,
      service: operation.service.name,
      action: operation.name,
      reason,
    });
  }
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
