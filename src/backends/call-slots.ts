import type { Backend } from '../domain/backend.ts';
import { ConnectionError } from '../domain/errors.ts';
import { FairQueue } from '../shared/fair-queue.ts';
import type { Clock } from '../shared/clock.ts';
import type { LegacyCall, Reply } from '../engine/ports/ports.ts';

/** Largest number of calls past their deadline that are remembered if nothing limits the calls in flight. */
const LATE_LIMIT = 10_000;

/** Transports calls: a socket or a pool of connections. */
export interface Transport {
  /** `ready`: sends now. `connecting`: will be ready or down soon. `down`: cannot send. */
  readiness(): 'ready' | 'connecting' | 'down';
  transmit(pending: PendingCall): void;
  /** Called when the reply of this call is no longer needed. */
  abandon?(pending: PendingCall): void;
}

export interface SlotSettings {
  /** For messages: `session-memory (live)`. */
  readonly name: string;
  readonly backend: Backend;
  /** Largest number of calls sent and not yet answered. 0: no limit. */
  readonly inFlightLimit: number;
  readonly queueLimit: number;
  /**
   * Whether a call past its deadline keeps its slot until the reply comes, at most 60 s. A serial server answers in order, so further
   * calls would only queue there, where they cannot be withdrawn.
   */
  readonly holdsLateSlots: boolean;
}

interface SlotParts {
  readonly clock: Clock;
  readonly sweep: DeadlineSweep;
  readonly transport: Transport;
  onOutcome?(outcome: CallOutcome): void;
}

/** Why a reply will not come, and what is known about the call's effect. */
interface Loss {
  readonly cause?: unknown;
  readonly how?: string | undefined;
}

/**
 * The calls of one channel. Callers take turns in a bounded queue in memory. The number in flight is bounded. Handles deadlines and late
 * replies.
 */
export class CallSlots implements Deadlined {
  readonly #settings: SlotSettings;
  readonly #parts: SlotParts;
  readonly #queue = new FairQueue<PendingCall>();
  readonly #sent = new Map<number, PendingCall>();
  #occupied = 0;
  #late = 0;
  #lastId = 0;
  #nextDueMs = Infinity;
  #isStopped = false;

  constructor(settings: SlotSettings, parts: SlotParts) {
    this.#settings = settings;
    this.#parts = parts;
    parts.sweep.add(this);
  }

  get inFlight(): number {
    return this.#occupied;
  }

  get queued(): number {
    return this.#queue.size;
  }

  send(call: LegacyCall): Promise<Reply> {
    return new Promise((resolve, reject) => this.#accept(call, { resolve, reject }));
  }

  #accept(call: LegacyCall, settle: Settle): void {
    this.#lastId = (this.#lastId + 1) >>> 0;
    const pending = new PendingCall(this.#lastId, call, settle);
    const nowMs = this.#parts.clock.now();
    if (this.#isStopped) return this.#refuse(pending, 'stopped');
    if (pending.dueMs <= nowMs) return this.#refuse(pending, 'deadline');
    const readiness = this.#parts.transport.readiness();
    if (readiness === 'down') {
      this.#refuse(pending, 'unreachable');
      return this.#parts.onOutcome?.('unreachable');
    }
    this.#expectAt(pending.dueMs);
    if (readiness === 'ready' && this.#queue.size === 0 && this.#hasRoom()) this.#transmit(pending, nowMs);
    else this.#enqueue(pending);
  }

  /** If the queue is full, a caller below its share takes the place of the caller with the most calls. */
  #enqueue(pending: PendingCall): void {
    const { caller } = pending.call;
    if (this.#queue.size >= this.#settings.queueLimit) {
      const displaced = this.#queue.displace(caller);
      this.#refuse(displaced ?? pending, 'queue_full');
      if (displaced === undefined) return;
    }
    this.#queue.push(pending, caller);
  }

  /** Sends queued calls while there are free slots. */
  drain(): void {
    while (
      this.#queue.size > 0 &&
      this.#hasRoom() &&
      this.#parts.transport.readiness() === 'ready' &&
      this.#sendNext()
    );
  }

  #sendNext(): boolean {
    const pending = this.#queue.shift();
    if (pending === undefined) return false;
    this.#transmit(pending, this.#parts.clock.now());
    return true;
  }

  #transmit(pending: PendingCall, nowMs: number): void {
    if (pending.dueMs <= nowMs) return this.#refuse(pending, 'deadline');
    if (pending.call.maySend?.() === false) return this.#refuse(pending, 'stopped');
    pending.state = 'sent';
    pending.sentAtMs = nowMs;
    this.#occupied += 1;
    this.#sent.set(pending.id, pending);
    this.#parts.transport.transmit(pending);
  }

