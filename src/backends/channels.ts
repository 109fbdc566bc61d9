import {
  BrokenCircuitError,
  circuitBreaker,
  type CircuitBreakerPolicy,
  CircuitState,
  ConsecutiveBreaker,
  handleType,
} from 'cockatiel';
import { ConnectionError } from '../domain/errors.ts';
import type { Clock } from '../shared/clock.ts';
import type { BackendLoad, LegacyBackend, LegacyCall, Reply } from '../engine/ports/ports.ts';
import type { Purpose } from '../domain/backend.ts';
import type { CallOutcome } from './call-slots.ts';

export interface BreakerSettings {
  /** Number of consecutive connection failures and timeouts that open it. */
  readonly failures: number;
  /** Time before a trial call, milliseconds. @defaultValue 1000 */
  readonly halfOpenAfterMs?: number;
}

type Send = (call: LegacyCall) => Promise<Reply>;

const STATES = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half_open',
  [CircuitState.Isolated]: 'open',
} as const satisfies Record<CircuitState, BackendLoad['breaker']>;

/** The parts of one read are sent together. If the first is the trial call, the others wait for its end up to this time. */
const TRIAL_WAIT_MS = 100;

/**
 * A circuit breaker without cost while it is closed. Calls bypass the policy, which gets only the outcomes that change something: a
 * failure, and the first success after one. Only trial calls run inside the policy, one at a time.
 */
class Circuit {
  readonly #name: string;
  readonly #settings: BreakerSettings;
  #policy: CircuitBreakerPolicy;
  #hasFailures = false;
  /** Resolves when the trial call has ended, whatever its result. */
  #trial: Promise<unknown> | undefined;
  /** Whether the last failure was a timeout, which means that the server exists but is too busy. */
  #isSlow = false;

  constructor(name: string, settings: BreakerSettings) {
    this.#name = name;
    this.#settings = settings;
    this.#policy = this.#closed();
  }

