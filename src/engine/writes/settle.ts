import { ConnectionError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { isReadable, isSerial } from '../../domain/service-definition.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { OutcomeRecorder } from './outcome-recorder.ts';

const PROBE_TIMEOUT_MS = 1_000;
const PROBE_PAUSE_MS = 200;
/** A late reply is awaited for this long. After this time, an effect that came after all probes is visible. */
const CLOSED_AFTER_MS = 60_000;

export interface SettlerParts {
  readonly journal: Pick<Journal, 'markDirty'>;
  readonly outcomeRecorder: OutcomeRecorder;
  readonly copies: Pick<CopyQueue, 'add' | 'wake'>;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** A write of unknown outcome that is being settled. */
export interface Settling {
  /** Resolves when the journal has recorded that its lane is uncertain. Never rejects. */
  readonly marked: Promise<void>;
  /** Called when its outcome has become known, so that it needs no copy. */
  end(): void;
}

/**
 * Settles writes of unknown outcome (W7). Two probes are sent one after the other, on their own connection. A serial server that
 * answered both has executed everything that waited before them. Until then the service gets no other write, and the lane no
 * copy.
 */
export class Settler {
  readonly #parts: SettlerParts;
  readonly #gates = new Map<ServiceName, Promise<void>>();
  readonly #closing = new Set<Lane>();
  readonly #stopping = new AbortController();
  #isStopped = false;

  constructor(parts: SettlerParts) {
    this.#parts = parts;
  }

  /**
   * The lane's history is uncertain from now on, because of a write that was sent at this time at the latest. Returns at once.
   * The rest happens in the background.
   */
  settle(lane: Lane, service: ServiceRuntime, sentAtMs = this.#parts.clock.now()): Settling {
    return this.#copyWhenProbed(lane, service, {
      sentAtMs,
      marked: this.#markDirty(lane, 'unknown_outcome'),
    });
  }

  /**
   * A write that was sent at this time took effect late, and a copy may have read before that. If the lane can be copied, only a
   * copy makes it certain again. The late reply to another write does not, because it proves nothing about this one.
   */
  settleAnew(lane: Lane, service: ServiceRuntime, sentAtMs: number): void {
    const reason = isReadable(service) ? 'took_effect_late' : 'unknown_outcome';
    this.#copyWhenProbed(lane, service, { sentAtMs, marked: this.#markDirty(lane, reason) });
  }

  /** Settles a lane that is dirty in the journal, after a take-over. That may have come directly after the unknown write. */
  resume(lane: Lane, service: ServiceRuntime): void {
    this.#copyWhenProbed(lane, service, { sentAtMs: this.#parts.clock.now(), marked: Promise.resolve() });
  }

  /** The lane must be copied although no request is under way on the primary. */
  copyAnew(lane: Lane, reason: string): void {
    void this.copyAfter(lane, reason, (marked) => marked);
  }

  /** The same. The copy does not begin before something else is recorded, which may wait for the mark. */
  copyAfter<Result>(
    lane: Lane,
    reason: string,
    record: (marked: Promise<void>) => Promise<Result>,
  ): Promise<Result> {
    const marked = this.#markDirty(lane, reason);
    const recorded = record(marked);
    void Promise.all([marked, recorded]).then(() => this.#parts.copies.add(lane, 'dirty'));
    return recorded;
  }

  /** Resolves when the service has answered two probes. A serial server has then executed everything that was sent before. */
  probed(service: ServiceRuntime): Promise<void> {
    const known = this.#gates.get(service.name);
    if (known !== undefined) return known;
    const gate = this.#probeTwice(service).finally(() => this.#gates.delete(service.name));
    this.#gates.set(service.name, gate);
    return gate;
  }

  #copyWhenProbed(
    lane: Lane,
    service: ServiceRuntime,
    { sentAtMs, marked }: { readonly sentAtMs: number; readonly marked: Promise<void> },
  ): Settling {
    const { copies } = this.#parts;
    this.closeLater(lane);
    // A copy for another reason might read before the unknown write takes effect, and mark the lane clean.
    lane.beginSettling();
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      lane.endSettling();
      copies.wake();
    };
    void Promise.all([this.taken(service, sentAtMs), marked]).then(() => {
      if (isOver || this.#isStopped) return;
      copies.add(lane, 'dirty');
      end();
    });
    return { marked, end };
  }

  /**
   * Resolves when a request that was sent at this time has almost certainly taken effect, if it ever does. For a serial server:
   * it has answered two probes, and one deadline has passed, during which the write may be in the network. For any other server,
   * only time helps.
   */
  async taken(service: ServiceRuntime, sentAtMs: number): Promise<void> {
    await this.probed(service);
    const afterMs = isSerial(service.definition) ? service.deadlineMs : CLOSED_AFTER_MS;
    await this.#sleepUntil(sentAtMs + afterMs);
  }

  /** Copies a lane with an unknown outcome once more, before its entry in the ledger is closed. */
  closeLater(lane: Lane): void {
    lane.closeAt(this.#parts.clock.now() + CLOSED_AFTER_MS);
    if (this.#closing.has(lane)) return;
    this.#closing.add(lane);
    void this.#close(lane);
  }

  /** A recovery has found an open entry of the lane. The time of one that this process already waits for stays. */
  closeFound(lane: Lane): void {
    if (!this.#closing.has(lane)) this.closeLater(lane);
  }

  async #close(lane: Lane): Promise<void> {
    // Another unknown outcome of the lane moves the time.
    while (!this.#isStopped && lane.closesAtMs > this.#parts.clock.now())
      await this.#sleepUntil(lane.closesAtMs);
    this.#closing.delete(lane);
    if (!this.#isStopped) this.#parts.copies.add(lane, 'dirty');
  }

  async #sleepUntil(instantMs: number): Promise<void> {
    const leftMs = instantMs - this.#parts.clock.now();
    if (leftMs > 0) await this.#parts.clock.sleep(leftMs, this.#stopping.signal);
  }

  /** Whether the service must not be written to now. */
  isShut(service: ServiceName): boolean {
    return this.#gates.has(service);
  }

  /** Resolves when the service may be written to. @throws ConnectionError effect `not_applied` at the deadline */
  async gate(service: ServiceName, deadlineAtMs: number): Promise<void> {
    const gate = this.#gates.get(service);
    if (gate === undefined) return;
    const left = deadlineAtMs - this.#parts.clock.now();
    let isOpen = false;
    const opened = gate.then(() => {
      isOpen = true;
    });
    await Promise.race([opened, this.#parts.clock.sleep(Math.max(0, left))]);
    if (isOpen) return;
    throw new ConnectionError(`${service} has not answered since a write of unknown outcome`, {
      effect: 'not_applied',
      reason: 'unsettled',
    });
  }

  /**
   * Records that a lane's history is uncertain. Its copy may be requested only after this resolves, because a record that comes
   * after the copy would leave the lane dirty forever. Never rejects.
   */
  #markDirty(lane: Lane, reason: string): Promise<void> {
    const { emit, journal, outcomeRecorder } = this.#parts;
    lane.markDirty();
    emit('lane:dirty', { service: lane.service, lane: lane.key, reason });
    return outcomeRecorder.untilDone(() => journal.markDirty(lane.key, reason)).then(() => undefined);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopping.abort();
  }

  async #probeTwice(service: ServiceRuntime): Promise<void> {
    let answered = 0;
    while (answered < 2 && !this.#isStopped) {
      const isAlive = await this.#probe(service);
      // Both probes must follow the unknown write without a gap. After a failed probe both are sent again.
      answered = isAlive ? answered + 1 : 0;
      if (!isAlive) await this.#parts.clock.sleep(PROBE_PAUSE_MS);
    }
  }

  async #probe(service: ServiceRuntime): Promise<boolean> {
    try {
      await service.legacy.send({
        body: Buffer.from(service.definition.probe),
        purpose: 'probe',
        deadlineAtMs: this.#parts.clock.now() + PROBE_TIMEOUT_MS,
      });
      return true;
    } catch {
      return false;
    }
  }
}