  answered(id: number, reply: Reply): void {
    const pending = this.#sent.get(id);
    if (pending === undefined) return;
    this.#parts.onOutcome?.('answered');
    if (pending.state === 'late') {
      this.#forget(pending);
      pending.call.onLate?.(reply);
    } else {
      this.#forget(pending);
      pending.resolve(reply);
    }
    if (this.#queue.size > 0) this.drain();
  }

  /** The transport refused the bytes, so nothing was sent. */
  notSent(pending: PendingCall, reason: 'unreachable' | 'queue_full' = 'unreachable'): void {
    if (this.#sent.get(pending.id) !== pending) return;
    const isWaitedFor = pending.state === 'sent';
    this.#forget(pending);
    if (isWaitedFor) this.#refuse(pending, reason);
    if (reason === 'unreachable') this.#parts.onOutcome?.('unreachable');
    this.drain();
  }

  /** The connection broke after the bytes were handed over. */
  lost(pending: PendingCall, cause?: unknown, how?: string): void {
    if (this.#sent.get(pending.id) !== pending) return;
    this.#drop(pending, 'reset', { cause, how });
    this.drain();
  }

  /** The connection broke: every call in flight has an unknown effect, and no late reply can come. */
  reset(reason: 'reset' | 'stopped' = 'reset'): void {
    for (const pending of this.#sent.values()) this.#drop(pending, reason);
  }

  #drop(pending: PendingCall, reason: 'reset' | 'stopped', { cause, how }: Loss = {}): void {
    const isWaitedFor = pending.state === 'sent';
    this.#forget(pending);
    if (!isWaitedFor) return;
    const what =
      reason === 'reset'
        ? 'closed the connection before it answered'
        : 'did not answer before the client was stopped';
    pending.reject(this.#failure(how ?? what, { effect: 'unknown', reason, cause }));
    if (reason === 'reset') this.#parts.onOutcome?.('reset');
  }

  /** Withdraws all queued calls. Nothing of them was sent. */
  withdrawQueued(reason: 'unreachable' | 'stopped'): void {
    for (const pending of this.#queue.removeWhere(() => true)) {
      this.#refuse(pending, reason);
      if (reason === 'unreachable') this.#parts.onOutcome?.('unreachable');
    }
  }

  /** Frees the slots of late calls sent before an instant, because the server has certainly received them. Their replies are still recognised. */
  releaseSentBefore(instantMs: number): void {
    if (!this.#settings.holdsLateSlots) return;
    for (const pending of this.#sent.values()) {
      if (pending.state !== 'late' || pending.sentAtMs >= instantMs || pending.sentAtMs === 0) continue;
      pending.sentAtMs = 0;
      this.#occupied -= 1;
    }
    this.drain();
  }

  stop(): void {
    this.#isStopped = true;
    this.withdrawQueued('stopped');
    this.reset('stopped');
    this.#nextDueMs = Infinity;
  }

  restart(): void {
    this.#isStopped = false;
  }

  nextDueMs(): number {
    return this.#nextDueMs;
  }

  expire(nowMs: number): void {
    let nextDueMs = Infinity;
    for (const pending of this.#sent.values()) {
      if (pending.dueMs <= nowMs) this.#overdue(pending, nowMs);
      if (pending.dueMs > nowMs) nextDueMs = Math.min(nextDueMs, pending.dueMs);
    }
    for (const pending of this.#queue.removeWhere(({ dueMs }) => dueMs <= nowMs))
      this.#refuse(pending, 'deadline');
    this.#nextDueMs = Math.min(
      nextDueMs,
      this.#queue.minimum(({ dueMs }) => dueMs),
    );
    this.drain();
  }

  #overdue(pending: PendingCall, nowMs: number): void {
    if (pending.state === 'late') return this.#abandon(pending);
    pending.reject(this.#failure('did not answer in time', { effect: 'unknown', reason: 'timeout' }));
    this.#parts.onOutcome?.('timeout');
    if (!this.#isWorthRemembering(pending)) return this.#abandon(pending);
    pending.state = 'late';
    pending.dueMs = nowMs + LATE_MS;
    this.#late += 1;
    if (!this.#settings.holdsLateSlots) this.#occupied -= 1;
  }

  #isWorthRemembering(pending: PendingCall): boolean {
    const hasUse = this.#settings.holdsLateSlots || pending.call.onLate !== undefined;
    return hasUse && this.#late < LATE_LIMIT;
  }

  #forget(pending: PendingCall): void {
    this.#sent.delete(pending.id);
    const isSlotReleased =
      pending.state === 'late' && (!this.#settings.holdsLateSlots || pending.sentAtMs === 0);
    if (!isSlotReleased) this.#occupied -= 1;
    if (pending.state === 'late') this.#late -= 1;
  }

  #abandon(pending: PendingCall): void {
    this.#forget(pending);
    this.#parts.transport.abandon?.(pending);
  }

  #hasRoom(): boolean {
    const { inFlightLimit } = this.#settings;
    return this.#occupied < inFlightLimit || inFlightLimit === 0;
  }

  #expectAt(dueMs: number): void {
    if (dueMs < this.#nextDueMs) this.#nextDueMs = dueMs;
    this.#parts.sweep.wake();
  }

  #refuse(pending: PendingCall, reason: keyof typeof REFUSALS): void {
    pending.reject(this.#failure(REFUSALS[reason], { effect: 'not_applied', reason }));
  }

  #failure(
    what: string,
    facts: { effect: 'not_applied' | 'unknown'; reason: string; cause?: unknown },
  ): ConnectionError {
    const { name, backend } = this.#settings;
    return new ConnectionError(`${name} ${what}`, { ...facts, details: { backend } });
  }
}

/** How long after its deadline a reply is still recognised. */
const LATE_MS = 60_000;
/** The result of a call for the circuit breaker. */
export type CallOutcome = 'answered' | 'timeout' | 'reset' | 'unreachable';

/** The two callbacks of a call's promise. */
interface Settle {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: ConnectionError) => void;
}

/**
 * One call from acceptance to its end. `queued`: it is withdrawn at its deadline. `sent`: its effect is unknown until the reply.
 * `late`: its caller no longer waits, but the reply may still come.
 */
export class PendingCall {
  readonly id: number;
  readonly call: LegacyCall;
  readonly resolve: Settle['resolve'];
  readonly reject: Settle['reject'];
  state: 'queued' | 'sent' | 'late' = 'queued';
  sentAtMs = 0;
  dueMs: number;

  constructor(id: number, call: LegacyCall, settle: Settle) {
    this.id = id;
    this.call = call;
    this.resolve = settle.resolve;
    this.reject = settle.reject;
    this.dueMs = call.deadlineAtMs;
  }
}

/** Messages for calls that were never sent. */
const REFUSALS = {
  unreachable: 'has no connection',
  queue_full: 'has too many calls waiting',
  deadline: 'was not free before the deadline',
  stopped: 'is not running',
} as const;

/** Something whose calls end at deadlines. */
export interface Deadlined {
  /** Earliest instant at which {@link Deadlined.expire} has work; Infinity if there is none. */
  nextDueMs(): number;
  expire(nowMs: number): void;
}

/** One coarse timer for the deadlines of many calls, because a timer per message would cost more than the message. */
export interface DeadlineSweep {
  add(deadlined: Deadlined): void;
  /** Announces a new deadline; starts the timer if it is stopped. */
  wake(): void;
  stop(): void;
}

/** @param resolutionMs how late a deadline may be noticed. @defaultValue 5 */
export function createDeadlineSweep(clock: Clock, resolutionMs = 5): DeadlineSweep {
  const watched: Deadlined[] = [];
  let timer: NodeJS.Timeout | undefined;

  function rest(): void {
    clearInterval(timer);
    timer = undefined;
  }

  function tick(): void {
    const nowMs = clock.now();
    let isNeeded = false;
    for (const deadlined of watched) {
      if (deadlined.nextDueMs() <= nowMs) deadlined.expire(nowMs);
      if (deadlined.nextDueMs() !== Infinity) isNeeded = true;
    }
    if (!isNeeded) rest();
  }

  return {
    add: (deadlined) => {
      watched.push(deadlined);
    },
    wake: () => {
      timer ??= setInterval(tick, resolutionMs).unref();
    },
    stop: rest,
  };
}
