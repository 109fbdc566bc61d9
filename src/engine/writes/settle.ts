import { ConnectionError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { isReadable, isSerial } from '../../domain/service-definition.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Clock, Journal } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Settlements } from './settlements.ts';

const PROBE_TIMEOUT_MS = 1_000;
const PROBE_PAUSE_MS = 200;
/** A late reply is listened for so long; what took effect behind all probes has shown itself by then. */
const CLOSED_AFTER_MS = 60_000;

export interface SettlerParts {
  readonly journal: Journal;
  readonly settlements: Settlements;
  readonly copies: CopyQueue;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** One write of unknown outcome, on its way to be settled. */
export interface Settling {
  /** Resolves when the journal knows that its lane is uncertain. Never rejects. */
  readonly marked: Promise<void>;
  /** Its outcome has become known: it needs no copy any more. */
  end(): void;
}

/**
 * Settles writes of unknown outcome (W7). A serial server that answered two probes, sent one after the other on a connection of
 * their own, has taken everything that waited before them. Until then the service gets no other write, and the lane no copy.
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
   * The lane's history is uncertain from now on, because of a write that was sent at this instant at the latest. Returns at once; the
   * rest happens off the agent's path.
   */
  settle(lane: Lane, service: ServiceRuntime, sentAtMs = this.#parts.clock.now()): Settling {
    return this.#copyWhenProbed(lane, service, {
      sentAtMs,
      marked: this.#markDirty(lane, 'unknown_outcome'),
    });
  }

  /**
   * A write that was sent at this instant took effect late: a copy may have read before that. Where the lane can be copied only a copy
   * makes it certain again, whatever the late reply to another write proves: that one tells nothing of this.
   */
  settleAnew(lane: Lane, service: ServiceRuntime, sentAtMs: number): void {
    const reason = isReadable(service) ? 'took_effect_late' : 'unknown_outcome';
    this.#copyWhenProbed(lane, service, { sentAtMs, marked: this.#markDirty(lane, reason) });
  }

  /** Settles a lane that the journal says is dirty: after a start, which may have come right behind the unknown write. */
  resume(lane: Lane, service: ServiceRuntime): void {
    this.#copyWhenProbed(lane, service, { sentAtMs: this.#parts.clock.now(), marked: Promise.resolve() });
  }

  /** The lane must be copied although nothing is under way on the primary. */
  copyAnew(lane: Lane, reason: string): void {
    void this.#markDirty(lane, reason).then(() => this.#parts.copies.add(lane, 'dirty'));
  }

  /** Resolves when the service has answered two probes: what was sent to it before, a serial server has taken. */
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
    // A copy for another reason might read before the unknown write takes effect, and call the lane clean.
    lane.beginSettling();
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      lane.endSettling();
      copies.wake();
    };
    void Promise.all([this.#taken(service, sentAtMs), marked]).then(() => {
      if (isOver || this.#isStopped) return;
      copies.add(lane, 'dirty');
      end();
    });
    return { marked, end };
  }

  /**
   * Resolves when what was sent at this instant is as good as certain to have taken effect, if it ever does: a serial server has
   * answered two probes and one deadline has passed, in which the write may lie in the network; of any other only time tells.
   */
  async #taken(service: ServiceRuntime, sentAtMs: number): Promise<void> {
    await this.probed(service);
    const afterMs = isSerial(service.definition) ? service.deadlineMs : CLOSED_AFTER_MS;
    await this.#sleepUntil(sentAtMs + afterMs);
  }

  /** Copies a lane with an unknown outcome once more, before the ledger of unknown outcomes closes it. */
  closeLater(lane: Lane): void {
    lane.closeAt(this.#parts.clock.now() + CLOSED_AFTER_MS);
    if (this.#closing.has(lane)) return;
    this.#closing.add(lane);
    void this.#close(lane);
  }

  async #close(lane: Lane): Promise<void> {
    // Another unknown outcome of the lane moves the end.
    while (!this.#isStopped && lane.closesAtMs > this.#parts.clock.now())
      await this.#sleepUntil(lane.closesAtMs);
    this.#closing.delete(lane);
    if (!this.#isStopped) this.#parts.copies.add(lane, 'dirty');
  }

  async #sleepUntil(instantMs: number): Promise<void> {
    const leftMs = instantMs - this.#parts.clock.now();
    if (leftMs > 0) await this.#parts.clock.sleep(leftMs, this.#stopping.signal);
  }

  /** Whether the service must not be written to at this moment. */
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
   * Records that a lane's history is uncertain. Its copy may be asked for once this resolves, and not sooner: a record that the
   * copy overtakes would leave the lane dirty for ever. Never rejects.
   */
  #markDirty(lane: Lane, reason: string): Promise<void> {
    const { emit, journal, settlements } = this.#parts;
    lane.markDirty();
    emit('lane:dirty', { service: lane.service, lane: lane.key, reason });
    return settlements.untilDone(() => journal.markDirty(lane.key, reason)).then(() => undefined);
  }

  stop(): void {
    this.#isStopped = true;
    this.#stopping.abort();
  }

  async #probeTwice(service: ServiceRuntime): Promise<void> {
    let answered = 0;
    while (answered < 2 && !this.#isStopped) {
      const isAlive = await this.#probe(service);
      // Both probes must follow the unknown write without a break: a silence between them begins anew.
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
