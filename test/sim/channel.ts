import {
  type CallOutcome,
  CallSlots,
  type Deadlined,
  type DeadlineSweep,
  type PendingCall,
  type SlotSettings,
  type Transport,
} from '../../src/backends/call-slots.ts';
import type { Channel, ChannelLoad } from '../../src/backends/channels.ts';
import type { Clock } from '../../src/shared/clock.ts';
import type { LegacyCall, Reply } from '../../src/engine/ports/ports.ts';
import type { Fate, Faults } from './faults.ts';
import type { Connection, Server } from './server.ts';
import type { Owner, Scheduler } from './scheduler.ts';

/** How long a connection that is down is still taken for one that will be ready in a moment. */
const GRACE_MS = 500;

/** What a channel of one process to one server needs. */
export interface ChannelParts {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly server: Server;
  /** The process that holds the channel. */
  readonly owner: Owner;
  readonly clock: Clock;
  readonly sweep: DeadlineSweep;
  onOutcome?(outcome: CallOutcome): void;
  onUp?(): void;
  onDown?(): void;
}

/** The proxy's own queue, slots and deadlines (`backends/call-slots.ts`) over a network of our making. */
export class SimChannel implements Channel, Transport {
  readonly #parts: ChannelParts;
  readonly #slots: CallSlots;
  readonly #name: string;
  #connection: Connection | undefined;
  #isGraceOver = false;
  #lastArrivalMs = 0;

  constructor(settings: SlotSettings, parts: ChannelParts) {
    this.#parts = parts;
    this.#name = settings.name;
    this.#slots = new CallSlots(settings, { ...parts, transport: this });
  }

  send(call: LegacyCall): Promise<Reply> {
    return this.#slots.send(call);
  }

  releaseSentBefore(instantMs: number): void {
    this.#slots.releaseSentBefore(instantMs);
  }

  load(): ChannelLoad {
    const { inFlight, queued } = this.#slots;
    return { inFlight, queued, isConnected: this.readiness() !== 'down' };
  }

  start(): void {
    this.#slots.restart();
    this.#connect();
  }

  async stop(): Promise<void> {
    this.#slots.stop();
  }

  readiness(): 'ready' | 'connecting' | 'down' {
    if (this.#connection !== undefined) return 'ready';
    return this.#isGraceOver ? 'down' : 'connecting';
  }

  transmit(pending: PendingCall): void {
    const connection = this.#connection;
    if (connection === undefined) return this.#slots.notSent(pending);
    pending.call.onSent?.();
    const { scheduler, faults, server } = this.#parts;
    const fate = faults.fateOf(server.name, this.#name);
    const arrivesMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + fate.requestMs);
    this.#lastArrivalMs = arrivesMs;
    if (fate.kind === 'request_lost') return this.#break(connection, fate.requestMs);
    this.#arrive(connection, { pending, fate, inMs: arrivesMs - scheduler.nowMs });
  }

  #arrive(
    connection: Connection,
    { pending, fate, inMs }: { pending: PendingCall; fate: Fate; inMs: number },
  ): void {
    const { scheduler, server } = this.#parts;
    const { id } = pending;
    const { body } = pending.call;
    const sentMs = scheduler.nowMs;
    const arrive = (): void =>
      server.receive(connection, {
        body,
        sentMs,
        channel: this.#name,
        respond: (reply) => this.#reply(connection, { id, reply, fate }),
      });
    scheduler.after(inMs, `arrive ${server.name} ${this.#name} ${id}`, arrive);
    if (fate.kind === 'request_doubled')
      scheduler.after(inMs + fate.againMs, `arrive again ${server.name} ${this.#name} ${id}`, () =>
        server.receive(connection, { body, sentMs, channel: this.#name, respond: () => undefined }),
      );
  }

  #reply(connection: Connection, { id, reply, fate }: { id: number; reply: Buffer; fate: Fate }): void {
    if (fate.kind === 'reply_lost') return this.#break(connection, fate.replyMs);
    const what = `reply ${this.#name} ${id}`;
    const answered = (): void => {
      if (this.#connection === connection) this.#slots.answered(id, { body: reply });
    };
    this.#parts.scheduler.afterFor(this.#parts.owner, fate.replyMs, { what, run: answered });
    if (fate.kind === 'reply_doubled')
      this.#parts.scheduler.afterFor(this.#parts.owner, fate.replyMs + fate.againMs, { what, run: answered });
  }

  /** The connection breaks, for both sides; what the server has taken is executed all the same. */
  #break(connection: Connection, inMs: number): void {
    const run = (): void => connection.close();
    this.#parts.scheduler.after(inMs, `reset ${this.#name}`, run);
  }

  #connect(): void {
    const { server, owner, scheduler } = this.#parts;
    server.connect(owner, {
      opened: (connection) =>
        scheduler.afterFor(owner, 1, { what: `up ${this.#name}`, run: () => this.#up(connection) }),
      closed: (connection) =>
        scheduler.afterFor(owner, 1, { what: `down ${this.#name}`, run: () => this.#down(connection) }),
    });
  }

  #up(connection: Connection): void {
    if (!connection.isOpen) return;
    this.#connection = connection;
    this.#isGraceOver = false;
    this.#parts.onUp?.();
    this.#slots.drain();
  }

  #down(connection: Connection): void {
    if (this.#connection !== undefined && this.#connection !== connection) return;
    this.#connection = undefined;
    this.#parts.onDown?.();
    this.#slots.reset();
    setTimeout(() => {
      if (this.#connection !== undefined) return;
      this.#isGraceOver = true;
      this.#slots.withdrawQueued('unreachable');
    }, GRACE_MS);
    this.#connect();
  }
}

/** Deadlines to the millisecond: the real sweep looks every 5 ms, which in virtual time is work for nothing. */
export function createExactSweep(clock: Clock): DeadlineSweep {
  const watched: Deadlined[] = [];
  let timer: NodeJS.Timeout | undefined;
  let dueMs = Infinity;
  const plan = (): void => {
    const nextMs = Math.min(...watched.map((deadlined) => deadlined.nextDueMs()));
    if (nextMs >= dueMs) return;
    clearTimeout(timer);
    dueMs = nextMs;
    timer = setTimeout(tick, Math.max(0, nextMs - clock.now()));
  };
  function tick(): void {
    dueMs = Infinity;
    const nowMs = clock.now();
    for (const deadlined of watched) if (deadlined.nextDueMs() <= nowMs) deadlined.expire(nowMs);
    plan();
  }
  return { add: (deadlined) => void watched.push(deadlined), wake: plan, stop: () => clearTimeout(timer) };
}
