import type { BackendLoad, LegacyCall, Reply } from '../engine/ports/ports.ts';
import type { Channel } from './channel.ts';
import { Circuit, type BreakerSettings } from './circuit.ts';
import type { CallOutcome } from './pending-call.ts';

interface ChannelWatcher {
  onOutcome(outcome: CallOutcome): void;
  onUp(): void;
}

export type CreateChannel = (name: string, watcher: ChannelWatcher) => Channel;

/** A channel with its circuit breaker. */
export class Way {
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