  get state(): BackendLoad['breaker'] {
    return STATES[this.#policy.state];
  }

  send(call: LegacyCall, send: Send): Promise<Reply> {
    return this.#policy.state === CircuitState.Closed ? send(call) : this.#try(call, send);
  }

  /** Counts the outcome of a call that bypassed the policy. */
  count(outcome: CallOutcome): void {
    if (this.#policy.state !== CircuitState.Closed) return;
    if (outcome !== 'answered') {
      this.#hasFailures = true;
      this.#isSlow = outcome === 'timeout';
      this.#policy.execute(() => Promise.reject(this.#refusal())).catch(() => undefined);
    } else if (this.#hasFailures) {
      this.#hasFailures = false;
      void this.#policy.execute(() => undefined);
    }
  }

  /** Closes the circuit, because a new connection may reach a new server. */
  reset(): void {
    if (!this.#hasFailures) return;
    this.#hasFailures = false;
    this.#policy = this.#closed();
  }

  /** The policy would make every further caller wait for the end of the trial, however long that takes. */
  async #try(call: LegacyCall, send: Send): Promise<Reply> {
    if (this.#trial !== undefined) {
      await endedWithin(this.#trial, TRIAL_WAIT_MS);
      if (this.#policy.state !== CircuitState.Closed) throw this.#refusal();
      return send(call);
    }
    const trial = this.#policy.execute(() => send(call));
    this.#trial = trial.catch(() => undefined);
    try {
      return await trial;
    } catch (error) {
      if (error instanceof BrokenCircuitError) throw this.#refusal(error);
      this.#isSlow = error instanceof ConnectionError && error.reason === 'timeout';
      throw error;
    } finally {
      this.#trial = undefined;
    }
  }

  #closed(): CircuitBreakerPolicy {
    return circuitBreaker(handleType(ConnectionError), {
      halfOpenAfter: this.#settings.halfOpenAfterMs ?? 1_000,
      breaker: new ConsecutiveBreaker(this.#settings.failures),
    });
  }

  #refusal(cause?: unknown): ConnectionError {
    return new ConnectionError(
      `${this.#name}: call not sent, because its circuit breaker is open after repeated failures`,
      {
        effect: 'not_applied',
        reason: 'breaker_open',
        ...(this.#isSlow && { details: { after: 'timeout' } }),
        cause,
      },
    );
  }
}

async function endedWithin(ended: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([ended, late]);
  clearTimeout(timer);
}

export interface ChannelLoad {
  readonly inFlight: number;
  readonly queued: number;
  readonly isConnected: boolean;
}

/** A connection to one server, with its own sockets, queue and limit. */
export interface Channel {
  send(call: LegacyCall): Promise<Reply>;
  /** The server has certainly received every call sent before this instant. */
  releaseSentBefore(instantMs: number): void;
  load(): ChannelLoad;
  start(): void;
  stop(): Promise<void>;
}

interface ChannelWatcher {
  onOutcome(outcome: CallOutcome): void;
  onUp(): void;
  /** A connection was lost. Called before what waits is sent over the next one. */
  onDown?(): void;
}

export type CreateChannel = (name: string, watcher: ChannelWatcher) => Channel;

/** A channel with its circuit breaker. */
export class ProtectedChannel {
  readonly #channel: Channel;
  readonly #circuit: Circuit;
  readonly #transmit: (call: LegacyCall) => Promise<Reply>;

  constructor(name: string, breaker: BreakerSettings, createChannel: CreateChannel) {
    this.#circuit = new Circuit(name, breaker);
    this.#channel = createChannel(name, {
      onOutcome: (outcome) => this.#circuit.count(outcome),
      onUp: () => this.#circuit.reset(),
    });
    this.#transmit = (call) => this.#channel.send(call);
  }

  send(call: LegacyCall): Promise<Reply> {
    return this.#circuit.send(call, this.#transmit);
  }

  releaseSentBefore(instantMs: number): void {
    this.#channel.releaseSentBefore(instantMs);
  }

  load(): BackendLoad {
    return { ...this.#channel.load(), breaker: this.#circuit.state };
  }

  start(): void {
    this.#channel.start();
  }

  async stop(): Promise<void> {
    await this.#channel.stop();
  }
}

const PURPOSES = ['live', 'shadow', 'probe'] as const satisfies readonly Purpose[];

/** Live calls tolerate more failures, because a slow primary must not make further live calls fail. */
const DEFAULT_BREAKERS = {
  live: { failures: 20 },
  shadow: { failures: 5 },
  probe: { failures: 5 },
} as const satisfies Record<Purpose, BreakerSettings>;

interface PurposeSettings {
  /** For messages. */
  readonly service: string;
  readonly clock: Clock;
  readonly breaker: Partial<Record<Purpose, BreakerSettings>> | undefined;
  readonly createChannel: CreateChannel;
}

export interface Purposes {
  send(call: LegacyCall): Promise<Reply>;
  load(purpose: Purpose): BackendLoad;
  start(): void;
  stop(): Promise<void>;
}

function createProtected(purpose: Purpose, settings: PurposeSettings): ProtectedChannel {
  const breaker = settings.breaker?.[purpose] ?? DEFAULT_BREAKERS[purpose];
  return new ProtectedChannel(`${settings.service} (${purpose})`, breaker, settings.createChannel);
}

/** One channel and one circuit breaker for each purpose, so that live traffic never waits for the others. */
export function createPurposes(settings: PurposeSettings): Purposes {
  const channels: Record<Purpose, ProtectedChannel> = {
    live: createProtected('live', settings),
    shadow: createProtected('shadow', settings),
    probe: createProtected('probe', settings),
  };
  let firstProbeAtMs = Infinity;
  let firstAnswerAtMs = Infinity;

  /**
   * Two probes, the second sent after the first was answered, prove that a serial server has received every call sent before the
   * first. Calls that are still unanswered then will never be answered.
   */
  function probeAnswered(startedAtMs: number): void {
    if (startedAtMs >= firstAnswerAtMs) {
      channels.live.releaseSentBefore(firstProbeAtMs);
      channels.shadow.releaseSentBefore(firstProbeAtMs);
    } else if (firstAnswerAtMs !== Infinity) return;
    firstProbeAtMs = startedAtMs;
    firstAnswerAtMs = settings.clock.now();
  }

  async function probe(call: LegacyCall): Promise<Reply> {
    const startedAtMs = settings.clock.now();
    const reply = await channels.probe.send(call);
    probeAnswered(startedAtMs);
    return reply;
  }

  return {
    send: (call) => (call.purpose === 'probe' ? probe(call) : channels[call.purpose].send(call)),
    load: (purpose) => channels[purpose].load(),
    start: () => {
      for (const purpose of PURPOSES) channels[purpose].start();
    },
    stop: async () => {
      await Promise.all(PURPOSES.map((purpose) => channels[purpose].stop()));
    },
  };
}

/** A legacy client that is started and stopped. */
export interface LegacyClient extends LegacyBackend {
  start(): Promise<void>;
  /** Rejects calls in flight, with effect `unknown`. */
  stop(): Promise<void>;
}
