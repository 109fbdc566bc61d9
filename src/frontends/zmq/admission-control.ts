import { FairQueue } from '../../shared/fair-queue.ts';
import type { Clock } from '../../shared/clock.ts';
import type { ByteBudget } from '../byte-budget.ts';
import type { AgentConnection, AgentMessage } from './agent-connection.ts';

/** Limits requests, so that they fit into memory. */
export interface Admission {
  readonly budget: ByteBudget;
  /** Limit of a message; longer ones are refused. */
  readonly messageBytes: number;
  /** The reply if there was no room for the request in time. */
  readonly busyReply: Buffer;
}

/** An admitted or refused message. Only the bytes of an admitted one are counted. */
export interface Admitted {
  readonly connection: AgentConnection;
  readonly message: AgentMessage;
  readonly isRefused: boolean;
}

export interface AdmissionControlSettings {
  /** Largest number of requests in progress. */
  readonly inFlightLimit: number;
  readonly admission?: Admission | undefined;
  readonly clock: Clock;
  onAdmitted(admitted: Admitted): void;
}

/**
 * Admits messages while there is room for them. A connection over the limit is paused, so that its next messages wait in the agent's
 * own queues. A message that has waited past the agent's patience is rejected, because the agent would no longer be listening.
 */
export class AdmissionControl {
  readonly #settings: AdmissionControlSettings;
  #inFlight = 0;
  /** Agents that wait for a place, each with one message. */
  readonly #waiting = new FairQueue<() => void>();

  constructor(settings: AdmissionControlSettings) {
    this.#settings = settings;
  }

  enter(connection: AgentConnection, message: AgentMessage): void {
    const { admission, inFlightLimit } = this.#settings;
    const hasPlace = this.#inFlight < inFlightLimit && this.#waiting.size === 0;
    if (!hasPlace || admission?.budget.hasRoom === false) {
      connection.hold();
      void this.#wait(connection, message, hasPlace);
      return;
    }
    this.#inFlight += 1;
    admission?.budget.add(message.bytes);
    message.arrival?.end();
    this.#settings.onAdmitted({ connection, message, isRefused: false });
  }

  leave({ message, isRefused }: Admitted): void {
    this.#inFlight -= 1;
    if (!isRefused) this.#settings.admission?.budget.give(message.bytes);
    if (this.#inFlight < this.#settings.inFlightLimit) this.#waiting.shift()?.();
  }

  async #wait(connection: AgentConnection, message: AgentMessage, hasPlace: boolean): Promise<void> {
    if (hasPlace) this.#inFlight += 1;
    else await this.#place(connection);
    const isRefused = !(await this.#hasRoom(message, connection));
    message.arrival?.end();
    this.#settings.onAdmitted({ connection, message, isRefused });
    connection.letGo();
  }

  /** Resolves when a place is taken. */
  #place({ caller }: AgentConnection): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(() => {
        this.#inFlight += 1;
        resolve();
      }, caller);
    });
  }

  async #hasRoom({ bytes, receivedAtMs }: AgentMessage, { caller }: AgentConnection): Promise<boolean> {
    const { admission, clock } = this.#settings;
    if (admission === undefined) return true;
    const leftMs = admission.budget.patienceMs - (clock.now() - receivedAtMs);
    return admission.budget.take(bytes, Math.max(0, leftMs), caller);
  }
}
